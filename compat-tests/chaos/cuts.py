"""One server is cut off where packets vanish: how long it still serves, and how long nobody does, during the cut and after it."""
import functools
import itertools
import threading
import time

import zkwire as zk
from members import wait_for

PATH, BULK_PATH = "/cuts", "/cuts/bulk"
SESSION_MS = 20000
# A request without an answer after this time is given up.
PATIENCE_SECONDS = 1
PAUSE_SECONDS = 0.01
CUT_SECONDS, LONG_CUT_SECONDS = 5, 20
# One that was cut off may serve for syncLimit ticks (2 s); the rest is for a machine that has much to do.
BOUND_SECONDS = 3
# Those who are left notice it after syncLimit ticks and then elect.
OUTAGE_SECONDS = 8
RETURN_SECONDS = 10
LAG_SECONDS = 20
BULK_WRITERS, BULK_BYTES = 4, 1000


class Probe(threading.Thread):
    """Asks the same again and again of one of these servers, the next one when that does not answer; `answered` has (begun, ended) of each."""

    def __init__(self, ensemble, sids, request, patience=PATIENCE_SECONDS):
        super().__init__(daemon=True)
        self.ensemble, self.sids, self.request, self.patience = ensemble, itertools.cycle(sids), request, patience
        self.answered, self.over = [], threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set():
            try:
                client = self.ensemble.client(next(self.sids), SESSION_MS, seconds=self.patience)
            except (OSError, zk.Closed):
                self.over.wait(PAUSE_SECONDS)
                continue
            self.ask(client)
            client.abandon()

    def ask(self, client):
        try:
            while not self.over.is_set():
                begun = time.monotonic()
                self.request(client)
                self.answered.append((begun, time.monotonic()))
                self.over.wait(PAUSE_SECONDS)
        except (OSError, zk.Closed, zk.Refused):
            pass

    def end(self):
        self.over.set()
        self.join()
        return self.answered


def read(client):
    client.get_data(PATH)


def write(client):
    client.set_data(PATH, b"")


def both_ways(mesh, sid, others):
    mesh.cut([(sid, other) for other in others])


def sends_nothing(mesh, sid, others):
    mesh.lose([(sid, other) for other in others])


def hears_nothing(mesh, sid, others):
    mesh.lose([(other, sid) for other in others])


def without_power(mesh, sid, _others):
    mesh.unplug(sid)
    mesh.servers[sid].kill()


WAYS = {"is cut off": both_ways, "is not heard": sends_nothing, "hears nothing": hears_nothing}


def cut_off(mesh, role, begin, seconds=CUT_SECONDS):
    """What one server of this role shows while it is cut off for so long, and how all come back.

    It reads for syncLimit at most and writes nothing; the others serve soon, and all of them soon after the end.
    """
    leader = mesh.leader()
    mesh.wait_all_serving()
    sid = leader if role == "leader" else mesh.followers()[0]
    others = [other for other in mesh.servers if other != sid]
    probes = [Probe(mesh, [sid], read), Probe(mesh, [sid], write), Probe(mesh, others, write)]
    try:
        wait_for(lambda: all(probe.answered for probe in probes), "answers before the cut")
        begin(mesh, sid, others)
        cut = time.monotonic()
        time.sleep(seconds)
        healed = time.monotonic()
        mesh.heal()
        if not mesh.servers[sid].running():
            mesh.servers[sid].launch()
        back = functools.partial(wait_for, lambda: len(mesh.modes()) == len(mesh.servers))
        back("every server to serve", 6 * RETURN_SECONDS)
        returned = time.monotonic() - healed
    finally:
        reads, writes, elsewhere = (probe.end() for probe in probes)
    last_read = max(ended for _, ended in reads if ended < healed) - cut
    written = sum(cut < begun and ended < healed for begun, ended in writes)
    outage = min((ended for begun, ended in elsewhere if begun > cut), default=float("inf")) - cut
    print(f"       a {role} that {describe(begin)} for {seconds} s: its last read {last_read:.2f} s after that, {written} writes; "
          f"the others write after {outage:.2f} s, all serve {returned:.2f} s after the end", flush=True)
    return last_read, written, outage, returned


def describe(begin):
    return next((text for text, way in WAYS.items() if way is begin), "loses its power")


def bounded(mesh, role, begin, seconds=CUT_SECONDS):
    """The same, against the bounds."""
    last_read, written, outage, returned = cut_off(mesh, role, begin, seconds)
    assert last_read < BOUND_SECONDS, f"it read for {last_read:.2f} s"
    assert written == 0, f"it acknowledged {written} writes"
    assert outage < OUTAGE_SECONDS, f"nobody wrote for {outage:.2f} s"
    assert returned < RETURN_SECONDS, f"all served again {returned:.2f} s after the end"


def lags(mesh):
    """More is written than goes through the link of a follower: what it shows is not from longer ago than it may serve when it is cut off."""
    leader = mesh.leader()
    mesh.wait_all_serving()
    sid = mesh.followers()[0]
    written, shown = [], []

    def count(client):
        client.set_data(PATH, b"%d" % len(written))
        written.append(time.monotonic())

    def look(client):
        begun = time.monotonic()
        shown.append((begun, int(client.get_data(PATH)[0])))

    bulk = [Probe(mesh, [leader], lambda client: client.set_data(BULK_PATH, bytes(BULK_BYTES))) for _ in range(BULK_WRITERS)]
    counter = Probe(mesh, [leader], count)
    wait_for(lambda: written, "a write")
    reader = Probe(mesh, [sid], look, patience=LAG_SECONDS)
    try:
        wait_for(lambda: shown, "a read")
        mesh.slow(sid)
        time.sleep(LAG_SECONDS)
    finally:
        for probe in (*bulk, counter, reader):
            probe.end()
        mesh.heal()
    mesh.wait_all_serving()
    # A number is old from the moment at which the next one was acknowledged.
    stalest = max(begun - written[number + 1] for begun, number in shown if number + 1 < len(written))
    print(f"       {len(written)} counts, {len(shown)} reads behind a slow link, the stalest from {stalest:.2f} s before", flush=True)
    assert stalest < BOUND_SECONDS, f"it showed what was {stalest:.2f} s old"


def scenes():
    """Title, and what `bounded` is told, of each."""
    for role in ("leader", "follower"):
        for text, way in WAYS.items():
            yield f"a {role} that {text}", (role, way)
        yield f"a {role} that loses its power", (role, without_power)
    yield "a leader that is cut off for long", ("leader", both_ways, LONG_CUT_SECONDS)


def prepare(mesh):
    client = mesh.client(mesh.leader())
    client.create(PATH, b"0")
    client.create(BULK_PATH)
    client.close()


def clean(mesh):
    client = mesh.client(mesh.leader())
    client.delete(BULK_PATH)
    client.delete(PATH)
    client.close()
