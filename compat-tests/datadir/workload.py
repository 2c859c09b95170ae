"""What is written into a data directory: a tree with every kind of node, random traffic, and writes cut short by a kill."""
import collections
import hashlib
import base64

import zkwire as zk

WINDOW = 64
SESSION_MS = 600_000
USER = "user:test"
SUPER = "super:test"
BIG = 300_000
LONG_TTL_MS = 36_000_000
UNICODE_NAMES = ("ünïcödé", "пример", "日本語", "عربى", "with space", "a=b;c,d", "%41", "ﬀ")


def digest_id(credentials):
    """The id under which a digest ACL stores `user:password`."""
    user = credentials.split(":", 1)[0]
    return f"{user}:{base64.b64encode(hashlib.sha1(credentials.encode()).digest()).decode()}"


OWNER = (31, "digest", digest_id(USER))
ACLS = (
    zk.OPEN,
    (OWNER,),
    ((1, "world", "anyone"), OWNER),
    ((31, "ip", "127.0.0.1"), (1, "world", "anyone")),
    ((7, "ip", "127.0.0.0/8"), OWNER),
)


def connect(server, session=(0, bytes(16))):
    client = zk.Client(server.host, server.port, SESSION_MS, session)
    client.auth("digest", USER)
    return client


def take_dump(server):
    """The whole tree as the super user sees it."""
    with zk.Client(server.host, server.port) as client:
        client.auth("digest", SUPER)
        return zk.dump(client)


class Workload:
    """Writes below /<tag> of one server. Keeps in `sequences` how many children each sequence parent has had."""

    def __init__(self, client, tag, rng):
        self.client, self.base, self.rng = client, f"/{tag}", rng
        self.sequences = collections.Counter()
        client.create(self.base, b"root of this part")

    def every_kind(self, passing):
        """Nodes of every kind, each way of changing them, and requests that fail. `passing`: a session closed at the end."""
        self._acls()
        self._data()
        self._kinds()
        self._quota()
        self._sequence_numbers()
        self._transactions()
        self._refusals()
        self._ephemerals(passing)

    def _make(self, name, data=b"", **named):
        return self.client.create(f"{self.base}/{name}", data, **named)

    def _acls(self):
        # Twenty nodes for each list: Java counts references to a list and may lose count in a replay (ZOOKEEPER-4689).
        self._make("acl")
        for number, acl in enumerate(ACLS):
            for copy in range(20):
                self._make(f"acl/{number}-{copy}", acl=acl)
        changed = self._make("acl/changed", acl=((31, "auth", ""),))
        for acl in (zk.OPEN, ACLS[2], ACLS[1]):
            self.client.set_acl(changed, acl)

    def _data(self):
        self._make("data")
        for name, data in (("null", None), ("empty", b""), ("one", b"\0"), ("all", bytes(range(256))), ("big", b"x" * BIG)):
            self._make(f"data/{name}", data)
        self.client.set_data(self._make("data/becomes-null", b"was here"), None)
        self.client.set_data(self._make("data/becomes-empty", None), b"")
        self._make("names")
        for name in UNICODE_NAMES:
            self._make(f"names/{name}", name.encode())
        deep = self._make("deep")
        for level in range(30):
            deep = self.client.create(f"{deep}/{level}", b"level")

    def _kinds(self):
        self._make("box", code=zk.CREATE_CONTAINER, flags=zk.CONTAINER)
        self._make("box/inside", b"keeps the container alive")
        self._make("box-never-used", code=zk.CREATE_CONTAINER, flags=zk.CONTAINER, acl=ACLS[2])
        self._make("ttl", b"t", code=zk.CREATE_TTL, flags=zk.TTL, ttl=LONG_TTL_MS)
        self._make("ttl-longest", None, code=zk.CREATE_TTL, flags=zk.TTL, ttl=(1 << 40) - 1)
        self._make("ttl-numbered-", code=zk.CREATE_TTL, flags=zk.TTL_SEQUENTIAL, ttl=LONG_TTL_MS)
        self._make("with-stat", b"create2", code=zk.CREATE2)

    def _quota(self):
        quota = f"/zookeeper/quota{self.base}"
        self.client.create(quota)
        self.client.create(f"{quota}/zookeeper_limits", b"count=100000,bytes=-1")
        self.client.create(f"{quota}/zookeeper_stats", b"count=0,bytes=0")

    def _sequence_numbers(self):
        self._make("seq")
        made = [self._make("seq/n-", flags=zk.SEQUENTIAL) for _ in range(15)]
        for path in made[::3]:
            self.client.delete(path)
        self._make("seq/plain")
        self.sequences[f"{self.base}/seq"] = len(made) + 1

    def _transactions(self):
        at = self._make("multi", b"0")
        errors = self.client.multi([
            (zk.CREATE, zk.create_body(f"{at}/one", b"1")),
            (zk.CREATE2, zk.create_body(f"{at}/two", None, ACLS[1])),
            (zk.CREATE_CONTAINER, zk.create_body(f"{at}/box", b"", zk.OPEN, zk.CONTAINER)),
            (zk.CREATE_TTL, zk.create_body(f"{at}/ttl", b"", zk.OPEN, zk.TTL, LONG_TTL_MS)),
            (zk.CREATE, zk.create_body(f"{at}/mine", b"", zk.OPEN, zk.EPHEMERAL)),
            (zk.CHECK, zk.delete_body(f"{at}/one", 0)),
            (zk.SET_DATA, zk.set_data_body(f"{at}/one", b"changed", 0)),
            (zk.CREATE, zk.create_body(f"{at}/gone")),
            (zk.DELETE, zk.delete_body(f"{at}/gone")),
            (zk.SET_DATA, zk.set_data_body(at, b"1")),
        ])
        expect(errors, [])
        errors = self.client.multi([
            (zk.SET_DATA, zk.set_data_body(at, b"must not be seen")),
            (zk.DELETE, zk.delete_body(f"{at}/missing")),
            (zk.CREATE, zk.create_body(f"{at}/must-not-exist")),
        ])
        expect(errors, [0, zk.NO_NODE, -2])
        expect(self.client.multi([]), [])

    def _refusals(self):
        for code, attempt in (
            (zk.NODE_EXISTS, lambda: self.client.create(self.base)),
            (zk.NO_NODE, lambda: self.client.delete(f"{self.base}/missing")),
            (zk.BAD_VERSION, lambda: self.client.set_data(self.base, b"", 77)),
        ):
            try:
                attempt()
            except zk.Refused as refused:
                expect(refused.code, code)
            else:
                raise AssertionError(f"a request was accepted that must fail with {code}")

    def _ephemerals(self, passing):
        self._make("live")
        self._make("live/mine", b"e", flags=zk.EPHEMERAL, acl=ACLS[2])
        self._make("live/locks-", flags=zk.EPHEMERAL_SEQUENTIAL)
        for number in range(3):
            passing.create(f"{self.base}/live/passing-{number}", flags=zk.EPHEMERAL)
        passing.close()

    def traffic(self, count):
        """`count` random writes with many in flight. Parents stay, so that Java replays its own fuzzy snapshots right."""
        parents = [self._make(f"traffic-{number}") for number in range(6)]
        waiting = collections.deque()
        for _ in range(count):
            waiting.append(self.client.submit(*self._random_write(parents)))
            if len(waiting) >= WINDOW:
                self._expect_reply(waiting)
        while waiting:
            self._expect_reply(waiting)

    def _random_write(self, parents):
        rng = self.rng
        path = f"{rng.choice(parents)}/n{rng.randrange(30)}"
        data = None if rng.random() < 0.1 else rng.randbytes(rng.randrange(200))
        kind = rng.random()
        if kind < 0.35:
            flags = zk.EPHEMERAL if rng.random() < 0.2 else zk.PERSISTENT
            return zk.CREATE, zk.create_body(path, data, rng.choice(ACLS), flags)
        if kind < 0.40:
            return zk.CREATE, zk.create_body(f"{rng.choice(parents)}/s-", data, zk.OPEN, zk.SEQUENTIAL)
        if kind < 0.75:
            return zk.SET_DATA, zk.set_data_body(path, data)
        if kind < 0.80:
            return zk.SET_ACL, zk.set_acl_body(path, rng.choice(ACLS))
        if kind < 0.85:
            other = f"{rng.choice(parents)}/m{rng.randrange(30)}"
            return zk.MULTI, zk.multi_body([(zk.SET_DATA, zk.set_data_body(path, data)), (zk.CREATE, zk.create_body(other, data))])
        return zk.DELETE, zk.delete_body(path)

    def _expect_reply(self, waiting):
        reply = self.client.receive()
        expect(reply.xid, waiting.popleft())
        if reply.error not in (0, zk.NO_NODE, zk.NODE_EXISTS):
            raise zk.Refused(reply.error, "random write")


