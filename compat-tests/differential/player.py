"""Plays one script against one server and writes down what came back, normalised, step by step."""
import time

import link as links
import normal
import script
import wire
import words

SESSION_MS = 30000
SUPER = b"super:test"
SILENCE_SECONDS = 0.3
TEARDOWN_SECONDS = 2.0
CONTROL_SECONDS = 3.0
FATE_SECONDS = 1.5
# Of requests whose number is not the same in each run.
POLL_XID = 0x7000


class ServerGone(Exception):
    """The server no longer takes connections or no longer answers."""


def connect(address):
    """A new connection, or ServerGone. One that the server closes while it is being made is a closed one."""
    try:
        return links.Link(address)
    except ConnectionRefusedError as error:
        raise ServerGone("connection refused") from error
    except OSError:
        return links.Link(None)


class Control:
    """Short sessions of the runner itself, beside those of the script."""

    def __init__(self, address, super_user):
        self.address, self.super_user = address, super_user

    def open(self, session=0, password=bytes(16)):
        """An established connection, as super where the server has one; None if the server refuses the session."""
        deadline = time.monotonic() + CONTROL_SECONDS
        while True:
            link = self.attempt(session, password)
            # A server that counts connections may not have seen yet that ours are gone.
            if link.established or not link.closed or time.monotonic() > deadline:
                break
            if any(frame["kind"] == "connected" for frame in link.frames):
                return None
            time.sleep(0.02)
        if not link.established:
            return None
        if self.super_user:
            self.call(link, "auth", data=SUPER)
        return link

    def attempt(self, session, password):
        link = connect(self.address)
        link.expect_connect()
        link.send(wire.frame(wire.encode_connect(0, 0, SESSION_MS, session, password, False)))
        link.settle()
        return link

    def call(self, link, name, **fields):
        """One request; its reply, or ServerGone."""
        values = {field: default for field, _, default in wire.REQUESTS[name][1]}
        values.update(fields)
        link.take()
        xid = link.xid(name)
        link.expect(xid, name)
        link.send(wire.frame(wire.encode_request(xid, wire.REQUESTS[name][0], wire.encode_body(name, values))))
        link.settle()
        replies = [frame for frame in link.take() if frame["kind"] == "reply"]
        if not replies:
            raise ServerGone(f"no reply to {name}")
        return replies[-1]

    def begin(self, root):
        """Makes the root node of a script (None: no node); returns the zxid that its offsets count from."""
        link = self.open()
        if link is None:
            raise ServerGone("no session")
        if root:
            self.call(link, "create", path=root)
        return self.end(link)

    def end(self, link):
        """Closes the session of a link; returns the zxid of that."""
        zxid = self.call(link, "closeSession")["zxid"]
        link.await_close(TEARDOWN_SECONDS)
        return zxid

    def finish_session(self, session, password):
        """Closes a session whose connection is gone, so that it does not expire in the middle of a later script."""
        link = self.open(session, password)
        if link is not None:
            self.end(link)


