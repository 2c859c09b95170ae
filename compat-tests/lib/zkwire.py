"""A small client of the ZooKeeper protocol on a bare socket, with requests in flight and full dumps of the tree."""
import collections
import socket
import struct

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL = 1, 2, 3, 4, 5, 6, 7
GET_CHILDREN, SYNC, PING, CHECK, MULTI, CREATE2 = 8, 9, 11, 13, 14, 15
CREATE_CONTAINER, CREATE_TTL, CLOSE_SESSION, AUTH, GET_EPHEMERALS = 19, 21, -11, 100, 103
PERSISTENT, EPHEMERAL, SEQUENTIAL, EPHEMERAL_SEQUENTIAL, CONTAINER, TTL, TTL_SEQUENTIAL = range(7)
AUTH_XID, EVENT_XID = -4, -1
ANY_VERSION = -1
NO_NODE, NODE_EXISTS, BAD_VERSION, NO_AUTH = -101, -110, -103, -102
MAX_FRAME = 64 * 1024 * 1024
STAT_FIELDS = (
    "czxid", "mzxid", "ctime", "mtime", "version", "cversion", "aversion",
    "ephemeralOwner", "dataLength", "numChildren", "pzxid",
)
STAT_FORMAT = struct.Struct(">qqqqiiiqiiq")
HEADER = struct.Struct(">iqi")

Stat = collections.namedtuple("Stat", STAT_FIELDS)
Reply = collections.namedtuple("Reply", "xid zxid error body")
Entry = collections.namedtuple("Entry", "data acl stat children")

OPEN = ((31, "world", "anyone"),)


class Refused(Exception):
    """The server answered with an error code."""

    def __init__(self, code, what):
        super().__init__(f"error {code} for {what}")
        self.code = code


class Closed(Exception):
    """The server closed the connection, or the session is gone."""


class Expired(Closed):
    """The session that the client came with is gone."""


def buffer(value):
    """A jute buffer or string; None is the null of the protocol, not an empty value."""
    if value is None:
        return b"\xff\xff\xff\xff"
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">i", len(raw)) + raw


def acl_list(acl):
    entries = (struct.pack(">i", perms) + buffer(scheme) + buffer(name) for perms, scheme, name in acl)
    return struct.pack(">i", len(acl)) + b"".join(entries)


def create_body(path, data=b"", acl=OPEN, flags=PERSISTENT, ttl=None):
    body = buffer(path) + buffer(data) + acl_list(acl) + struct.pack(">i", flags)
    return body if ttl is None else body + struct.pack(">q", ttl)


def delete_body(path, version=ANY_VERSION):
    return buffer(path) + struct.pack(">i", version)


def set_data_body(path, data, version=ANY_VERSION):
    return buffer(path) + buffer(data) + struct.pack(">i", version)


def set_acl_body(path, acl, version=ANY_VERSION):
    return buffer(path) + acl_list(acl) + struct.pack(">i", version)


def multi_body(operations):
    """`operations`: pairs of operation code and body."""
    parts = [struct.pack(">i?i", code, False, -1) + body for code, body in operations]
    return b"".join(parts) + struct.pack(">i?i", -1, True, -1)


class Reader:
    """Takes jute values from the front of a body."""

    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def take(self, size):
        if size < 0 or self.at + size > len(self.raw):
            raise ValueError(f"{size} bytes wanted at {self.at} of {len(self.raw)}")
        piece = self.raw[self.at:self.at + size]
        self.at += size
        return piece

    def integer(self):
        return struct.unpack(">i", self.take(4))[0]

    def buffer(self):
        size = self.integer()
        return None if size == -1 else self.take(size)

    def text(self):
        raw = self.buffer()
        return None if raw is None else raw.decode()

    def texts(self):
        return [self.text() for _ in range(max(0, self.integer()))]

    def stat(self):
        return Stat(*STAT_FORMAT.unpack(self.take(STAT_FORMAT.size)))

    def acl(self):
        return [(self.integer(), self.text(), self.text()) for _ in range(max(0, self.integer()))]

    def multi_errors(self):
        """The error codes of a multi's failed results; empty when it went through."""
        codes = []
        while True:
            kind, done, error = struct.unpack(">i?i", self.take(9))
            if done:
                return codes
            if kind == -1:
                codes.append(self.integer())
            elif kind == CREATE:
                self.text()
            elif kind == CREATE2:
                self.text(), self.stat()
            elif kind == SET_DATA:
                self.stat()


