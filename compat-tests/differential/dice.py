"""Scripts from a seed: lines in the language of the case files, so that what fails can be read, shortened and kept as a case.

The lines follow from the seed alone, never from what a server answered.
"""
import base64
import hashlib
import random

SESSIONS = ("a", "b", "c", "d")
NAMES = ("a", "b", "c")
# Created at the beginning, so that most requests meet something.
BEGINNING = ("@/a", "@/b", "@/a/a", "@/a/b", "@/b/a")
ODD_PATHS = ("@/", "@//a", "@/./a", "@/..", "@/a/.", "@/é", "@/\u4e2d/x", "@/a b", "@/a\x00b", "@/\x01", "@/\x7f", "@/\uf8ff",
             "@/\U0001f600", "@/...", "", "relative", "//", b"@/\xff", b"@/\xed\xa0\x80", None)
SYSTEM_PATHS = ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "/zookeeper/none")
VERSIONS = (-1, -1, -1, 0, 0, 1, 2, 3, -2, 2147483647)
CREATES = ("create", "create", "create2", "create2", "createContainer", "createTTL")
TTLS = (1000000, 1000000, 5, 1, 0, -1, 1099511627775, 1099511627776)
UNKNOWN_OPS = (0, 10, 23, 99, 108, -1, -2, 1000, 2147483647, -2147483648)
LIMITS = (b"count=1000,bytes=100000", b"count=-1,bytes=-1=;byteHardLimit=60;countHardLimit=9", b"count=3,bytes=10", b"",
          b"countHardLimit=6", b"byteHardLimit=40")


def digest_id(credentials):
    """The id of the digest scheme that `user:password` gives."""
    user = credentials.split(":", 1)[0]
    return f"{user}:{base64.b64encode(hashlib.sha1(credentials.encode()).digest()).decode()}"


CREDENTIALS = ("u1:p1", "u2:p2", "u2:wrong")
FIRST, SECOND = (digest_id(credentials) for credentials in CREDENTIALS[:2])
ACLS = (
    [(31, "digest", FIRST), (1, "world", "anyone")], [(31, "digest", SECOND)], [(5, "digest", FIRST), (24, "digest", SECOND)],
    [(31, "ip", "127.0.0.1")], [(31, "ip", "10.0.0.0/8"), (1, "ip", "127.0.0.0/8")], [(31, "auth", "")], [(1, "world", "anyone")],
    [(15, "world", "anyone")], [(30, "world", "anyone")], [(0, "world", "anyone")], [(31, "auth", "x"), (31, "world", "anyone")],
)
BAD_ACLS = ([], None, [(31, "world", "x")], [(31, "bogus", "y")], [(31, None, "x")], [(31, "digest", None)], [(31, "digest", "u:")],
            [(31, "ip", "1.2.3")], [(31, "super", "")], [(31, "world", "anyone"), (31, "world", "anyone")])


