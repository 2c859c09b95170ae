"""The client protocol as bytes: encodes requests field by field and decodes replies into dictionaries.

Every field can be given a wrong value on purpose; nothing here checks what a server would refuse.
"""
import struct

OPEN = [(31, "world", "anyone")]
CREATOR = [(31, "auth", "")]
READ_ALL = [(1, "world", "anyone")]

# name: (opcode, ((field, type, default), ...)); a default of Ellipsis means that the script must give the field.
CREATE = (("path", "string", ...), ("data", "buffer", b""), ("acl", "acls", OPEN), ("flags", "int", 0))
WATCHED = (("path", "string", ...), ("watch", "bool", 0))
WATCHES = (("relative", "long", 0), ("data", "strings", ()), ("exist", "strings", ()), ("child", "strings", ()))
REQUESTS = {
    "create": (1, CREATE),
    "delete": (2, (("path", "string", ...), ("version", "int", -1))),
    "exists": (3, WATCHED),
    "getData": (4, WATCHED),
    "setData": (5, (("path", "string", ...), ("data", "buffer", b""), ("version", "int", -1))),
    "getACL": (6, (("path", "string", ...),)),
    "setACL": (7, (("path", "string", ...), ("acl", "acls", OPEN), ("version", "int", -1))),
    "getChildren": (8, WATCHED),
    "sync": (9, (("path", "string", ...),)),
    "ping": (11, ()),
    "getChildren2": (12, WATCHED),
    "check": (13, (("path", "string", ...), ("version", "int", -1))),
    "multi": (14, ()),
    "create2": (15, CREATE),
    "reconfig": (16, (("joining", "string", None), ("leaving", "string", None), ("members", "string", None),
                      ("config", "long", -1))),
    "checkWatches": (17, (("path", "string", ...), ("kind", "int", 3))),
    "removeWatches": (18, (("path", "string", ...), ("kind", "int", 3))),
    "createContainer": (19, CREATE[:3] + (("flags", "int", 4),)),
    "deleteContainer": (20, (("path", "string", ...),)),
    "createTTL": (21, CREATE[:3] + (("flags", "int", 5), ("ttl", "long", 100000))),
    "multiRead": (22, ()),
    "auth": (100, (("scheme", "string", "digest"), ("data", "buffer", b""), ("kind", "int", 0))),
    "setWatches": (101, WATCHES),
    "sasl": (102, (("token", "buffer", b""),)),
    "getEphemerals": (103, (("prefix", "string", ""),)),
    "getAllChildrenNumber": (104, (("path", "string", ...),)),
    "setWatches2": (105, WATCHES + (("persistent", "strings", ()), ("recursive", "strings", ()))),
    "addWatch": (106, (("path", "string", ...), ("mode", "int", 0))),
    "whoAmI": (107, ()),
    "createSession": (-10, (("timeout", "int", 10000),)),
    "closeSession": (-11, ()),
}
OPCODE_NAMES = {opcode: name for name, (opcode, _) in REQUESTS.items()}
WIRE_ORDER = {"auth": ("kind", "scheme", "data")}
PATH_FIELDS = {"path", "prefix"}
FIXED_XIDS = {"ping": -2, "auth": -4, "setWatches": -8, "setWatches2": -8}
STAT_FIELDS = (("czxid", "q"), ("mzxid", "q"), ("ctime", "q"), ("mtime", "q"), ("version", "i"), ("cversion", "i"),
               ("aversion", "i"), ("ephemeralOwner", "q"), ("dataLength", "i"), ("numChildren", "i"), ("pzxid", "q"))
STAT = struct.Struct(">" + "".join(code for _, code in STAT_FIELDS))
HEADER = struct.Struct(">iqi")


class Short(Exception):
    """A reply ended before its last field."""


def encode_int(value):
    return struct.pack(">i", value)


def encode_long(value):
    return struct.pack(">q", value)


def encode_bool(value):
    return bytes([int(value) & 0xFF])


def encode_buffer(value):
    return encode_int(-1) if value is None else encode_int(len(value)) + bytes(value)


def encode_string(value):
    return encode_buffer(value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value)


def encode_vector(values, encode_item):
    """A vector; None is the null vector and an int stands for a bare count without elements."""
    if values is None:
        return encode_int(-1)
    if isinstance(values, int):
        return encode_int(values)
    return encode_int(len(values)) + b"".join(encode_item(item) for item in values)


def encode_acl(entry):
    perms, scheme, name = entry
    return encode_int(perms) + encode_string(scheme) + encode_string(name)


ENCODERS = {
    "int": encode_int, "long": encode_long, "bool": encode_bool, "buffer": encode_buffer, "string": encode_string,
    "strings": lambda values: encode_vector(values, encode_string),
    "acls": lambda values: encode_vector(values, encode_acl),
}


def encode_body(name, fields):
    """The request record of an operation from its fields (see REQUESTS)."""
    declared = REQUESTS[name][1]
    types = {field: kind for field, kind, _ in declared}
    order = WIRE_ORDER.get(name) or [field for field, _, _ in declared]
    return b"".join(ENCODERS[types[field]](fields[field]) for field in order)


def encode_multi(operations):
    """The MultiOperationRecord of [(opcode, body)]."""
    parts = [struct.pack(">ibi", opcode, 0, -1) + body for opcode, body in operations]
    return b"".join(parts) + struct.pack(">ibi", -1, 1, -1)


def encode_request(xid, opcode, body):
    return struct.pack(">ii", xid, opcode) + body


