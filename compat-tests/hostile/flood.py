"""Connections that do what no client does: they send without reading, stop in the middle, or come by the thousand."""
import os
import pathlib
import selectors
import socket
import struct
import time

import zkwire

HANDSHAKE = struct.pack(">iiqiq", 45, 0, 0, 30000, 0) + zkwire.buffer(bytes(16)) + b"\0"


def connect(server, timeout=30, receive_bytes=None):
    """A bare connection."""
    link = socket.socket()
    link.settimeout(timeout)
    if receive_bytes:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    link.connect((server.host, server.port))
    return link


def frame(xid, code, body=b""):
    return struct.pack(">iii", 8 + len(body), xid, code) + body


def open_session(server, receive_bytes=None):
    """A bare connection with a session on it."""
    link = connect(server, receive_bytes=receive_bytes)
    link.sendall(HANDSHAKE)
    take(link, 41)
    return link


def open_sessions(server, count, receive_bytes=None):
    """Many of them, their handshakes under way together."""
    links = []
    for start in range(0, count, 100):
        some = [connect(server, receive_bytes=receive_bytes) for _ in range(min(100, count - start))]
        for link in some:
            link.sendall(HANDSHAKE)
        for link in some:
            take(link, 41)
        links += some
    return links


def take(link, size):
    """Exactly so many bytes; ConnectionError when the stream ends before."""
    parts = bytearray()
    while len(parts) < size:
        part = link.recv(min(1 << 20, size - len(parts)))
        if not part:
            raise ConnectionError("closed by the server")
        parts += part
    return bytes(parts)


def reply(link):
    """The next frame: xid, error, body."""
    (size,) = struct.unpack(">i", take(link, 4))
    body = take(link, size)
    xid, _, error = zkwire.HEADER.unpack_from(body)
    return xid, error, body[zkwire.HEADER.size:]


def reply_to(link, xid):
    """The reply to a request; events and replies before it are passed over."""
    while True:
        got = reply(link)
        if got[0] == xid:
            return got


def outcome(link, seconds=10):
    """What the server does to a connection: "closed", "answered -5", or "open" when nothing comes."""
    link.settimeout(seconds)
    try:
        xid, error, _ = reply(link)
        return f"answered {error}"
    except socket.timeout:
        return "open"
    except (ConnectionError, OSError):
        return "closed"


def errors(link, count, seconds=30):
    """The error codes of so many replies, fewer when the server ends the connection or says no more."""
    link.settimeout(seconds)
    got = []
    try:
        while len(got) < count:
            xid, error, _ = reply(link)
            got += [error] * (xid != zkwire.EVENT_XID)
    except OSError:
        pass
    return got


def count_events(link, count, seconds=60):
    """How many of so many events come."""
    link.settimeout(seconds)
    told = 0
    try:
        while told < count:
            told += reply(link)[0] == zkwire.EVENT_XID
    except OSError:
        pass
    return told


def is_answered(link, size):
    """Whether at least so many bytes come."""
    try:
        return len(take(link, size)) == size
    except OSError:
        return False


def send(link, payload):
    """Sends, and does not mind when the server has ended the connection."""
    try:
        link.sendall(payload)
    except OSError:
        pass


def reset(link):
    """Cuts a connection as a crash of the client's machine does not: the server hears of it at once."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    link.close()


def push(links, payload, seconds):
    """Sends the payload on every connection without ever reading; gives up on what is not taken in time. Returns how many bytes
    were taken and how many connections ended."""
    selector = selectors.DefaultSelector()
    left = {}
    for link in links:
        link.setblocking(False)
        left[link] = memoryview(payload)
        selector.register(link, selectors.EVENT_WRITE)
    taken = ended = 0
    deadline = time.monotonic() + seconds
    quiet_since = time.monotonic()
    while left and time.monotonic() < deadline and time.monotonic() - quiet_since < 1:
        for key, _ in selector.select(timeout=0.5):
            link = key.fileobj
            try:
                sent = link.send(left[link])
                taken += sent
                left[link] = left[link][sent:]
                quiet_since = time.monotonic()
                done = not left[link]
            except BlockingIOError:
                continue
            except OSError:
                ended, done = ended + 1, True
            if done:
                selector.unregister(link)
                del left[link]
    selector.close()
    return taken, ended


def wait_until_steady(server, seconds=10):
    """Waits until the server has done its work: it uses little of a processor for half a second."""
    deadline = time.monotonic() + seconds
    before = cpu_seconds(server.pid)
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = cpu_seconds(server.pid)
        if now - before < 0.1:
            return
        before = now


def cpu_seconds(pid):
    """What a process has used of the processors; 0 when it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def count_open(links):
    """How many connections the server has not ended. What was sent on them is thrown away."""
    still = 0
    for link in links:
        link.setblocking(False)
        try:
            while link.recv(1 << 16):
                pass
        except BlockingIOError:
            still += 1
        except OSError:
            pass
    return still


def close(links):
    for link in links:
        link.close()
