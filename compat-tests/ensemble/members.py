"""Several servers as one ensemble, and what they are asked."""
import time

import servers
import stage
import zkwire as zk
from servers import Server, four_letter

POLL_SECONDS = 0.05
QUORUM_SECONDS = 20


class Ensemble:
    """Servers with the same server lines, each in a folder of its own."""

    def __init__(self, kind, folder, count=3, settings=None, **options):
        """`kind` is that of all `count` servers, or a list with the kind of each; `options` go to each Server."""
        kinds = [kind] * count if isinstance(kind, str) else kind
        self.ports = {sid: (servers.free_port(), servers.free_port()) for sid in range(1, len(kinds) + 1)}
        common = {"tickTime": "500", "initLimit": "10", "syncLimit": "4", **(settings or {})}
        self.servers = {}
        for sid, kind in zip(self.ports, kinds):
            server = Server(kind, folder / str(sid), settings={**common, **self.lines(sid)}, **options)
            server.data_dir.mkdir(parents=True, exist_ok=True)
            (server.data_dir / "myid").write_text(f"{sid}\n")
            self.servers[sid] = server

    def lines(self, _sid):
        """The server lines of one of them."""
        return {f"server.{other}": f"{servers.HOST}:{quorum}:{election}" for other, (quorum, election) in self.ports.items()}

    def start(self):
        """Starts all of them, and waits until each serves."""
        for server in self.servers.values():
            server.launch()
        for server in self.servers.values():
            server.wait_serving()
        return self

    def stop(self):
        for server in self.servers.values():
            if server.running():
                server.stop()

    def modes(self):
        """The mode of each running server that serves."""
        found = {}
        for sid, server in self.servers.items():
            if server.running():
                try:
                    answer = four_letter(server, "srvr", 2)
                except OSError:
                    continue
                for line in answer.splitlines():
                    if line.startswith("Mode: "):
                        found[sid] = line.removeprefix("Mode: ")
        return found

    def leader(self, seconds=QUORUM_SECONDS):
        """The id of the one that leads, once there is one."""
        return wait_for(lambda: next((sid for sid, mode in self.modes().items() if mode == "leader"), None), "a leader", seconds)

    def wait_all_serving(self, seconds=QUORUM_SECONDS):
        wait_for(lambda: len(self.modes()) == sum(s.running() for s in self.servers.values()), "every server to serve", seconds)

    def followers(self):
        leader = self.leader()
        return [sid for sid, server in self.servers.items() if sid != leader and server.running()]

    def client(self, sid, timeout_ms=10000, session=(0, bytes(16)), seconds=10):
        server = self.servers[sid]
        return zk.Client(server.host, server.port, timeout_ms, session, seconds)

    def numbers(self, sid):
        """What `mntr` says, by name."""
        return dict(line.split("\t", 1) for line in four_letter(self.servers[sid], "mntr").splitlines() if "\t" in line)


def wait_for(question, what, seconds=QUORUM_SECONDS):
    """Asks until the answer is true, and gives it."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come in {seconds} s")
        time.sleep(POLL_SECONDS)


def sync(client, path="/"):
    """Everything that the leader had committed is seen by this client after it."""
    client.call(zk.SYNC, zk.buffer(path), "sync")


def digests(ensemble):
    """zxid and digest of the tree that each server reports for the zxids that it has in its log of digests."""
    found = {}
    for sid, server in ensemble.servers.items():
        for line in four_letter(server, "hash").splitlines():
            zxid, _, digest = line.partition(": ")
            found.setdefault(zxid, {})[sid] = digest
    return found


__all__ = ["Ensemble", "wait_for", "sync", "digests", "stage"]
