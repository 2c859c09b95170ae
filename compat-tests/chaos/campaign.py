"""Rounds over an ensemble: load through any of its servers while faults befall them; then the history and the trees are checked."""
import collections
import functools
import json
import shutil
import time

import cuts
import zkwire
from faults import STOP_MOST, Trouble
from members import digests, sync
from mesh import MESHES
from rounds import HERE, PROPERTIES, SETTINGS, TIMEOUT_SECONDS, Broken, Round, popen
from waking import wakes

# One that was cut off may serve for syncLimit ticks (2 s); the rest is for a machine that has much to do.
BOUND_SECONDS = 3
ROUND_SECONDS = 25
DISK = "48m"
# Java servers take unknown lines as properties, too.
TYPES = dict(item.removeprefix("zookeeper.").split("=") for item in PROPERTIES)
SUMS = ("operations", "acknowledged", "unknown", "syncs", "events", "sessions", "links", "violations", "locks", "elections",
        "masters", "locked_writes", "fenced")


class EnsembleRound(Round):
    # Nobody says when what has no answer is over, as the restart of a single server does: few of those have to be in one family.
    families = 32
    load_flags = ("-pause", "30ms")

    def __init__(self, mesh, programs, folder, seed):
        super().__init__(mesh, programs, folder, seed)
        self.faults = Trouble(mesh, self.random, TIMEOUT_SECONDS)

    @property
    def check_flags(self):
        java = {sid: server.address for sid, server in self.server.servers.items() if server.kind == "java"}
        slept = [java[sid] for sid in self.faults.stopped if sid in java]
        return ("-ensemble", f"{BOUND_SECONDS}s", "-java", ",".join(java.values()), "-slept", ",".join(slept),
                "-asleep", f"{STOP_MOST * TIMEOUT_SECONDS:.1f}s")

    def begin(self):
        super().begin()
        command = [self.python, str(HERE / "locks.py"), self.gates, self.root, str(self.seed), str(TIMEOUT_SECONDS)]
        self.locks_log = self.folder / "locks.log"
        self.locks = popen(command, self.locks_log)

    def beside(self):
        return {"locks": self.locks, **super().beside()}

    def finish(self):
        super().finish()
        self.locked = json.loads(self.locks_log.read_text().splitlines()[-1])

    def abandon(self):
        super().abandon()
        if self.locks.poll() is None:
            self.locks.kill()
        self.locks.wait()

    def same_trees(self):
        """Every server has the same znodes, field by field, and the same digest wherever two tell of the same zxid."""
        trees = {}
        for sid in self.server.servers:
            client = self.server.client(sid)
            sync(client)
            trees[sid] = zkwire.dump(client)
            # Each server shows the addresses that it has been given: its own ways through the mesh.
            del trees[sid]["/zookeeper/config"]
            client.abandon()
        first = trees.pop(1)
        for sid, tree in trees.items():
            lines = zkwire.differences(first, tree)
            assert not lines, f"server 1 and server {sid}:\n" + "\n".join(lines)
        told = {int(zxid, 16): by_server for zxid, by_server in digests(self.server).items()}
        if "java" in self.server.kinds:
            # A Java server that was sent a snapshot under load differs until it has caught up: only the newest that all have counts.
            common = [zxid for zxid, by_server in told.items() if len(by_server) == len(self.server.servers)]
            told = {zxid: told[zxid] for zxid in sorted(common)[-1:]}
        for zxid, by_server in told.items():
            assert len(set(by_server.values())) == 1, f"digests at 0x{zxid:x}: {by_server}"
        return first


class Campaign:
    """All rounds over one ensemble."""

    def __init__(self, kinds, programs, work, seed, disk=False, links="proxies"):
        """`kinds` says what each server is, java or paddock, `links` how they reach each other: one of MESHES."""
        self.programs, self.work, self.count, self.seed = programs, work, len(kinds), seed
        self.sums, self.faults, self.rounds = collections.Counter(), collections.Counter(), 0
        self.stalest = self.slowest = 0.0
        self.mesh = MESHES[links](kinds, work / "-".join(kinds), {**SETTINGS, **TYPES}, DISK if disk else None)

    def start(self):
        self.mesh.start()

    def round(self, befall):
        """Load while `befall` does what it wants with the round's faults; gives the tree that is on all servers then."""
        seed = self.seed + self.rounds
        one = EnsembleRound(self.mesh, self.programs, self.work / f"ensemble-round-{seed}", seed)
        one.begin()
        try:
            befall(one.faults)
            time.sleep(0.5)
            one.finish()
        finally:
            self.faults += one.faults.counts
            self.slowest = max(self.slowest, one.faults.slowest)
            one.abandon()
        try:
            found = one.check()
        except Broken as broken:
            self.sums["violations"] += broken.violations
            raise
        tree = one.same_trees()
        self.mesh.purge()
        self.rounds += 1
        self.sums.update({name: {**found, **one.locked}[name] for name in SUMS})
        self.stalest = max(self.stalest, found["stalest"])
        print(f"       seed {seed}: {one.faults.counts.total()} faults, {found['operations']} operations, {found['acknowledged']} writes "
              f"acknowledged, {found['unknown']} without answer, stalest read {found['stalest']:.2f} s, slowest recovery "
              f"{one.faults.slowest:.1f} s, {len(tree)} znodes on each; "
              f"checked in {found['seconds']:.1f} s", flush=True)
        shutil.rmtree(one.folder)
        return tree

    def rounds_for(self, judge, seconds):
        """Rounds until the time is over or one fails."""
        deadline = time.monotonic() + seconds
        while not judge.failed and (left := deadline - time.monotonic()) > ROUND_SECONDS / 2:
            judge.case(f"{self.count} servers under load and faults, seed {self.seed + self.rounds}", self.round,
                       functools.partial(Trouble.run, seconds=min(ROUND_SECONDS, left)))

    def wakings(self, judge, *roles):
        """Servers that were stopped wake while old requests wait for them."""
        for role in roles:
            if not judge.failed:
                judge.case(f"a {role} that was stopped wakes and answers nothing from before", wakes, self.mesh, role)

    def cuts(self, judge, is_bounded):
        """Each way in which a network may leave one server alone; against the bounds, or only to see what happens."""
        if judge.failed:
            return
        cuts.prepare(self.mesh)
        for title, arguments in cuts.scenes():
            if not judge.failed:
                judge.case(title, cuts.bounded if is_bounded else cuts.cut_off, self.mesh, *arguments)
        if is_bounded and not judge.failed:
            judge.case("a follower behind a slow link shows nothing that is too old", cuts.lags, self.mesh)
        if not judge.failed:
            cuts.clean(self.mesh)

    def end(self):
        self.mesh.end()

    def report(self):
        kinds = ", ".join(f"{count} × {kind}" for kind, count in sorted(self.faults.items()))
        return (f"{self.count} servers, {self.rounds} rounds: " + ", ".join(f"{self.sums[name]} {name}" for name in SUMS) +
                f", stalest read {self.stalest:.2f} s, slowest recovery {self.slowest:.1f} s\n       faults: {self.faults.total()} ({kinds})")
