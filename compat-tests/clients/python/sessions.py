"""Steps on sessions: a broken connection, watches after it, expiry."""
import time

from kazoo.client import KazooState
from kazoo.exceptions import ConnectionLoss, SessionExpiredError

from basics import ROOT
from harness import SESSION, TICK, Events, check, lost_then_back, wait


def same_session_after_loss(bench):
    path = f"{ROOT}/after-loss"
    client, other = bench.client("p-loss"), bench.client()
    session, password = client.client_id
    client.create(path, ephemeral=True)
    for _ in range(3):
        client.states.seen.clear()
        bench.proxy("drop", "p-loss")
        wait("lost and back", lambda: lost_then_back(client))
        check("session", client.client_id, (session, password))
        check("never lost for good", KazooState.LOST in client.states.seen, False)
    check("the ephemeral is still there", other.get(path)[1].ephemeralOwner, session)
    check("requests go on", client.set(path, b"on").version, 1)


class Seen:
    """What the watch recipes told, newest last."""

    def __init__(self, client, path):
        self.data, self.children, self.plain = [], [], Events()
        client.DataWatch(f"{path}/changed", lambda data, _stat: self.data.append(data))
        client.DataWatch(f"{path}/gone", lambda data, _stat: self.data.append(data))
        client.DataWatch(f"{path}/born", lambda data, _stat: self.data.append(data))
        client.ChildrenWatch(f"{path}/parent", self.children.append)
        client.get(f"{path}/quiet", watch=self.plain)


def watches_after_loss(bench):
    """kazoo drops its watches with the connection and says so; its recipes read and watch anew."""
    path = f"{ROOT}/watches-after-loss"
    client, other = bench.client("p-watch"), bench.client()
    for name in ("changed", "gone", "parent", "quiet"):
        other.create(f"{path}/{name}", b"old " + name.encode(), makepath=True)
    seen = Seen(client, path)
    check("before", (sorted(seen.data, key=str), seen.children), ([None, b"old changed", b"old gone"], [[]]))
    del seen.data[:], client.states.seen[:]
    bench.proxy("cut", "p-watch")
    wait("lost", lambda: KazooState.SUSPENDED in client.states.seen)
    other.set(f"{path}/changed", b"new changed")
    other.delete(f"{path}/gone")
    other.create(f"{path}/born", b"new born")
    other.create(f"{path}/parent/child")
    check("nothing comes over a cut link", (seen.data, seen.children), ([], [[]]))
    bench.proxy("heal", "p-watch")
    wait("back", lambda: lost_then_back(client))
    # Only now: the recipes' own reads held up kazoo's one thread for callbacks while the link was cut.
    seen.plain.expect("the plain watch is told", ("NONE", None))
    wait("three changes and the child", lambda: len(seen.data) >= 3 and len(seen.children) >= 2)
    check("after", sorted(seen.data, key=str), [None, b"new born", b"new changed"])
    check("children after", seen.children[-1], ["child"])
    for number in range(3):
        other.set(f"{path}/changed", b"%d" % number)
        wait("the watches set anew fire", lambda: seen.data[-1] == b"%d" % number)


def expired_when_cut_long(bench):
    path = f"{ROOT}/expired"
    client, other, events = bench.client("p-expire"), bench.client(), Events()
    session = client.client_id[0]
    client.create(path, ephemeral=True)
    other.exists(path, watch=events)
    began = time.monotonic()
    bench.proxy("freeze", "p-expire")
    wait("the ephemeral goes", lambda: events.count() == 1, SESSION + 2 * TICK + 2)
    lasted = time.monotonic() - began
    events.expect("event", ("DELETED", path))
    # The last ping came at most a third of the timeout before the freeze.
    check(f"not expired early ({lasted:.2f} s)", lasted >= SESSION / 2, True)
    try:
        answer = client.create_async(f"{path}-late").get(timeout=0.01)
        raise AssertionError(f"a frozen client got an answer: {answer}")
    except (ConnectionLoss, SessionExpiredError, client.handler.timeout_exception):
        pass
    bench.proxy("heal", "p-expire")
    wait("told for certain", lambda: KazooState.LOST in client.states.seen)
    wait("connected with a new session", lambda: client.states.seen[-1] == KazooState.CONNECTED)
    check("another session", client.client_id[0] != session, True)
    check("the new session works", client.create(f"{path}/new", makepath=True), f"{path}/new")


STEPS = [same_session_after_loss, watches_after_loss, expired_when_cut_long]