class Client:
    """One session over one connection. Requests may be in flight: `submit` sends, `receive` takes the next reply."""

    def __init__(self, host, port, timeout_ms=30000, session=(0, bytes(16)), seconds=30, read_only=False):
        self.socket = socket.create_connection((host, port), timeout=seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming = self.socket.makefile("rb", buffering=1 << 16)
        self.events = []
        self.xid = 0
        try:
            self._open_session(timeout_ms, session, read_only)
        except BaseException:
            self.abandon()
            raise

    def _open_session(self, timeout_ms, session, read_only):
        body = struct.pack(">iqiq", 0, 0, timeout_ms, session[0]) + buffer(session[1]) + bytes([read_only])
        self._send(body)
        reader = Reader(self._frame())
        _, self.timeout_ms, session_id = struct.unpack(">iiq", reader.take(16))
        if self.timeout_ms <= 0:
            raise Expired(f"session 0x{session[0]:x} is not known to the server")
        self.session = (session_id, reader.buffer())
        self.is_read_only = reader.take(1) == b"\1"

    def _send(self, body):
        self.socket.sendall(struct.pack(">i", len(body)) + body)

    def _frame(self):
        head = self.incoming.read(4)
        if len(head) < 4:
            raise Closed("connection closed by the server")
        (size,) = struct.unpack(">i", head)
        if not 0 <= size <= MAX_FRAME:
            raise Closed(f"reply of {size} bytes")
        body = self.incoming.read(size)
        if len(body) < size:
            raise Closed("connection closed within a reply")
        return body

    def submit(self, code, body=b""):
        """Sends a request without waiting; returns its xid."""
        self.xid += 1
        xid = AUTH_XID if code == AUTH else self.xid
        self._send(struct.pack(">ii", xid, code) + body)
        return xid

    def receive(self):
        """The next reply; notifications that come before it are put into `events`."""
        while True:
            frame = self._frame()
            xid, zxid, error = HEADER.unpack_from(frame)
            body = Reader(frame[HEADER.size:])
            if xid != EVENT_XID:
                return Reply(xid, zxid, error, body)
            self.events.append((zxid, body.integer(), body.integer(), body.text()))

    def call(self, code, body=b"", what="request"):
        """Sends a request and waits for its reply; raises Refused when the server says no."""
        xid = self.submit(code, body)
        reply = self.receive()
        if reply.xid != xid:
            raise Closed(f"reply to {reply.xid}, expected {xid}")
        if reply.error != 0:
            raise Refused(reply.error, what)
        return reply

    def create(self, path, data=b"", acl=OPEN, flags=PERSISTENT, code=CREATE, ttl=None):
        """Creates a node; returns its path, with the counter for sequential ones."""
        return self.call(code, create_body(path, data, acl, flags, ttl), path).body.text()

    def delete(self, path, version=ANY_VERSION):
        self.call(DELETE, delete_body(path, version), path)

    def set_data(self, path, data, version=ANY_VERSION):
        return self.call(SET_DATA, set_data_body(path, data, version), path).body.stat()

    def set_acl(self, path, acl, version=ANY_VERSION):
        return self.call(SET_ACL, set_acl_body(path, acl, version), path).body.stat()

    def get_data(self, path):
        body = self.call(GET_DATA, buffer(path) + b"\0", path).body
        return body.buffer(), body.stat()

    def children(self, path):
        return sorted(self.call(GET_CHILDREN, buffer(path) + b"\0", path).body.texts())

    def multi(self, operations):
        """Runs a transaction; returns the error codes of its results, empty for success."""
        return self.call(MULTI, multi_body(operations), "multi").body.multi_errors()

    def ephemerals(self):
        return sorted(self.call(GET_EPHEMERALS, buffer("/")).body.texts())

    def auth(self, scheme, data):
        self.call(AUTH, struct.pack(">i", 0) + buffer(scheme) + buffer(data), scheme)

    def close(self):
        """Ends the session."""
        try:
            self.call(CLOSE_SESSION)
        finally:
            self.abandon()

    def abandon(self):
        """Drops the connection; the session lives on until it expires."""
        self.incoming.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close() if kind is None else self.abandon()


def dump(client, root="/"):
    """Every node below `root` that the client may read: path -> Entry(data, acl, stat, children).

    The tree must not change meanwhile. Three requests per node are in flight at a time for a whole level.
    """
    tree = {}
    level = [root]
    while level:
        below = []
        for start in range(0, len(level), 256):
            below += _dump_some(client, level[start:start + 256], tree)
        level = below
    return tree


def _dump_some(client, paths, tree):
    for path in paths:
        client.submit(GET_DATA, buffer(path) + b"\0")
        client.submit(GET_ACL, buffer(path))
        client.submit(GET_CHILDREN, buffer(path) + b"\0")
    below = []
    for path in paths:
        replies = [client.receive() for _ in range(3)]
        for reply in replies:
            if reply.error:
                raise Refused(reply.error, path)
        data, stat = replies[0].body.buffer(), replies[0].body.stat()
        children = sorted(replies[2].body.texts())
        tree[path] = Entry(data, replies[1].body.acl(), stat, children)
        below += [path.rstrip("/") + "/" + name for name in children]
    return below


def differences(left, right, limit=20):
    """What two dumps disagree about, one line each, at most `limit` lines."""
    lines = []
    for path in sorted(left.keys() | right.keys()):
        if path not in left or path not in right:
            lines.append(f"{path}: only in the {'first' if path in left else 'second'} dump")
            continue
        one, two = left[path], right[path]
        for field in ("data", "acl", "children"):
            if getattr(one, field) != getattr(two, field):
                lines.append(f"{path}: {field} {_short(getattr(one, field))} against {_short(getattr(two, field))}")
        for field in STAT_FIELDS:
            if getattr(one.stat, field) != getattr(two.stat, field):
                lines.append(f"{path}: {field} {getattr(one.stat, field)} against {getattr(two.stat, field)}")
    if len(lines) > limit:
        lines[limit:] = [f"… {len(lines) - limit} more differences"]
    return lines


def _short(value, most=200):
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"