class Player:
    """The sessions of one script and what they received."""

    def __init__(self, server, case, super_user):
        self.server, self.case = server, case
        self.address = (server.host, server.port)
        self.control = Control(self.address, super_user)
        self.root = case.root
        self.links, self.generation, self.every_link = {}, {}, []
        self.marks = {}
        self.over = set()
        self.lines = []

    def play(self):
        """Runs all steps; returns [{"source", "frames": {session: [frame]}}]."""
        options = self.case.options
        base = self.control.begin(None if "noroot" in options else self.root)
        self.normal = normal.Normal(None if "absolute" in options else base, "unorderedacl" in options,
                                    "unorderedevents" in options, "nozxids" in options)
        self.base = base
        for step in self.case.steps:
            getattr(self, f"do_{step.call.name}", self.do_request)(step)
            if step.call.name not in ("send", "bytes", "frame", "drop", "mark") and "noflush" not in options:
                self.flush(step.session)
            self.record(step.source)
        self.flush(None)
        self.record("at the end")
        self.teardown()
        return self.lines

    # --- what came back ---

    def flush(self, actor):
        """Brings in the events that every other session has been sent: they are in front of the reply to a ping."""
        for name, link in self.links.items():
            if name == actor or not link.established or link.closed or link.outstanding:
                continue
            self.exchange(link, "ping")
            if link.frames and link.frames[-1].get("op") == "ping":
                link.frames.pop()

    def exchange(self, link, name):
        link.expect(-2, name)
        link.send(wire.frame(wire.encode_request(-2, wire.REQUESTS[name][0], b"")))
        link.settle()

    def record(self, source):
        taken = {}
        for name, link in self.links.items():
            frames = link.take()
            self.note_sessions(name, link, frames)
            if frames:
                taken[name] = frames
        # The one who closed a session comes first: the order of its events is loose for all others.
        for frames in taken.values():
            self.normal.note_closes(frames)
        self.lines.append({"source": source, "frames": {name: self.normal.frames(frames) for name, frames in taken.items()}})

    def note_sessions(self, name, link, frames):
        for frame in frames:
            if frame["kind"] == "connected" and frame["session"] and frame["session"] not in self.normal.sessions:
                self.generation[name] = self.generation.get(name, 0) + 1
                self.normal.name_session(frame["session"], f"{name}{self.generation[name]}")
            if frame.get("op") == "closeSession" and frame["err"] == 0:
                self.over.add(link.session)

    def note(self, name, **what):
        self.links[name].frames.append(what)

    # --- sessions ---

    def link(self, name):
        """The connection of a session, which is opened with usual parameters at its first use."""
        if name not in self.links:
            self.new_link(name)
            self.handshake(self.links[name], {})
            self.links[name].settle()
        return self.links[name]

    def new_link(self, name):
        self.links[name] = connect(self.address)
        self.every_link.append(self.links[name])

    def handshake(self, link, named, extra=b""):
        """Sends a ConnectRequest; sid and password may name another session of the script."""
        session, password = named.get("sid", 0), named.get("password", bytes(16))
        if isinstance(session, str):
            session = self.links[session].session
        if isinstance(password, str):
            password = self.links[password].password
        link.expect_connect()
        payload = wire.encode_connect(named.get("protocol", 0), self.zxid(named.get("last_zxid", 0)),
                                      named.get("timeout", SESSION_MS), session, password, named.get("read_only", False))
        link.send(wire.frame(payload + named.get("tail", b"")) + extra)

    def do_connect(self, step):
        """A new connection with a handshake; keep=True takes the one that is open."""
        if not step.call.named.get("keep"):
            old = self.links.get(step.session)
            if step.call.named.get("sid") == step.session:
                named = {**step.call.named, "sid": old.session, "password": step.call.named.get("password", old.password)}
                if isinstance(named["password"], str):
                    named["password"] = self.links[named["password"]].password
            else:
                named = step.call.named
            self.new_link(step.session)
        else:
            named = step.call.named
        link = self.links[step.session]
        link.forget()
        self.handshake(link, named)
        link.settle()

    def do_handshake(self, step):
        """A ConnectRequest and requests behind it in one write."""
        self.new_link(step.session)
        link = self.links[step.session]
        extra = b"".join(self.request_bytes(link, call) for call in step.call.args)
        self.handshake(link, step.call.named, extra)
        link.settle()

    def do_open(self, step):
        self.new_link(step.session)

    def do_drop(self, step):
        self.link(step.session).drop()

    def do_restart(self, step):
        self.server.restart()

    def do_fourlw(self, step):
        """A four-letter word on a connection of its own."""
        self.new_link(step.session)
        self.links[step.session].send(step.call.args[0].encode())
        self.do_text(step)

    def do_text(self, step):
        """Reads raw text until the server closes; the word tells how it is compared."""
        link = self.links[step.session]
        text = link.text().decode("utf-8", "replace")
        word = step.call.args[0] if step.call.args else ""
        shaped = words.shape(word[:4], text, self.normal.sessions, step.call.named.get("exact", False))
        self.note(step.session, kind="text", text=shaped)

    # --- bytes ---

    def do_bytes(self, step):
        self.link(step.session).send(step.call.args[0])

    def do_frame(self, step):
        self.link(step.session).send(wire.frame(step.call.args[0]))

    def do_reply(self, step):
        """Waits for the replies to what `send` sent, or for so many frames of any kind."""
        link = self.links[step.session]
        if not step.call.args:
            link.settle()
        elif not link.read_until(lambda: len(link.frames) >= step.call.args[0]):
            link.frames.append({"kind": "no reply"})

    do_events = do_reply

    def do_closed(self, step):
        link = self.links[step.session]
        if not link.closed:
            link.await_close()

    def do_silence(self, step):
        """Nothing may come for a while."""
        self.links[step.session].read_until(lambda: False, SILENCE_SECONDS)

    def do_mark(self, step):
        """Remembers the last zxid that this session saw."""
        self.marks[step.call.args[0]] = self.link(step.session).last_zxid

    def do_wait_missing(self, step):
        """Polls until a node is gone (reaped or expired)."""
        link = self.link(step.session)
        deadline = time.monotonic() + step.call.named.get("seconds", 10)
        while time.monotonic() < deadline:
            self.send_call(link, script.Call("exists", step.call.args, {"xid": POLL_XID}))
            link.settle()
            last = link.frames.pop()
            if last["kind"] != "reply" or last["err"] == -101:
                break
            time.sleep(0.05)
        self.note(step.session, kind="gone", err=last.get("err"))

    def do_fate(self, step):
        """Whether the server survives what it has been sent."""
        deadline = time.monotonic() + FATE_SECONDS
        while serves := self.server.serves(1):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        self.note(step.session, kind="server", serves=serves)

    # --- requests ---

    def do_send(self, step):
        self.send_call(self.link(step.session), step.call.args[0])

    def do_pipeline(self, step):
        """Several requests in one write, then all replies."""
        link = self.link(step.session)
        link.send(b"".join(self.request_bytes(link, call) for call in step.call.args))
        link.settle()

    def do_cuts(self, step):
        """The request with its body cut at every length."""
        call = step.call.args[0]
        link = self.link(step.session)
        opcode, body = self.request(link, call)
        for length in range(len(body)):
            self.send_call(link, script.Call("raw", [opcode, body[:length]], {}))
            link.settle()

    def do_request(self, step):
        link = self.link(step.session)
        self.send_call(link, step.call)
        link.settle()

    def send_call(self, link, call):
        link.send(self.request_bytes(link, call))

    def request_bytes(self, link, call):
        """The frame of a request; its reply is then awaited unless it says noreply=True."""
        if call.name == "bytes":
            return call.args[0]
        opcode, body = self.request(link, call)
        name = wire.OPCODE_NAMES.get(opcode)
        xid = self.innermost(call).named.get("xid", call.named.get("xid"))
        if xid is None:
            xid = link.xid(name)
        if not call.named.get("noreply"):
            link.expect(xid, name)
        return wire.frame(wire.encode_request(xid, opcode, body))

    def innermost(self, call):
        while call.name in ("cut", "pad"):
            call = call.args[0]
        return call

    def request(self, link, call):
        """(opcode, body) of a request call."""
        if call.name == "raw":
            return call.args[0], call.args[1] if len(call.args) > 1 else b""
        if call.name == "cut":
            opcode, body = self.request(link, call.args[0])
            return opcode, body[:call.args[1]] if call.args[1] >= 0 else body[:len(body) + call.args[1]]
        if call.name == "pad":
            opcode, body = self.request(link, call.args[0])
            return opcode, body + call.args[1]
        opcode = wire.REQUESTS[call.name][0]
        if call.name in ("multi", "multiRead"):
            return opcode, wire.encode_multi([self.request(link, item) for item in call.args])
        return opcode, wire.encode_body(call.name, self.fields(call))

    def fields(self, call):
        """The fields of a request: positional, named, defaults; @ is the root, zxids may be given by name."""
        declared = wire.REQUESTS[call.name][1]
        values = {field: default for field, _, default in declared}
        values.update(zip(values, call.args))
        values.update({key: value for key, value in call.named.items() if key in values})
        unknown = set(call.named) - set(values) - {"xid", "noreply"}
        if unknown or ... in values.values():
            raise script.ScriptError(f"{call.name}: wrong fields {unknown or call.args}")
        kinds = {field: kind for field, kind, _ in declared}
        for field in values:
            if field in wire.PATH_FIELDS or kinds[field] == "strings":
                values[field] = self.rooted(values[field])
        if "relative" in values:
            values["relative"] = self.zxid(values["relative"])
        return values

    def rooted(self, value):
        if isinstance(value, str):
            return value.replace("@", self.root)
        if isinstance(value, bytes):
            return value.replace(b"@", self.root.encode())
        return [self.rooted(item) for item in value] if isinstance(value, (list, tuple)) else value

    def zxid(self, value):
        """A zxid: a number, "+N" from the start of the script, or the name of a mark."""
        if isinstance(value, str):
            return self.base + int(value) if value[0] in "+-" else self.marks[value]
        return value

    # --- the end ---

    def teardown(self):
        """Drops all connections and closes the sessions that are left, so that none expires during a later script."""
        left = {link.session: link.password for link in self.every_link if link.established}
        self.drop_all()
        for session, password in left.items():
            if session not in self.over:
                self.control.finish_session(session, password)

    def drop_all(self):
        for link in self.every_link:
            link.drop()
