"""Observers of both kinds behind a slow link: they get the whole tree over it while clients write, and keep in step.

The voters have the kinds of the stage, so that a leader of each kind has an observer of the other.
"""
import threading
import time

import zkwire as zk
from far_link import FarLink
from members import Ensemble, digests, sync, wait_for

# Bytes per second and seconds each way: a link of eight megabits between two continents.
RATE, DELAY = 1_000_000, 0.05
VOTERS, OBSERVERS = (1, 2, 3), {4: "paddock", 5: "java"}
TICK_MS = 1000
SESSION_MS = 15_000
# Not more than the link carries twice, once for each observer.
WRITERS, PAUSE_SECONDS = 4, 0.01
VALUE_BYTES, NODE_BYTES = 100, 1000
FILL_WINDOW = 200
# So long is each measurement without and with observers that are in step.
WINDOW_SECONDS = 4
# What a voter's clients may wait longer at the 99th percentile when observers are there, beside a busy machine's own.
SLOWER_FACTOR, SLOWER_SECONDS = 5, 0.5


class FarAway(Ensemble):
    """Three voters here, observers there; what goes between the places goes over the link."""

    def __init__(self, kinds, folder, settings):
        self.link, self.far_ports = FarLink(RATE, DELAY), {}
        super().__init__([*kinds, *OBSERVERS.values()], folder, settings=settings)
        for sid in OBSERVERS:
            self.servers[sid].settings["peerType"] = "observer"

    def lines(self, sid):
        lines = {}
        for other, ports in self.ports.items():
            quorum, election = ports if (sid in OBSERVERS) == (other in OBSERVERS) else self.through_the_link(other)
            lines[f"server.{other}"] = f"127.0.0.1:{quorum}:{election}" + (":observer" if other in OBSERVERS else "")
        return lines

    def through_the_link(self, sid):
        if sid not in self.far_ports:
            self.far_ports[sid] = [self.link.port(port, sid in OBSERVERS) for port in self.ports[sid]]
        return self.far_ports[sid]


class Paced(threading.Thread):
    """Sets a znode, with a pause behind each answer. Its connection must not break."""

    def __init__(self, ensemble, sid, path):
        super().__init__(daemon=True)
        self.client, self.path = ensemble.client(sid, SESSION_MS), path
        self.latencies, self.number, self.failure = [], 0, None
        self.ends = threading.Event()
        self.client.create(path, b"0" * VALUE_BYTES)

    def run(self):
        try:
            while not self.ends.wait(PAUSE_SECONDS):
                self.number += 1
                sent = time.monotonic()
                self.client.set_data(self.path, f"{self.number:0{VALUE_BYTES}}".encode())
                answered = time.monotonic()
                self.latencies.append((answered, answered - sent))
        except Exception as failure:
            self.failure = failure


class Watcher(threading.Thread):
    """A client of an observer that looks at what is written elsewhere, by syncs; neither its connection nor its ephemeral may go."""

    def __init__(self, ensemble, sid, path):
        super().__init__(daemon=True)
        self.client, self.path = ensemble.client(sid, SESSION_MS), path
        self.client.create(f"/far{sid}", flags=zk.EPHEMERAL)
        self.seen, self.failure = 0, None
        self.ends = threading.Event()

    def run(self):
        try:
            while not self.ends.wait(0.1):
                sync(self.client)
                self.seen = int(self.client.get_data(self.path)[0])
        except Exception as failure:
            self.failure = failure


def fill(ensemble, megabytes):
    """Twice over: a leader has less in its log that it would rather send than a snapshot."""
    client = ensemble.client(ensemble.leader(), SESSION_MS)
    client.create("/tree")
    count = megabytes * 1_000_000 // NODE_BYTES
    for code, body in ((zk.CREATE, zk.create_body), (zk.SET_DATA, zk.set_data_body)):
        for start in range(0, count, FILL_WINDOW):
            numbers = range(start, min(start + FILL_WINDOW, count))
            for number in numbers:
                client.submit(code, body(f"/tree/{number:06}", b"t" * NODE_BYTES))
            for _ in numbers:
                if (reply := client.receive()).error:
                    raise AssertionError(f"error {reply.error}")
    client.close()