def encode_connect(protocol, last_zxid, timeout, session, password, read_only):
    """A ConnectRequest; read_only None leaves the trailing byte away, as old clients do."""
    fixed = struct.pack(">iqiq", protocol, last_zxid, timeout, session) + encode_buffer(password)
    return fixed if read_only is None else fixed + encode_bool(read_only)


def frame(payload):
    return encode_int(len(payload)) + payload


class Reader:
    """Reads fields off a reply; raises Short at its end."""

    def __init__(self, data, position=0):
        self.data, self.position = data, position

    def take(self, count):
        end = self.position + count
        if count < 0 or end > len(self.data):
            raise Short
        part = self.data[self.position:end]
        self.position = end
        return part

    def int(self):
        return struct.unpack(">i", self.take(4))[0]

    def long(self):
        return struct.unpack(">q", self.take(8))[0]

    def byte(self):
        return self.take(1)[0]

    def buffer(self):
        length = self.int()
        return None if length == -1 else self.take(length)

    def string(self):
        value = self.buffer()
        return None if value is None else value.decode("utf-8", "backslashreplace")

    def vector(self, read_item):
        count = self.int()
        return None if count == -1 else [read_item() for _ in range(count)]

    def stat(self):
        values = STAT.unpack(self.take(STAT.size))
        return {field: value for (field, _), value in zip(STAT_FIELDS, values)}

    def acl(self):
        return [self.int(), self.string(), self.string()]

    def multi(self):
        results = []
        while True:
            kind, done, err = self.int(), self.byte(), self.int()
            result = {"type": kind, "done": done, "err": err}
            results.append(result)
            if done:
                return results
            result.update(self.multi_result(kind))

    def multi_result(self, kind):
        if kind == -1:
            return {"error": self.int()}
        if kind in (2, 13):
            return {}
        return DECODERS[OPCODE_NAMES[kind]](self)

    def rest(self):
        return self.data[self.position:]


def decode_created(reader):
    return {"path": reader.string(), "stat": reader.stat()}


DECODERS = {
    "create": lambda r: {"path": r.string()},
    "exists": lambda r: {"stat": r.stat()},
    "getData": lambda r: {"data": r.buffer(), "stat": r.stat()},
    "setData": lambda r: {"stat": r.stat()},
    "getACL": lambda r: {"acl": r.vector(r.acl), "stat": r.stat()},
    "setACL": lambda r: {"stat": r.stat()},
    "getChildren": lambda r: {"children": r.vector(r.string)},
    "sync": lambda r: {"path": r.string()},
    "getChildren2": lambda r: {"children": r.vector(r.string), "stat": r.stat()},
    "multi": lambda r: {"results": r.multi()},
    "create2": decode_created,
    "reconfig": lambda r: {"data": r.buffer(), "stat": r.stat()},
    "createContainer": decode_created,
    "createTTL": decode_created,
    "multiRead": lambda r: {"results": r.multi()},
    "sasl": lambda r: {"token": r.buffer()},
    "getEphemerals": lambda r: {"children": r.vector(r.string)},
    "getAllChildrenNumber": lambda r: {"total": r.int()},
    "addWatch": lambda r: {"error": r.int()},
    "whoAmI": lambda r: {"ids": r.vector(lambda: [r.string(), r.string()])},
}


def decode_reply(payload, name):
    """A reply frame as a dictionary; name is the operation that it answers, or None."""
    if len(payload) < HEADER.size:
        return {"kind": "garbage", "hex": payload.hex()}
    xid, zxid, err = HEADER.unpack_from(payload)
    reply = {"kind": "reply", "op": name, "xid": xid, "zxid": zxid, "err": err}
    reader = Reader(payload, HEADER.size)
    if name in DECODERS and (err == 0 or len(payload) > HEADER.size):
        try:
            reply["body"] = DECODERS[name](reader)
        except (Short, KeyError):
            reply["undecodable"] = payload[HEADER.size:].hex()
            return reply
    if reader.rest():
        reply["rest"] = reader.rest().hex()
    return reply


def decode_event(payload):
    """A notification frame as a dictionary."""
    _, zxid, err = HEADER.unpack_from(payload)
    reader = Reader(payload, HEADER.size)
    try:
        event = {"kind": "event", "zxid": zxid, "err": err, "type": reader.int(), "state": reader.int(),
                 "path": reader.string()}
    except Short:
        return {"kind": "garbage", "hex": payload.hex()}
    if reader.rest():
        event["rest"] = reader.rest().hex()
    return event


def decode_connect(payload):
    """A ConnectResponse frame as a dictionary; read_only is None if the byte is absent."""
    reader = Reader(payload)
    try:
        answer = {"kind": "connected", "protocol": reader.int(), "timeout": reader.int(), "session": reader.long(),
                  "password": reader.buffer(), "read_only": None}
        if reader.rest():
            answer["read_only"] = reader.byte()
    except Short:
        return {"kind": "garbage", "hex": payload.hex()}
    if reader.rest():
        answer["rest"] = reader.rest().hex()
    return answer


def session_password(session):
    """The password that belongs to a session id: 16 bytes of the seeded generator every member must share."""
    state = ((session ^ 0xB3415C00) ^ 0x5DEECE66D) & ((1 << 48) - 1)
    out = b""
    for _ in range(4):
        state = (state * 0x5DEECE66D + 0xB) & ((1 << 48) - 1)
        out += struct.pack("<I", (state >> 16) & 0xFFFFFFFF)
    return out
