"""One TCP connection to a server: sends any bytes, cuts replies into frames and matches them to requests by xid."""
import collections
import select
import socket
import struct
import time

import wire

# Far more than any answer takes: a machine that is busy with other things must not look like a server that is silent.
REPLY_SECONDS = 30.0
RECEIVE_BYTES = 1 << 16
# A server's frame that is longer than this is not one: the stream is out of step.
LARGEST_FRAME = 1 << 26


class Link:
    """A connection and what is awaited on it.

    `frames` grows in the order of arrival; `take()` hands it over and empties it.
    """

    def __init__(self, address):
        """Connects; without an address it is a connection that was closed at once."""
        self.socket = socket.create_connection(address, timeout=REPLY_SECONDS) if address else socket.socket()
        try:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            # Accepted and closed at once: reading will tell.
            pass
        self.buffer = bytearray()
        self.frames = []
        self.awaited = collections.defaultdict(collections.deque)
        self.outstanding = 0
        self.connecting = False
        self.established = False
        self.closed = False
        self.session = 0
        self.password = b""
        self.next_xid = 1
        self.last_zxid = 0
        if not address:
            self.mark_closed()

    def xid(self, name):
        """The xid that clients use for this operation."""
        if name in wire.FIXED_XIDS:
            return wire.FIXED_XIDS[name]
        self.next_xid += 1
        return self.next_xid - 1

    def expect(self, xid, name):
        """Notes that a reply to `name` will carry this xid."""
        self.awaited[-2 if name == "ping" else xid].append(name)
        self.outstanding += 1

    def expect_connect(self):
        self.connecting = True
        self.outstanding += 1

    def send(self, data):
        """Sends raw bytes; a peer that is gone shows as a closed connection."""
        if self.closed:
            return
        try:
            self.socket.sendall(data)
        except OSError:
            # What the peer sent before it closed is still to be read.
            self.read_until(lambda: self.closed, 1.0)
            self.mark_closed()

    def read_until(self, done, seconds=REPLY_SECONDS):
        """Reads frames until done() holds, the peer closes or the time is over; tells whether done() holds."""
        deadline = time.monotonic() + seconds
        while not done() and not self.closed:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.receive(left)
        return done()

    def receive(self, seconds):
        """Waits at most so long for bytes and cuts them into frames."""
        ready, _, _ = select.select([self.socket], [], [], seconds)
        if not ready:
            return
        try:
            data = self.socket.recv(RECEIVE_BYTES)
        except OSError:
            data = b""
        if not data:
            self.mark_closed()
            return
        self.buffer += data
        self.cut()

    def cut(self):
        """Takes every whole frame off the buffer."""
        position = 0
        while len(self.buffer) - position >= 4:
            (length,) = struct.unpack_from(">i", self.buffer, position)
            if not 0 <= length <= LARGEST_FRAME:
                self.frames.append({"kind": "garbage", "hex": bytes(self.buffer[position:position + 64]).hex()})
                self.mark_closed()
                return
            if len(self.buffer) - position - 4 < length:
                break
            self.accept(bytes(self.buffer[position + 4:position + 4 + length]))
            position += 4 + length
        del self.buffer[:position]

    def accept(self, payload):
        if self.connecting:
            self.accept_connect(payload)
            return
        (xid,) = struct.unpack_from(">i", payload) if len(payload) >= 4 else (0,)
        waiting = self.awaited.get(xid)
        if xid == -1 and not waiting and len(payload) >= wire.HEADER.size:
            self.frames.append(wire.decode_event(payload))
            return
        name = None
        if waiting:
            name = waiting.popleft()
            self.outstanding -= 1
        reply = wire.decode_reply(payload, name)
        self.last_zxid = max(self.last_zxid, reply.get("zxid", 0))
        self.frames.append(reply)

    def accept_connect(self, payload):
        self.connecting = False
        self.outstanding -= 1
        answer = wire.decode_connect(payload)
        self.frames.append(answer)
        if answer.get("session"):
            self.established = True
            self.session, self.password = answer["session"], answer["password"]

    def settle(self, seconds=REPLY_SECONDS):
        """Waits for the reply to everything that was sent; silence and a close become frames of their own."""
        if not self.read_until(lambda: self.outstanding <= 0, seconds) and not self.closed:
            self.frames.append({"kind": "no reply"})
            self.forget()

    def await_close(self, seconds=REPLY_SECONDS):
        if not self.read_until(lambda: False, seconds) and not self.closed:
            self.frames.append({"kind": "still open"})

    def forget(self):
        self.awaited.clear()
        self.outstanding = 0
        self.connecting = False

    def text(self, seconds=REPLY_SECONDS):
        """Everything that the server sends until it closes, as raw bytes."""
        data = bytes(self.buffer)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ready, _, _ = select.select([self.socket], [], [], deadline - time.monotonic())
            try:
                part = self.socket.recv(RECEIVE_BYTES) if ready else b""
            except OSError:
                part = b""
            if not part:
                break
            data += part
        self.closed = True
        return data

    def mark_closed(self):
        if not self.closed:
            self.closed = True
            self.forget()
            self.frames.append({"kind": "closed"})
            self.socket.close()

    def drop(self):
        """Closes our side without a closeSession."""
        self.closed = True
        self.socket.close()

    def take(self):
        frames, self.frames = self.frames, []
        return frames