class Dice:
    """One random script. `pipelined` scripts send several requests at once, the others have quotas that refuse: Java compares a
    quota with what happens to be applied already, so the two cannot be had together."""

    def __init__(self, seed, pipelined):
        self.random = random.Random(seed)
        self.pipelined = pipelined
        self.writes = 0
        self.lines = []

    # --- values ---

    def chance(self, percent):
        return self.random.randrange(100) < percent

    def session(self):
        return self.random.choice(SESSIONS)

    def path(self):
        if self.chance(3):
            return self.random.choice(ODD_PATHS)
        if self.chance(2):
            return "@"
        depth = self.random.choice((1, 1, 2, 2, 2, 3, 4))
        names = [self.random.choice(NAMES) for _ in range(depth)]
        if self.chance(6):
            # What a sequential create may have made.
            names[-1] += f"{self.random.randrange(12):010}"
        return "/".join(["@", *names])

    def read_path(self):
        return self.random.choice(SYSTEM_PATHS) if self.chance(6) else self.path()

    def data(self):
        kind = self.random.randrange(20)
        if kind == 0:
            return None
        if kind == 1:
            return bytes(self.random.randrange(256) for _ in range(self.random.randrange(400)))
        return b"" if kind < 5 else b"d%d" % self.random.randrange(1000)

    def acl(self):
        if self.chance(4):
            return self.random.choice(BAD_ACLS)
        return self.random.choice(ACLS) if self.chance(12) else [(31, "world", "anyone")]

    def version(self):
        return self.random.choice(VERSIONS)

    def watch(self):
        return self.random.choice((0, 0, 1, 1, 1, 200))

    def paths(self):
        """A list of paths for setWatches."""
        if self.chance(2):
            return None
        return [self.read_path() for _ in range(self.random.randrange(4))]

    def since(self):
        return self.random.choice((0, "+0", f"+{self.random.randrange(self.writes + 1)}", f"+{self.writes + 50}"))

    # --- requests ---

    def create(self, in_multi=False):
        name = self.random.choice(CREATES)
        fits = {"create": (0, 0, 0, 1, 2, 3), "create2": (0, 0, 1, 2, 3), "createContainer": (4,), "createTTL": (5, 6)}[name]
        flags = self.random.choice(fits) if self.chance(94) else self.random.choice((0, 1, 2, 3, 4, 5, 6, 7, -1))
        text = f"{name}({self.path()!r}, {self.data()!r}, acl={self.acl()!r}, flags={flags}"
        if name == "createTTL":
            ttl = self.random.choice(TTLS)
            # This combination ends the Java server.
            if flags in range(5) and ttl < 0 and not in_multi:
                ttl = 7
            text += f", ttl={ttl}"
        return text + ")"

    def single_write(self):
        kind = self.random.randrange(100)
        if kind < 48:
            return self.create()
        if kind < 68:
            path = self.random.choice(SYSTEM_PATHS) if self.chance(2) else self.path()
            return f"delete({path!r}, {self.version()})"
        if kind < 92 or self.pipelined:
            return f"setData({self.path()!r}, {self.data()!r}, {self.version()})"
        return f"setACL({self.path()!r}, {self.acl()!r}, {self.version()})"

    def multi(self):
        return f"multi({', '.join(self.multi_op() for _ in range(self.random.choice((0, 1, 1, 2, 2, 3, 4, 6))))})"

    def multi_op(self):
        kind = self.random.randrange(100)
        if kind < 45:
            return self.create(in_multi=True)
        if kind < 60:
            return f"delete({self.path()!r}, {self.version()})"
        if kind < 78:
            return f"setData({self.path()!r}, {self.data()!r}, {self.version()})"
        if kind < 97:
            return f"check({self.path()!r}, {self.version()})"
        return self.random.choice((f"getData({self.path()!r})", f"setACL({self.path()!r})", f"exists({self.path()!r})",
                                   "raw(11, b'')", f"cut(setData({self.path()!r}, b'data'), {self.random.randrange(-9, 0)})"))

    def multi_read(self):
        ops = []
        for _ in range(self.random.choice((0, 1, 2, 3, 5))):
            name = self.random.choice(("getData", "getChildren")) if self.chance(97) else "delete"
            ops.append(f"{name}({self.read_path()!r})")
        return f"multiRead({', '.join(ops)})"

    def read(self):
        kind = self.random.randrange(100)
        if kind < 60:
            name = self.random.choice(("getData", "exists", "getChildren", "getChildren2"))
            return f"{name}({self.read_path()!r}, {self.watch()})"
        if kind < 66:
            return f"getACL({self.read_path()!r})"
        if kind < 72:
            return self.multi_read()
        if kind < 76:
            return f"getAllChildrenNumber({self.read_path()!r})"
        if kind < 80:
            return f"getEphemerals({self.random.choice(('', '@', '@/a', '/', ' ', None, '@/b/'))!r})"
        if kind < 90:
            return self.watch_request()
        return self.random.choice((f"sync({self.read_path()!r})", "ping()", "whoAmI()", "reconfig('server.1=x', None, None, -1)"))

    def watch_request(self):
        kind = self.random.randrange(10)
        if kind < 4:
            return f"addWatch({self.read_path()!r}, {self.random.choice((0, 0, 1, 1, 1, 2, -1))})"
        if kind < 8:
            name = self.random.choice(("removeWatches", "removeWatches", "checkWatches"))
            return f"{name}({self.read_path()!r}, {self.random.choice((1, 2, 3, 3, 3, 4, 5, 0, 6))})"
        lists = ", ".join(repr(self.paths()) for _ in range(3))
        if kind == 8:
            return f"setWatches({self.since()!r}, {lists})"
        return f"setWatches2({self.since()!r}, {lists}, {self.paths()!r}, {self.paths()!r})"

    def request(self):
        """Any request that leaves its connection open."""
        kind = self.random.randrange(100)
        if kind < 50:
            self.writes += 1
            text = self.single_write() if kind < 38 else self.multi()
        else:
            text = self.read()
        if self.chance(1):
            return f"cut({text}, {self.random.randrange(1, 40)})" if "(" in text and not text.startswith(("ping", "whoAmI", "multi")) else text
        if self.chance(1):
            return f"pad({text}, b'behind')"
        return text

    # --- steps ---

    def emit(self, session, text):
        self.lines.append(f"{session}.{text}")

    def end_connection(self, session):
        """A request, or what is none, after which the server closes the connection; the session stays unless it says otherwise."""
        kind = self.random.randrange(12)
        if kind < 2:
            self.emit(session, "send(closeSession())")
            self.emit(session, "closed()")
            return self.emit(session, self.random.choice(("connect(timeout=600000)", f"connect(sid={session!r}, timeout=600000)")))
        if kind < 5:
            self.emit(session, f"send(raw({self.random.choice(UNKNOWN_OPS)}, {self.random.choice((b'', b'body'))!r}))")
        elif kind < 6:
            self.emit(session, f"send({self.random.choice(('check(%r)' % '@', 'deleteContainer(%r)' % '@/a', 'sasl(None)'))})")
        elif kind < 8:
            bad = self.random.choice(("'bogus', b'x'", "'world', b''", "'digest', None", "'sasl', b'x'", "None, b'x'", "'super', b'x'"))
            self.emit(session, f"send(auth({bad}))")
        elif kind < 10:
            length = self.random.choice((-1, -2147483648, 2147483647, 16777216))
            self.emit(session, f"bytes({length.to_bytes(4, 'big', signed=True) + b'xx'!r})")
        else:
            self.emit(session, f"frame({bytes(self.random.randrange(8))!r})")
        self.emit(session, "closed()")
        self.emit(session, f"connect(sid={session!r}, timeout=600000)")

    def reconnect(self, session):
        """The session goes on over another connection, is taken over by somebody else, or is left behind."""
        other = self.random.choice([name for name in SESSIONS if name != session])
        kind = self.random.randrange(10)
        read_only = self.random.choice((None, True, False))
        if kind < 4:
            self.emit(session, f"connect(sid={session!r}, timeout={self.random.choice((600000, 999999999))}, read_only={read_only})")
        elif kind < 5:
            text = ", ".join(self.read() for _ in range(self.random.randrange(4)))
            self.emit(session, f"handshake({text}{', ' if text else ''}timeout=600000, read_only={read_only})")
        elif kind < 6:
            self.emit(session, f"connect(timeout={self.random.choice((600000, 2147483647))}, last_zxid={self.since()!r})")
            self.emit(session, "connect(timeout=600000)")
        elif kind < 8:
            password = self.random.choice(("bytes16", "short", "none"))
            wrong = {"bytes16": repr(bytes(range(16))), "short": "b'short'", "none": "None"}[password]
            self.emit(session, f"connect(sid={other!r}, password={wrong}, timeout=600000)")
            self.emit(session, "closed()")
            self.emit(other, "closed()")
            self.emit(other, f"connect(sid={other!r}, timeout=600000)")
            self.emit(session, "connect(timeout=600000)")
        else:
            self.emit(session, f"connect(sid={other!r}, password={other!r}, timeout=600000)")
            self.emit(other, "closed()")
            self.emit(other, "connect(timeout=600000)")

    def quota(self):
        """Limits for some znode; usage and limits are always texts that the Java server survives."""
        path = "/".join(["@", *(self.random.choice(NAMES[:2]) for _ in range(self.random.choice((1, 1, 2))))])
        quota = f"/zookeeper/quota{path}"
        session = self.session()
        kind = self.random.randrange(10)
        if kind < 6:
            parts = path.split("/")
            for length in range(1, len(parts) + 1):
                self.emit(session, f"create({'/zookeeper/quota' + '/'.join(parts[:length])!r})")
            nodes = [("limits", self.random.choice(LIMITS)), ("stats", self.random.choice((b"count=0,bytes=0", b"")))]
            if self.chance(20):
                nodes.reverse()
            for name, text in nodes:
                self.emit(session, f"create({f'{quota}/zookeeper_{name}'!r}, {text!r})")
        elif kind < 8:
            self.emit(session, f"setData({f'{quota}/zookeeper_limits'!r}, {self.random.choice(LIMITS)!r})")
        else:
            self.emit(session, f"delete({quota + self.random.choice(('/zookeeper_limits', '/zookeeper_stats'))!r})")
        self.emit(session, f"getData({f'{quota}/zookeeper_stats'!r}, 1)")

    def step(self):
        session = self.session()
        kind = self.random.randrange(1000)
        if kind < 8:
            self.end_connection(session)
        elif kind < 18:
            self.reconnect(session)
        elif kind < 30:
            self.emit(session, f"auth('digest', {self.random.choice(CREDENTIALS).encode()!r})")
        elif kind < 33:
            self.emit(session, self.random.choice(("auth('ip', b'')", "sasl(b'')", "sasl(b'token')")))
        elif kind < 45 and not self.pipelined:
            self.quota()
        elif kind < 200 and self.pipelined:
            requests = [self.request() for _ in range(self.random.randrange(2, 9))]
            self.emit(session, f"pipeline({', '.join(requests)})")
        else:
            self.emit(session, self.request())

    def script(self, requests):
        """Lines with about so many requests."""
        for session in SESSIONS:
            self.emit(session, "connect(timeout=600000)")
        for path in BEGINNING:
            self.emit(SESSIONS[0], f"create({path!r})")
        while len(self.lines) < requests:
            self.step()
        return self.lines
