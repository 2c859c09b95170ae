"""Takes out of replies what may differ between two right servers: absolute zxids, times, session ids, orders of sets."""
import time
import zlib

import wire

CLOSE_ENOUGH_SECONDS = 600
ZXID_FIELDS = ("czxid", "mzxid", "pzxid")
LONG_HEX = 512


class Normal:
    """Rewrites frames relative to the start of one script.

    base            zxid that offsets are counted from; None keeps zxids as they are
    hidden_zxids    the server writes something by itself meanwhile, so that zxids are not the same in each run
    """

    def __init__(self, base, unordered_acl=False, unordered_events=False, hidden_zxids=False):
        self.base = base
        self.hidden_zxids = hidden_zxids
        self.unordered_acl, self.unordered_events = unordered_acl, unordered_events
        self.sessions = {}
        self.times = {}
        self.sorted_zxids = set()

    def name_session(self, session, name):
        """Registers a session id under the name that comparisons show."""
        self.sessions.setdefault(session, f"session {name}")

    def zxid(self, value):
        if self.base is None or value <= 0:
            return value
        if self.hidden_zxids:
            return "some"
        return f"+{value - self.base}" if value >= self.base else "before"

    def time(self, zxid, value):
        """A time is shown as "t" when it is of now and one and the same for all nodes that the txn touched."""
        if value == 0:
            return 0
        if abs(value / 1000 - time.time()) > CLOSE_ENOUGH_SECONDS:
            return f"far off: {value}"
        return "t" if self.times.setdefault(zxid, value) == value else "differs within its txn"

    def stat(self, stat):
        out = dict(stat)
        out["ctime"] = self.time(stat["czxid"], stat["ctime"])
        out["mtime"] = self.time(stat["mzxid"], stat["mtime"])
        for field in ZXID_FIELDS:
            out[field] = self.zxid(stat[field])
        owner = stat["ephemeralOwner"]
        out["ephemeralOwner"] = self.sessions.get(owner, owner)
        return out

    def body(self, body):
        out = {}
        for key, value in body.items():
            if key == "stat":
                out[key] = self.stat(value)
            elif key in ("children", "ids"):
                out[key] = value if value is None else sorted(value, key=str)
            elif key == "acl":
                out[key] = sorted(value, key=str) if self.unordered_acl and value else value
            elif key == "results":
                out[key] = [self.body(result) for result in value]
            elif isinstance(value, bytes):
                out[key] = value.hex() if len(value) <= LONG_HEX else f"{len(value)} bytes, CRC {zlib.crc32(value):08x}"
            else:
                out[key] = value
        return out

    def connected(self, frame):
        known = frame["session"] == 0 or frame["password"] == wire.session_password(frame["session"])
        zeros = frame["password"] == bytes(16)
        out = dict(frame)
        out["session"] = self.sessions.get(frame["session"], frame["session"]) if frame["session"] else 0
        out["id_byte"] = frame["session"] >> 56
        out["password"] = "zeros" if zeros else "right" if known else "wrong"
        return out

    def frame(self, frame):
        kind = frame["kind"]
        if kind == "connected":
            return self.connected(frame)
        out = dict(frame)
        if "zxid" in frame:
            out["zxid"] = self.zxid(frame["zxid"])
        if "body" in frame:
            out["body"] = self.body(frame["body"])
        return out

    def note_closes(self, frames):
        """Remembers which txns closed a session: the order of the events of one is unspecified."""
        for frame in frames:
            if frame["kind"] == "reply" and frame["op"] == "closeSession":
                self.sorted_zxids.add(frame["zxid"])

    def frames(self, frames):
        """All frames of one session in one step."""
        return [self.frame(frame) for frame in self.in_order(frames)]

    def in_order(self, frames):
        out, run = [], []
        for frame in frames:
            loose = frame["kind"] == "event" and (self.unordered_events or frame["zxid"] in self.sorted_zxids)
            if run and (not loose or run[0]["zxid"] != frame["zxid"]):
                out, run = out + sorted(run, key=str), []
            if loose:
                run.append(frame)
            else:
                out.append(frame)
        return out + sorted(run, key=str)