class CutShort:
    """A stream of writes during which the server is killed; knows every state in which it may be found afterwards."""

    def __init__(self, client, base):
        self.client, self.parent = client, f"{base}/cut"
        self.counter = f"{self.parent}/counter"
        self.sent = self.acknowledged = 0
        client.create(self.parent)
        client.create(self.counter, b"start")

    def run(self, server, kill_after):
        """Writes with many in flight; kills the server when `kill_after` writes are acknowledged."""
        try:
            while True:
                self.client.submit(*self._write(self.sent))
                self.sent += 1
                if self.sent - self.acknowledged >= WINDOW:
                    self._acknowledge()
                if self.acknowledged == kill_after and server.running():
                    server.kill()
        except (zk.Closed, OSError):
            self._drain()
        self.client.abandon()

    def _drain(self):
        """What arrived before the connection broke is acknowledged as well."""
        try:
            while True:
                self._acknowledge()
        except (zk.Closed, OSError):
            return

    def _acknowledge(self):
        reply = self.client.receive()
        if reply.error:
            raise zk.Refused(reply.error, "write before the kill")
        self.acknowledged += 1

    def _write(self, number):
        kind = number % 4
        if kind == 0:
            return zk.SET_DATA, zk.set_data_body(self.counter, str(number).encode())
        if kind == 3 and number > 40:
            return zk.DELETE, zk.delete_body(f"{self.parent}/n{number - 38}")
        return zk.CREATE, zk.create_body(f"{self.parent}/n{number}", str(number).encode())

    def check(self, tree):
        """The tree must hold the effect of the first k writes, for one k not below the acknowledged ones."""
        found = {path: entry.data for path, entry in tree.items() if path.startswith(f"{self.parent}/")}
        state = {self.counter: b"start"}
        for number in range(self.sent + 1):
            if number >= self.acknowledged and state == found:
                return number
            self._apply(state, number)
        raise AssertionError(f"{self.parent}: not a state after {self.acknowledged} to {self.sent} writes: {len(found)} nodes, "
                             f"counter {found.get(self.counter)}")

    def _apply(self, state, number):
        kind = number % 4
        if kind == 0:
            state[self.counter] = str(number).encode()
        elif kind == 3 and number > 40:
            del state[f"{self.parent}/n{number - 38}"]
        else:
            state[f"{self.parent}/n{number}"] = str(number).encode()


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"expected {wanted!r}, found {found!r}")
