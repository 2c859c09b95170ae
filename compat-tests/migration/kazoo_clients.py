"""Clients of kazoo that live through a migration: kazoo_clients.py HOSTS COUNT SESSION_SECONDS

Each registers by an ephemeral, creates znodes and sets one, and takes a lock now and then. A line on standard input is answered by one
line of JSON with a report of each client; "end" stops the writes first. The sessions live until standard input ends.
"""
import json
import logging
import sys
import threading
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import BadVersionError, ConnectionLoss, KazooException, NodeExistsError
from kazoo.recipe.lock import Lock

logging.getLogger("kazoo").setLevel(logging.CRITICAL)

LOCK_EVERY = 5
RETRY_SECONDS = 0.02


class Client(threading.Thread):
    """One session and what it was told."""

    def __init__(self, hosts, name, timeout):
        super().__init__(daemon=True)
        self.name = name
        self.acknowledged = self.set = self.locked = self.losses = 0
        self.errors, self.sessions_lost = [], 0
        self.longest_silence, self.last = 0.0, time.monotonic()
        self.ends = threading.Event()
        self.kazoo = KazooClient(hosts=hosts, timeout=timeout)
        self.kazoo.add_listener(self.note)
        self.kazoo.start(timeout=timeout)
        self.session = self.kazoo.client_id[0]
        self.again(lambda: self.kazoo.create(f"/services/{name}", ephemeral=True), may_exist=True)
        self.again(lambda: self.kazoo.create(f"/writes/{name}"), may_exist=True)
        self.again(lambda: self.kazoo.create(f"/counters/{name}", b"0"), may_exist=True)

    def note(self, state):
        if state == KazooState.LOST and not self.ends.is_set():
            self.sessions_lost += 1

    def again(self, request, may_exist=False):
        """Repeats a request until it is answered; one that may have been carried out may find its own znode."""
        lost = 0
        while True:
            try:
                answer = request()
                break
            except ConnectionLoss:
                lost += 1
                time.sleep(RETRY_SECONDS)
            except NodeExistsError:
                if not (lost and may_exist):
                    raise
                answer = None
                break
        self.losses += lost
        now = time.monotonic()
        self.longest_silence = max(self.longest_silence, now - self.last)
        self.last = now
        return answer

    def run(self):
        turn = 0
        try:
            while not self.ends.is_set():
                turn += 1
                self.write()
                if turn % LOCK_EVERY == 0:
                    self.take_lock()
                    self.look_at_registration()
        except KazooException as error:
            self.errors.append(repr(error))

    def write(self):
        number = self.acknowledged + 1
        self.again(lambda: self.kazoo.create(f"/writes/{self.name}/{number:08}", str(number).encode()), may_exist=True)
        self.acknowledged = number
        self.again(lambda: self.kazoo.set(f"/counters/{self.name}", str(number).encode()))
        self.set = number

    def look_at_registration(self):
        stat = self.again(lambda: self.kazoo.exists(f"/services/{self.name}"))
        if stat is None or stat.ephemeralOwner != self.session:
            self.errors.append(f"the registration of session 0x{self.session:x} is {stat}")

    def take_lock(self):
        """Adds one to a znode under the lock: nobody else may have done so meanwhile."""
        lock = Lock(self.kazoo, "/lock", self.name)
        self.again(lock.acquire)
        try:
            value, stat = self.again(lambda: self.kazoo.get("/shared"))
            mine = f"{int(value.split()[0]) + 1} {self.name}".encode()
            self.set_shared(mine, stat.version)
            self.locked += 1
        except BadVersionError:
            self.errors.append("somebody else wrote while this client had the lock")
        finally:
            self.again(lock.release)

    def set_shared(self, mine, version):
        try:
            self.kazoo.set("/shared", mine, version=version)
        except ConnectionLoss:
            self.losses += 1
            # What was sent on the old connection is decided once a sync on the new one is answered.
            self.again(lambda: self.kazoo.sync("/shared"))
            value, stat = self.again(lambda: self.kazoo.get("/shared"))
            if value != mine:
                if stat.version != version:
                    raise BadVersionError from None
                self.set_shared(mine, version)

    def report(self):
        session = self.kazoo.client_id[0] if self.kazoo.client_id else None
        return {
            "root": "", "name": self.name, "acknowledged": self.acknowledged, "set": self.set, "locked": self.locked, "losses": self.losses,
            "errors": self.errors[:5], "sessions_lost": self.sessions_lost + (session != self.session), "session": self.session,
            "connected": self.kazoo.connected, "longest_silence": round(self.longest_silence, 2), "alive": self.is_alive(),
        }


def main():
    hosts, count, timeout = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    maker = KazooClient(hosts=hosts, timeout=timeout)
    maker.start(timeout=timeout)
    for path, data in (("/services", b""), ("/writes", b""), ("/counters", b""), ("/lock", b""), ("/shared", b"0 nobody")):
        maker.create(path, data)
    maker.stop()
    clients = [Client(hosts, f"c{number}", timeout) for number in range(count)]
    for client in clients:
        client.start()
    for line in sys.stdin:
        if line.strip() == "end":
            for client in clients:
                client.ends.set()
            for client in clients:
                client.join(60)
        print(json.dumps([client.report() for client in clients]), flush=True)
    for client in clients:
        client.kazoo.stop()


main()
