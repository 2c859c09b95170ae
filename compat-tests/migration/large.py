"""A large ensemble is moved: millions of znodes, thousands of sessions that hardly do anything, a few clients that write steadily.

Each step is timed: how long the member was away, and for how long the writers had to wait.
"""
import itertools
import os
import sys
import threading
import time

import stage
import zkwire as zk
from members import digests, sync, wait_for
from programs import HERE, Program, expect
from steps import move, start, stop, verified

# A Java server that is elected writes a snapshot before it leads, and its followers wait for no longer than initLimit.
SETTINGS = {"tickTime": "2000", "initLimit": "30", "syncLimit": "5", "snapCount": None, "preAllocSize": None}
# Of each member; what two million znodes need, with room for a snapshot that is being taken.
JVM = ("-Xmx3g",)
TIMEOUT_MS = 30_000
PROCESSES = 4
CHILDREN, BATCH, WINDOW = 1000, 250, 8
DATA = b"d" * 100
WRITERS, WRITE_EVERY_SECONDS = 4, 0.02
STEP_SECONDS = 600
PATIENCE = f" --patience {STEP_SECONDS}"


def fill(ensemble, count):
    """`count` znodes of 100 bytes, a thousand below each of their parents."""
    client = ensemble.client(ensemble.leader(), TIMEOUT_MS, seconds=STEP_SECONDS)
    client.create("/tree")
    parents = -(-count // (CHILDREN + 1))
    paths = (path for parent in range(parents)
             for path in (f"/tree/{parent:05}", *(f"/tree/{parent:05}/{child:04}" for child in range(CHILDREN))))
    flying = 0
    while batch := list(itertools.islice(paths, BATCH)):
        client.submit(zk.MULTI, zk.multi_body([(zk.CREATE, zk.create_body(path, DATA)) for path in batch]))
        flying += 1
        if flying == WINDOW:
            flying -= filled(client)
    while flying:
        flying -= filled(client)
    client.close()


def restart(ensemble, operator):
    """Filled by multis, a log holds many times what it would of single writes; the servers begin new ones behind a snapshot."""
    for sid in ensemble.servers:
        operator.must(sid, "stop Java")
    start(ensemble, operator, STEP_SECONDS)


def filled(client):
    reply = client.receive()
    expect("the error of a multi", reply.error, 0)
    return 1


class Writer(threading.Thread):
    """Sets one znode to 1, 2, 3 … some fifty times a second, on whatever server answers, in one session."""

    def __init__(self, ensemble, number):
        super().__init__(daemon=True)
        self.ensemble, self.path = ensemble, f"/steady{number}"
        self.turn = number
        self.session, self.sent, self.acknowledged, self.at = (0, bytes(16)), 0, 0, []
        self.failure = None
        self.ends = threading.Event()

    def run(self):
        sids = list(self.ensemble.servers)
        try:
            while not self.ends.is_set():
                try:
                    client = self.ensemble.client(sids[self.turn % len(sids)], TIMEOUT_MS, self.session, seconds=TIMEOUT_MS / 3000)
                    self.session = client.session
                    self.write(client)
                    client.abandon()
                except zk.Expired:
                    raise
                except (OSError, zk.Closed):
                    pass
                self.turn += 1
                self.ends.wait(WRITE_EVERY_SECONDS)
        except Exception as failure:
            self.failure = failure

    def write(self, client):
        try:
            while not self.ends.wait(WRITE_EVERY_SECONDS):
                self.sent += 1
                client.set_data(self.path, str(self.sent).encode())
                self.acknowledged = self.sent
                self.at.append(time.monotonic())
        except zk.Closed:
            pass


def longest_gap(times, begin, end):
    """The longest time without an acknowledged write between two moments."""
    within = [begin, *(at for at in sorted(times) if begin < at < end), end]
    return max(later - earlier for earlier, later in zip(within, within[1:]))


class Crowd:
    """All sessions, in several processes."""

    def __init__(self, hosts, count):
        environment = {**os.environ, "PYTHONPATH": str(stage.TESTS / "lib"), "PYTHONDONTWRITEBYTECODE": "1"}
        each = count // PROCESSES
        self.programs = [
            Program([sys.executable, str(HERE / "idle_sessions.py"), hosts, str(first), str(each), str(TIMEOUT_MS)], environment)
            for first in range(0, each * PROCESSES, each)]

    def reports(self, word="report"):
        reports = [program.reports(word) for program in self.programs]
        expect("sessions that were lost, and errors", [(report["lost"], report["errors"]) for report in reports], [(0, [])] * PROCESSES)
        return reports

    def all_connected(self):
        return all(report["connected"] == report["sessions"] for report in self.reports())

    def ids(self):
        return {number: session for report in self.reports("ids") for number, session in report["ids"].items()}

    def kill(self):
        for program in self.programs:
            program.process.kill()


class Move:
    """The ensemble with its crowd and its writers."""

    def __init__(self, operator, crowd, writers):
        self.operator, self.ensemble, self.crowd, self.writers = operator, operator.ensemble, crowd, writers
        self.notices, self.ids = 0, crowd.ids()

    def replace(self, operator, sid, target):
        """One step; prints a row of the table in docs/migration.md."""
        role = self.ensemble.modes()[sid]
        began = time.monotonic()
        stop(operator, sid, target)
        stopped = time.monotonic()
        operator.must(sid, "start Java" if target == "java" else "start Paddock")
        wait_for(lambda: self.in_step(sid), f"server {sid} to be in step", STEP_SECONDS)
        in_step = time.monotonic()
        printed = verified(operator, sid, "verify the way back" if target == "java" else "verify", PATIENCE, STEP_SECONDS)
        verified_at = time.monotonic()
        wait_for(self.crowd.all_connected, "every session to be connected", STEP_SECONDS)
        ended = time.monotonic()
        gaps = [longest_gap(writer.at, began, ended) for writer in self.writers]
        everybody = longest_gap([at for writer in self.writers for at in writer.at], began, ended)
        away = max(report["longest_away"] for report in self.crowd.reports("step"))
        print(f"       | {target} | {sid}, {role} | {stopped - began:.1f} | {in_step - stopped:.1f} | {verified_at - in_step:.1f} | "
              f"{everybody:.1f} | {max(gaps):.1f} | {away:.1f} |", flush=True)
        return printed

    def in_step(self, sid):
        modes = self.ensemble.modes()
        leader = next((other for other, mode in modes.items() if mode == "leader"), None)
        return leader is not None and sid in modes and self.ensemble.numbers(leader).get("zk_synced_followers") == str(len(modes) - 1) \
            and len(modes) == len(self.ensemble.servers)

    def whole(self):
        """Nobody has lost a session, an ephemeral, a watch or a write; the trees are equal."""
        self.notices += 1
        told = self.notices
        client = self.ensemble.client(1, TIMEOUT_MS)
        client.set_data("/notice", str(told).encode())
        client.close()
        wait_for(lambda: all(report["seen"] >= told for report in self.crowd.reports()), "every session to see the notice", STEP_SECONDS)
        expect("the sessions", self.crowd.ids(), self.ids)
        for sid in self.ensemble.servers:
            reader = self.ensemble.client(sid, TIMEOUT_MS, seconds=60)
            acknowledged = {writer.path: writer.acknowledged for writer in self.writers}
            sync(reader)
            expect(f"the ephemerals on server {sid}", reader.children("/members"), sorted(self.ids))
            for path, least in acknowledged.items():
                value = int(reader.get_data(path)[0])
                expect(f"{path} on server {sid} is at least {least}, found {value}", value >= least, True)
            reader.close()
        for writer in self.writers:
            expect(f"what went wrong with {writer.path}", writer.failure, None)
        wait_for(self.same_digests, "the same digest on all servers", STEP_SECONDS)

    def same_digests(self):
        found = digests(self.ensemble)
        common = [zxid for zxid, by_server in found.items() if len(by_server) == len(self.ensemble.servers)]
        return common and len(set(found[max(common, key=lambda zxid: int(zxid, 16))].values())) == 1

    def there_and_back(self):
        print("       | to | member | stopped, copied | started to in step | verified | longest gap of all | of one | a session away |")
        for target in ("paddock", "java"):
            move(self.operator, target, self.replace, lambda: None)
            self.whole()


def begin(ensemble, sessions):
    """The crowd and the writers; every session is open."""
    client = ensemble.client(1, TIMEOUT_MS)
    for path in ("/members", "/notice", *(f"/steady{number}" for number in range(WRITERS))):
        client.create(path, b"0")
    client.close()
    crowd = Crowd(",".join(server.address for server in ensemble.servers.values()), sessions)
    crowd.reports("opened")
    writers = [Writer(ensemble, number) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    return crowd, writers


def play(judge, ensemble, operator, znodes, sessions):
    """The cases of a large move."""
    judge.case(f"{len(ensemble.servers)} servers of Java serve", start, ensemble, operator)
    judge.case(f"they get {znodes:,} znodes", fill, ensemble, znodes)
    judge.case("they are restarted", restart, ensemble, operator)
    begun = None if judge.failed else judge.case(f"{sessions:,} sessions are opened", begin, ensemble, sessions)
    if begun:
        crowd, writers = begun
        judge.case("to Paddock and back, no session, ephemeral, watch or write is lost", Move(operator, crowd, writers).there_and_back)
        for writer in writers:
            writer.ends.set()
        crowd.kill()
