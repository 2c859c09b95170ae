"""An ensemble whose servers reach each other through links that can be cut, made one-way, and slowed down."""
import pathlib
import socket
import subprocess

import servers
from members import Ensemble
from network import Network
from proxy import Proxy

ANSWER_SECONDS = 10
SNAPSHOTS_KEPT = 3


def zxid(path):
    return int(path.name.split(".")[1], 16)


def unmount_left(folder):
    """Takes away the small file systems below a folder that a run left which was killed."""
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        if (path := line.split()[1]).startswith(f"{folder}/"):
            subprocess.run(["umount", path], check=True)


class Mesh(Ensemble):
    """Servers of these kinds that reach each other at once: no link can be cut. `disk` bytes of a file system for the first one, if given."""

    # Hosts can be unplugged, and packets lost.
    is_network = False

    def __init__(self, kinds, folder, settings, disk=None):
        self.kinds = kinds
        super().__init__(kinds, folder, settings=settings)
        self.mounted = None
        if disk is not None:
            self.mount(self.servers[1].data_dir, disk)

    @property
    def address(self):
        return ",".join(server.address for server in self.servers.values())

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

    def end(self):
        """Kills whoever runs, and leaves nothing behind but the files of servers and logs."""
        for server in self.servers.values():
            if server.running():
                server.kill()
        if self.mounted:
            subprocess.run(["umount", self.mounted], check=True)
            self.mounted = None


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


class ProxyMesh(Mesh):
    """Each server knows the others by addresses of its own, behind which proxies stand.

    A proxy takes a connection before it knows whether anybody listens behind it.
    """

    def __init__(self, *arguments, **named):
        self.wires = {}
        super().__init__(*arguments, **named)

    def lines(self, sid):
        """A server listens on its own ports and reaches the others through the wires."""
        if not self.wires:
            self.wires = {other: [Wire(port) for port in ports] for other, ports in self.ports.items()}
        lines = super().lines(sid)
        for other, wires in self.wires.items():
            if other != sid:
                quorum, election = (wire.tell("open", sid).split(":")[1] for wire in wires)
                lines[f"server.{other}"] = f"{servers.HOST}:{quorum}:{election}"
        return lines

    def link(self, command, start, end):
        """Says `command` to what `start` opens towards `end`."""
        for wire in self.wires[end]:
            wire.tell(command, start)

    def part(self, command, one, other):
        """Says `command` to the links between two servers, in both directions."""
        self.link(command, one, other)
        self.link(command, other, one)

    def cut(self, pairs, tells=False):
        """Nothing passes between these pairs of servers any more; `tells`: connections are reset."""
        for one, other in pairs:
            self.part("cut" if tells else "freeze", one, other)

    def lose(self, pairs):
        """Nothing that the first of each pair sends arrives at the second any more."""
        for start, end in pairs:
            self.link("lose-up", start, end)
            self.link("lose-down", end, start)

    def slow(self, sid):
        """What this server and the others send each other comes late."""
        for other in self.servers:
            if other != sid:
                self.part("slow", sid, other)

    def heal(self):
        for one in self.servers:
            for other in self.servers:
                if one < other:
                    self.part("heal", one, other)


class HostMesh(Mesh):
    """Each server on a host of its own, as far as the network goes: what is cut is packets."""

    is_network = True

    def __init__(self, kinds, *arguments, **named):
        self.network = Network(range(1, len(kinds) + 1))
        try:
            super().__init__(kinds, *arguments, **named)
        except BaseException:
            self.network.close()
            raise
        for sid, server in self.servers.items():
            server.prefix = self.network.command(sid)

    def lines(self, sid):
        lines = {f"server.{other}": f"{self.network.address(other)}:{quorum}:{election}" for other, (quorum, election) in self.ports.items()}
        return {**lines, "clientPortAddress": self.network.address(sid)}

    def cut(self, pairs, tells=False):
        """No packet passes between these pairs of servers. A network that tells of it would be an easier one: it never does."""
        self.network.lose([pair for one, other in pairs for pair in ((one, other), (other, one))])

    def lose(self, pairs):
        """No packet of the first of each pair arrives at the second any more."""
        self.network.lose(pairs)

    def slow(self, sid):
        self.network.slow(sid)

    def make_lossy(self, sid):
        self.network.make_lossy(sid)

    def unplug(self, sid):
        self.network.unplug(sid)

    def heal(self):
        self.network.heal()

    def end(self):
        super().end()
        self.network.close()


# By what the servers are linked.
MESHES = {"wires": Mesh, "proxies": ProxyMesh, "namespaces": HostMesh}
