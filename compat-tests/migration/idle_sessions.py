"""Many clients that hardly do anything: idle_sessions.py HOSTS FIRST COUNT TIMEOUT_MS

Each has a session, an ephemeral and a watch on one znode; it pings, and when its connection breaks it goes to another server with its session
and its watch, as ZooKeeper's own client does it. A line on standard input is answered by one line of JSON that tells of all of them.
"opened" waits until they have all that, "ids" asks for the sessions, and behind "step" the time away is counted anew.
"""
import asyncio
import itertools
import json
import random
import struct
import sys
import time

import zkwire as zk

SERVICES, NOTICE = "/members", "/notice"
SET_WATCHES, SET_WATCHES_XID, PING_XID = 101, -8, -2
CREATE_XID, LOOK_XID = 1, 2
OPENING_AT_A_TIME = 50
BACKOFF_SECONDS = 1.0
TICK_SECONDS = 0.5
PING = struct.pack(">iii", 8, PING_XID, zk.PING)


def frame(body):
    return struct.pack(">i", len(body)) + body


class Counts:
    """What has befallen all sessions of this process."""

    def __init__(self):
        self.lost = self.reconnects = 0
        self.longest_away = 0.0
        self.errors = []


class Link(asyncio.Protocol):
    """One connection of a session."""

    def __init__(self, session):
        self.session, self.transport, self.buffer, self.is_open = session, None, b"", False
        self.sent = self.heard = time.monotonic()
        self.closed = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport
        self.send(self.session.greeting())

    def connection_lost(self, _error):
        self.closed.set()

    def send(self, body):
        self.transport.write(frame(body))
        self.sent = time.monotonic()

    def data_received(self, data):
        self.heard = time.monotonic()
        self.buffer += data
        while len(self.buffer) >= 4:
            size = 4 + struct.unpack_from(">i", self.buffer)[0]
            if len(self.buffer) < size:
                return
            body, self.buffer = self.buffer[4:size], self.buffer[size:]
            self.session.answered(self, body) if self.is_open else self.session.welcomed(self, body)

    def tick(self, now, timeout, connect_timeout):
        """Gives up what is silent, as ZooKeeper's client does: sooner as long as there is no session on it."""
        if now - self.heard > (timeout * 2 / 3 if self.is_open else connect_timeout):
            self.transport.abort()
        elif self.is_open and now - self.sent > timeout / 3:
            self.transport.write(PING)
            self.sent = now


class Session:
    """One session, over one connection at a time."""

    def __init__(self, number, hosts, timeout_ms, counts):
        self.number, self.timeout_ms, self.counts = number, timeout_ms, counts
        self.connect_timeout = timeout_ms / 1000 / len(hosts)
        self.hosts = itertools.cycle(random.sample(hosts, len(hosts)))
        self.id, self.password, self.zxid = 0, bytes(16), 0
        self.link, self.registered, self.seen = None, False, -1
        self.away_since = time.monotonic()
        self.opened = asyncio.Event()

    @property
    def is_open(self):
        return self.link is not None and self.link.is_open

    async def live(self):
        """Has a connection until the process ends: goes round the servers, in an order of its own."""
        loop = asyncio.get_running_loop()
        while True:
            link = Link(self)
            try:
                await asyncio.wait_for(loop.create_connection(lambda: link, *next(self.hosts)), self.connect_timeout)
                self.link = link
                await link.closed.wait()
            except (OSError, TimeoutError):
                pass
            if link.transport is not None:
                link.transport.abort()
            if link.is_open:
                self.away_since = time.monotonic()
            self.link = None
            await asyncio.sleep(random.uniform(0, BACKOFF_SECONDS))

    def greeting(self):
        return struct.pack(">iqiq", 0, self.zxid, self.timeout_ms, self.id) + zk.buffer(self.password) + b"\0"

    def welcomed(self, link, body):
        reader = zk.Reader(body)
        _, timeout_ms, session = struct.unpack(">iiq", reader.take(16))
        if timeout_ms <= 0:
            self.counts.lost += 1
            self.id, self.password, self.registered = 0, bytes(16), False
            return
        if self.id:
            self.counts.reconnects += 1
            self.counts.longest_away = max(self.counts.longest_away, time.monotonic() - self.away_since)
        self.id, self.password, link.is_open = session, reader.buffer(), True
        if not self.registered:
            link.send(struct.pack(">ii", CREATE_XID, zk.CREATE) + zk.create_body(f"{SERVICES}/{self.number:06}", flags=zk.EPHEMERAL))
        if self.seen < 0:
            self.look(link)
        else:
            link.send(struct.pack(">iiqi", SET_WATCHES_XID, SET_WATCHES, self.zxid, 1) + zk.buffer(NOTICE) + struct.pack(">ii", 0, 0))

    def look(self, link):
        link.send(struct.pack(">ii", LOOK_XID, zk.GET_DATA) + zk.buffer(NOTICE) + b"\1")

    def answered(self, link, body):
        xid, zxid, error = zk.HEADER.unpack_from(body)
        self.zxid = max(self.zxid, zxid)
        if xid == zk.EVENT_XID:
            self.look(link)
        elif error and not (xid == CREATE_XID and error == zk.NODE_EXISTS):
            self.counts.errors.append(f"error {error} for request {xid} of {self.number}")
        elif xid == CREATE_XID:
            self.registered = True
        elif xid == LOOK_XID:
            self.seen = int(zk.Reader(body[zk.HEADER.size:]).buffer())
        if self.registered and self.seen >= 0:
            self.opened.set()


async def tick(sessions):
    while True:
        await asyncio.sleep(TICK_SECONDS)
        now = time.monotonic()
        for session in sessions:
            if session.link is not None:
                session.link.tick(now, session.timeout_ms / 1000, session.connect_timeout)


async def open_one(session, places, living):
    async with places:
        living.append(asyncio.create_task(session.live()))
        await session.opened.wait()


def report(sessions, counts, with_ids):
    return json.dumps({
        "sessions": len(sessions), "connected": sum(session.is_open for session in sessions), "lost": counts.lost,
        "reconnects": counts.reconnects, "longest_away": round(counts.longest_away, 1), "errors": counts.errors[:5],
        "seen": min(session.seen for session in sessions), "ids": {f"{session.number:06}": session.id for session in sessions if with_ids},
    })


async def main():
    hosts = [(host, int(port)) for host, port in (address.split(":") for address in sys.argv[1].split(","))]
    first, count, timeout_ms = map(int, sys.argv[2:5])
    counts = Counts()
    sessions = [Session(number, hosts, timeout_ms, counts) for number in range(first, first + count)]
    ticking = asyncio.create_task(tick(sessions))
    places = asyncio.Semaphore(OPENING_AT_A_TIME)
    living = []
    opening = asyncio.gather(*(open_one(session, places, living) for session in sessions))
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        if line == "opened\n":
            await opening
        print(report(sessions, counts, line == "ids\n"), flush=True)
        if line == "step\n":
            counts.longest_away = 0.0
    for task in (ticking, *living):
        task.cancel()


asyncio.run(main())
