"""Clients that write without a pause, note what was acknowledged, and come back after every fault."""
import threading
import time

import zkwire as zk

SESSION_MS = 10000
RETRY_SECONDS = 0.05


class Writer(threading.Thread):
    """Sets one znode to 1, 2, 3 … over whatever server answers.

    `acknowledged` is the last number that was answered, `sent` the last that may have been written.
    """

    def __init__(self, ensemble, path, first):
        super().__init__(daemon=True)
        self.ensemble, self.path, self.first = ensemble, path, first
        self.acknowledged = self.sent = 0
        self.longest_silence = 0.0
        self.failure = None
        self.ends = threading.Event()
        self.session = (0, bytes(16))

    def run(self):
        sids = list(self.ensemble.servers)
        turn, last = sids.index(self.first), time.monotonic()
        while not self.ends.is_set() and self.failure is None:
            try:
                client = self.ensemble.client(sids[turn % len(sids)], SESSION_MS, self.session, seconds=5)
            except (OSError, zk.Closed):
                turn += 1
                time.sleep(RETRY_SECONDS)
                continue
            self.session = client.session
            last = self.write(client, last)
            client.abandon()
            turn += 1

    def write(self, client, last):
        try:
            while not self.ends.is_set():
                self.sent += 1
                client.set_data(self.path, str(self.sent).encode())
                self.acknowledged = self.sent
                now = time.monotonic()
                self.longest_silence = max(self.longest_silence, now - last)
                last = now
        except (OSError, zk.Closed):
            pass
        except zk.Refused as refused:
            self.failure = refused
        return last

    def finish(self):
        self.ends.set()
        self.join(15)
        if self.failure is not None:
            raise AssertionError(f"{self.path}: {self.failure}")


class Creator(threading.Thread):
    """Creates znodes, several at a time on one connection; `acknowledged` holds the names of those that were answered."""

    def __init__(self, ensemble, parent, first):
        super().__init__(daemon=True)
        self.ensemble, self.parent, self.first = ensemble, parent, first
        self.acknowledged = []
        self.number = 0
        self.ends = threading.Event()

    def run(self):
        sids = list(self.ensemble.servers)
        turn = sids.index(self.first)
        while not self.ends.is_set():
            try:
                client = self.ensemble.client(sids[turn % len(sids)], SESSION_MS, seconds=5)
                while not self.ends.is_set():
                    self.batch(client)
            except (OSError, zk.Closed):
                turn += 1
                time.sleep(RETRY_SECONDS)

    def batch(self, client):
        names = {}
        for _ in range(8):
            self.number += 1
            name = f"{self.number:08}"
            names[client.submit(zk.CREATE, zk.create_body(f"{self.parent}/{name}", b"x"))] = name
        for xid in list(names):
            reply = client.receive()
            if reply.xid != xid:
                raise AssertionError(f"reply to {reply.xid}, expected {xid}")
            if reply.error != 0:
                raise AssertionError(f"error {reply.error} for {names[xid]}")
            self.acknowledged.append(names[xid])

    def finish(self):
        self.ends.set()
        self.join(15)
