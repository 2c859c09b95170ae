"""What happens to the servers of an ensemble: each fault begins, and gives back how it ends."""
import collections
import errno
import os
import shutil
import signal
import time

from members import wait_for
from servers import ServerError

SERVE_SECONDS = 40
BALLAST_BYTES = 1 << 16
EXIT_SECONDS = 0.5
# The longest time that a server is away, in timeouts of sessions.
STOP_MOST = 1.6


def launch(server):
    """Two faults may befall one server: the first that is over brings it back."""
    if not server.running():
        server.launch()


class Trouble:
    """Random faults on a mesh of servers; `counts` says how many of each kind there were.

    Sessions live for `timeout` seconds: some faults are longer than that.
    """

    def __init__(self, mesh, random, timeout):
        self.mesh, self.random, self.timeout = mesh, random, timeout
        self.counts, self.stopped, self.slowest = collections.Counter(), set(), 0.0
        self.kinds = [(8, self.kill), (6, self.stop_process), (2, self.terminate), (3, self.isolate), (2, self.split), (2, self.ring),
                      (3, self.one_way), (2, self.slow), (1, self.wipe)]
        # These befall the leader first, however short the time is.
        self.due = [self.kill, self.stop_process, self.isolate]
        if mesh.is_network:
            self.kinds += [(3, self.unplug), (3, self.lose_power), (2, self.make_lossy)]
            self.due.append(self.unplug)
        if mesh.mounted:
            self.kinds.append((2, self.fill_disk))

    def run(self, seconds):
        """Faults for so long; at the end all servers serve again."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.once()
        self.recovered()

    def once(self):
        """One fault, sometimes a second one on another server meanwhile; sometimes the next comes before all have recovered."""
        time.sleep(self.random.uniform(0.1, 0.8))
        modes = self.mesh.modes()
        leader = next((sid for sid, mode in modes.items() if mode == "leader"), None)
        others = [sid for sid in self.mesh.servers if sid != leader]
        self.random.shuffle(others)
        victims = [leader, *others] if leader and (self.due or self.random.random() < 0.5) else [*others, *([leader] if leader else [])]
        ends = [self.begin(victims[0], leader)]
        if self.random.random() < 0.25:
            time.sleep(self.random.uniform(0, 1))
            ends.append(self.begin(victims[1], leader, second=True))
        for end in ends:
            end()
        if self.random.random() < 0.6:
            self.recovered()

    def begin(self, victim, leader, second=False):
        kinds = [(weight, kind) for weight, kind in self.kinds if not second or kind not in (self.wipe, self.fill_disk)]
        if self.due and not second:
            return self.due.pop(0)(victim, "leader" if victim == leader else "follower")
        (_, kind), = self.random.choices(kinds, [weight for weight, _ in kinds])
        return kind(victim, "leader" if victim == leader else "follower")

    def recovered(self):
        """Nobody has ended who was not told to, and all serve; `slowest` is the longest that this took."""
        began = time.monotonic()
        for sid, server in self.mesh.servers.items():
            if not server.running():
                raise ServerError(f"server {sid} has ended by itself with {server.process.returncode}\n{server.log_tail()}")
        wait_for(lambda: len(self.mesh.modes()) == len(self.mesh.servers), "every server to serve", SERVE_SECONDS)
        self.slowest = max(self.slowest, time.monotonic() - began)

    def a_while(self):
        """Mostly short; now and then longer than a session lives."""
        if self.random.random() < 0.3:
            time.sleep(self.timeout * self.random.uniform(1.05, STOP_MOST))
        else:
            time.sleep(self.random.uniform(0.05, 1.8))

    def kill(self, sid, role):
        self.counts[f"kill of a {role}"] += 1
        server = self.mesh.servers[sid]
        server.kill()
        return lambda: (time.sleep(self.random.uniform(0, 1.5)), launch(server))

    def terminate(self, sid, role):
        self.counts[f"end of a {role}"] += 1
        server = self.mesh.servers[sid]
        code = server.stop()
        if code not in (0, 143, -signal.SIGTERM):
            raise ServerError(f"server {sid} ended with {code}\n{server.log_tail()}")
        return lambda: (time.sleep(self.random.uniform(0, 1)), launch(server))

    def stop_process(self, sid, role):
        self.counts[f"stop of a {role}"] += 1
        self.stopped.add(sid)
        pid = self.mesh.servers[sid].pid
        os.kill(pid, signal.SIGSTOP)

        def end():
            self.a_while()
            os.kill(pid, signal.SIGCONT)
        return end

    def others(self, sid):
        return [other for other in self.mesh.servers if other != sid]

    def isolate(self, sid, role):
        """No other server reaches this one, either at once or without being told; clients do."""
        self.counts[f"isolation of a {role}"] += 1
        self.mesh.cut([(sid, other) for other in self.others(sid)], tells=self.random.random() < 0.5)
        return self.healing()

    def split(self, sid, _role):
        """Two groups that do not reach each other; which of them is a quorum is left to chance."""
        self.counts["split"] += 1
        others = self.others(sid)
        group = {sid, *self.random.sample(others, self.random.randrange(len(others)))}
        self.mesh.cut([(one, other) for one in group for other in self.mesh.servers if other not in group])
        return self.healing()

    def ring(self, sid, _role):
        """Each reaches its two neighbours only: of five no two see the same majority. Of three it is a chain with this one in its middle."""
        self.counts["ring"] += 1
        circle = [sid, *self.random.sample(others := self.others(sid), len(others))]
        lost = [(one, other) for at, one in enumerate(circle) for other in circle[at + 2:] if (at, other) != (0, circle[-1])]
        self.mesh.cut(lost or [(circle[1], circle[2])])
        return self.healing()

    def one_way(self, sid, role):
        """What this one sends is lost, or what is sent to it, with one of the others or with all."""
        self.counts[f"one-way loss at a {role}"] += 1
        others = self.others(sid)
        sends = self.random.random() < 0.5
        chosen = self.random.sample(others, self.random.choice((1, len(others))))
        self.mesh.lose([(sid, other) if sends else (other, sid) for other in chosen])
        return self.healing()

    def slow(self, sid, role):
        self.counts[f"slow links of a {role}"] += 1
        self.mesh.slow(sid)
        return self.healing()

    def make_lossy(self, sid, role):
        """Some of all packets of this one are lost, both ways."""
        self.counts[f"lossy links of a {role}"] += 1
        self.mesh.make_lossy(sid)
        return self.healing()

    def unplug(self, sid, role):
        """Nobody reaches this one, clients neither."""
        self.counts[f"unplugged {role}"] += 1
        self.mesh.unplug(sid)
        return self.healing()

    def lose_power(self, sid, role):
        """It is gone at once, and no packet tells of its end. It may be back before the others have noticed."""
        self.counts[f"power loss of a {role}"] += 1
        self.mesh.unplug(sid)
        server = self.mesh.servers[sid]
        server.kill()
        return lambda: (self.a_while(), self.mesh.heal(), launch(server))

    def healing(self):
        return lambda: (self.a_while(), self.mesh.heal())

    def wipe(self, _sid, _role):
        """All data of one follower is gone. Only while all others are well: what was acknowledged may be on few more disks."""
        self.recovered()
        leader = self.mesh.leader()
        most = len(self.mesh.servers) - 1
        wait_for(lambda: self.mesh.numbers(leader).get("zk_synced_followers") == str(most), "all followers to be in step", SERVE_SECONDS)
        self.counts["data lost by a follower"] += 1
        server = self.mesh.servers[self.random.choice([sid for sid in self.mesh.servers if sid != leader])]
        server.kill()
        shutil.rmtree(server.data_dir / "version-2")
        server.launch()
        self.recovered()
        return lambda: None

    def fill_disk(self, _sid, _role):
        """The file system of the first server is full, and it may end; later there is room again."""
        self.counts["full disk"] += 1
        server, ballast = self.mesh.servers[1], self.mesh.mounted / "ballast"
        with open(ballast, "wb", buffering=0) as file:
            try:
                while file.write(bytes(BALLAST_BYTES)) == BALLAST_BYTES:
                    pass
            except OSError as full:
                if full.errno != errno.ENOSPC:
                    raise

        def end():
            self.a_while()
            ballast.unlink()
            # What failed for want of room a moment ago still ends it.
            time.sleep(EXIT_SECONDS)
            if not server.running():
                self.counts["end on a full disk"] += 1
                launch(server)
        return end
