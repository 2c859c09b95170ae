"""An ensemble whose servers reach each other through links that can be cut, made one-way, and slowed down."""
import socket
import subprocess

import servers
from members import Ensemble
from proxy import Proxy

ANSWER_SECONDS = 10
SNAPSHOTS_KEPT = 3


def zxid(path):
    return int(path.name.split(".")[1], 16)


class Wire:
    """The links to one port of one server, by the server that they come from."""

    def __init__(self, port):
        self.proxy = Proxy(servers.HOST, port)
        host, control = self.proxy.address.split(":")
        self.control = socket.create_connection((host, int(control)), timeout=ANSWER_SECONDS)
        self.answers = self.control.makefile("r")

    def tell(self, command, sid):
        self.control.sendall(f"{command} {sid}\n".encode())
        return self.answers.readline().strip()


class Mesh(Ensemble):
    """Servers of these kinds; each knows the others by addresses of its own. `disk` bytes of a file system for the first one, if given.

    Without `wired` they reach each other at once: a wire takes a connection before it knows whether anybody listens behind it.
    """

    def __init__(self, kinds, folder, settings, disk=None, wired=True):
        self.kinds, self.wired, self.wires = kinds, wired, {}
        super().__init__(kinds, folder, settings=settings)
        self.mounted = None
        if disk is not None:
            self.mount(self.servers[1].data_dir, disk)

    @property
    def address(self):
        return ",".join(server.address for server in self.servers.values())

    def lines(self, sid):
        """A server listens on its own ports and reaches the others through the wires."""
        if not self.wired:
            return super().lines(sid)
        if not self.wires:
            self.wires = {other: [Wire(port) for port in ports] for other, ports in self.ports.items()}
        lines = super().lines(sid)
        for other, wires in self.wires.items():
            if other != sid:
                quorum, election = (wire.tell("open", sid).split(":")[1] for wire in wires)
                lines[f"server.{other}"] = f"{servers.HOST}:{quorum}:{election}"
        return lines

    def mount(self, folder, disk):
        """A small file system of its own; without the right to mount there is none."""
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={disk}", "none", folder], capture_output=True, text=True)
        if done.returncode != 0:
            print(f"no full disk: {done.stderr.strip()}", flush=True)
            return
        self.mounted = folder
        (folder / "myid").write_text("1\n")

    def purge(self):
        """Every server keeps its newest snapshots and the logs behind them, as an operator's purge does: the disks are small."""
        for server in self.servers.values():
            folder = server.data_dir / "version-2"
            snapshots, logs = (sorted(folder.glob(f"{kind}.*"), key=zxid) for kind in ("snapshot", "log"))
            kept = snapshots[-SNAPSHOTS_KEPT:]
            needed = [log for log in logs if kept and zxid(log) <= zxid(kept[0])][-1:]
            for path in [*snapshots[:-SNAPSHOTS_KEPT], *(log for log in logs if needed and zxid(log) < zxid(needed[0]))]:
                path.unlink()

    def unmount(self):
        if self.mounted:
            subprocess.run(["umount", self.mounted], check=True)
            self.mounted = None

    def link(self, command, start, end):
        """Says `command` to what `start` opens towards `end`."""
        for wire in self.wires[end]:
            wire.tell(command, start)

    def part(self, command, one, other):
        """Says `command` to the links between two servers, in both directions."""
        self.link(command, one, other)
        self.link(command, other, one)

    def lose(self, start, end):
        """Nothing that `start` sends arrives at `end` any more."""
        self.link("lose-up", start, end)
        self.link("lose-down", end, start)

    def heal(self):
        for one in self.servers:
            for other in self.servers:
                if one < other:
                    self.part("heal", one, other)