def measured(writers, begin, end, what):
    """Prints rate and latencies of the writes that were answered between two moments; gives the 99th percentile in seconds."""
    latencies = sorted(latency for writer in writers for at, latency in list(writer.latencies) if begin <= at < end)
    if not latencies:
        raise AssertionError(f"no write {what}")
    p50, p99 = (latencies[int(len(latencies) * share)] for share in (0.5, 0.99))
    print(f"       {what}: {len(latencies) / (end - begin):.0f} writes/s, p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms", flush=True)
    return p99


def window(writers, what):
    begin = time.monotonic()
    time.sleep(WINDOW_SECONDS)
    return measured(writers, begin, time.monotonic(), what)


def keep_in_step(work, kinds, megabytes):
    """Nobody's connection breaks, voters are as fast as without observers, all digests are equal."""
    settings = {"tickTime": str(TICK_MS), "initLimit": str(max(20, 4 * megabytes)), "syncLimit": "5", "snapCount": "2000", "commitLogCount": "500"}
    ensemble = FarAway(kinds, work / "far", settings)
    for sid in VOTERS:
        ensemble.servers[sid].launch()
    for sid in VOTERS:
        ensemble.servers[sid].wait_serving()
    leader = ensemble.leader()
    kind = ensemble.servers[leader].kind
    print(f"       the leader is {kind}, the tree has {megabytes} MB, the link {RATE / 1e6:.0f} MB/s and {DELAY * 1000:.0f} ms", flush=True)
    fill(ensemble, megabytes)
    writers = [Paced(ensemble, VOTERS[number % len(VOTERS)], f"/paced{number}") for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    window(writers, "warming up")
    alone = window(writers, "without observers")
    watchers = join(ensemble, writers, megabytes)
    beside = window(writers, "with observers in step")
    finish(ensemble, writers, watchers)
    if beside > alone * SLOWER_FACTOR + SLOWER_SECONDS:
        raise AssertionError(f"p99 of writes is {beside:.3f} s with observers, {alone:.3f} s without")
    expect_observers(ensemble, leader)
    ensemble.stop()


def join(ensemble, writers, megabytes):
    """The observers come with nothing, while clients write; gives a client of each."""
    begin = time.monotonic()
    for sid in OBSERVERS:
        ensemble.servers[sid].launch()
    for sid in OBSERVERS:
        ensemble.servers[sid].wait_serving(60 + 4 * megabytes)
        print(f"       the {OBSERVERS[sid]} observer serves after {time.monotonic() - begin:.1f} s", flush=True)
    measured(writers, begin, time.monotonic(), "while observers get the tree")
    watchers = [Watcher(ensemble, sid, writers[0].path) for sid in OBSERVERS]
    for watcher in watchers:
        watcher.start()
    return watchers


def finish(ensemble, writers, watchers):
    """What was acknowledged last is seen by the observers' clients, on the connections of the beginning."""
    for writer in writers:
        writer.ends.set()
        writer.join(SESSION_MS / 1000)
    last = writers[0].number
    wait_for(lambda: all(client.failure or client.seen == last for client in watchers), "the last write to be seen on the observers")
    for watcher in watchers:
        watcher.ends.set()
        watcher.join(SESSION_MS / 1000)
    for client in (*writers, *watchers):
        if client.failure is not None:
            raise AssertionError(f"{client.path}: {client.failure!r}")
    for sid, watcher in zip(OBSERVERS, watchers):
        owner = watcher.client.get_data(f"/far{sid}")[1].ephemeralOwner
        if owner != watcher.client.session[0]:
            raise AssertionError(f"/far{sid} is owned by 0x{owner:x}")
        watcher.client.close()


def expect_observers(ensemble, leader):
    """They observe the leader of the beginning, and have its digest."""
    modes = ensemble.modes()
    if modes[leader] != "leader" or [modes[sid] for sid in OBSERVERS] != ["observer"] * len(OBSERVERS):
        raise AssertionError(f"the roles at the end: {modes}")
    def agreed():
        found = {int(zxid, 16): by_server for zxid, by_server in digests(ensemble).items() if len(by_server) == len(ensemble.servers)}
        return found and len(set(found[max(found)].values())) == 1
    wait_for(agreed, "one digest on all servers")
