"""Pairs of clients of kazoo that are leaders in turn, and write under that protection until their standard input ends.

    locks.py ADDRESS ROOT SEED TIMEOUT_SECONDS

Three ways to become one: kazoo's lock, kazoo's election, and an ephemeral znode that the first to create it has. Each holder has
a fencing token, and a write is a transaction that checks what it holds. By the zxids of the writes no token may come back after a
higher one. The last line is a JSON object with the counts.
"""
import json
import logging
import random
import sys
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, LockTimeout
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.retry import KazooRetry

CLIENTS = 2
ANSWER_SECONDS = 30
# kazoo may leave a znode behind, or make two, when a link breaks: its client then waits for itself as long as the session lives.
WAIT_SECONDS = 10
HOLD_SECONDS = 0.02
WRITES_MOST = 40


class Contender:
    """One client. A subclass says in `turn` how it comes to hold, and calls `hold` when it does."""

    def __init__(self, address, path, number, seed, timeout):
        self.path, self.number, self.random = path, number, random.Random(seed * 10 + number)
        retry = KazooRetry(max_tries=-1, delay=0.01, backoff=1, max_delay=0.05)
        self.client = KazooClient(hosts=address, timeout=timeout, connection_retry=retry)
        self.writes, self.held, self.fenced = [], 0, 0

    def run(self, over):
        self.client.start(timeout=ANSWER_SECONDS)
        self.over = over
        while not over.is_set():
            try:
                self.turn()
            except (KazooException, KazooTimeoutError):
                self.fenced += 1
            self.pause()
        self.client.stop()
        self.client.close()

    def pause(self):
        self.over.wait(self.random.uniform(0, HOLD_SECONDS))

    def hold(self, token, check):
        """Writes as long as `check`, which adds to a transaction what proves that this client still holds, is good; how many it wrote, or None."""
        self.held += 1
        writes = self.random.randrange(1, WRITES_MOST)
        for turn in range(writes):
            group = self.client.transaction()
            check(group, turn)
            group.set_data(self.path, f"{token}.{self.number}.{turn}".encode())
            results = group.commit()
            if any(isinstance(result, Exception) for result in results):
                self.fenced += 1
                return None
            self.writes.append((results[-1].mzxid, token))
            self.pause()
        return writes

    def renew(self):
        """Another session: nothing of the one before is in anybody's way."""
        self.client.stop()
        self.client.start(timeout=ANSWER_SECONDS)

    def quietly(self, leave):
        try:
            leave()
        except (KazooException, KazooTimeoutError):
            # The session is gone, and the znode with it, or it came through without an answer.
            pass

    def hold_node(self, node):
        """Holds by an ephemeral of a lock, whose number is the token."""
        self.hold(int(node[-10:]), lambda group, _turn: group.check(f"{self.path}/{node}", 0))


class Locker(Contender):
    """kazoo's Lock."""

    name = "locks"

    def turn(self):
        lock = self.client.Lock(self.path)
        try:
            if not lock.acquire(timeout=WAIT_SECONDS):
                raise LockTimeout(self.path)
            self.hold_node(lock.node)
        except LockTimeout:
            self.renew()
        finally:
            self.quietly(lock.release)


class Candidate(Contender):
    """kazoo's Election, which calls the one that is elected."""

    name = "elections"

    def turn(self):
        election = self.client.Election(self.path)
        held, patience = self.held, threading.Timer(WAIT_SECONDS, election.cancel)
        patience.start()
        try:
            election.run(lambda: self.lead(election, patience))
        finally:
            patience.cancel()
        if self.held == held:
            self.renew()

    def lead(self, election, patience):
        patience.cancel()
        self.hold_node(election.lock.node)


class Master(Contender):
    """Whoever creates an ephemeral has its place. The zxid of its creation is the token; each write raises its version by one."""

    name = "masters"

    def turn(self):
        self.client.ensure_path(self.path)
        place = f"{self.path}/place"
        gone = threading.Event()
        if stat := self.client.exists(place, watch=lambda _event: gone.set()):
            if stat.ephemeralOwner != self.client.client_id[0]:
                gone.wait(HOLD_SECONDS * WRITES_MOST)
                return
            # A creation without answer that came through, or a place that could not be left.
            self.client.delete(place, version=stat.version)
        _, stat = self.client.create(place, b"", ephemeral=True, include_data=True)
        if writes := self.hold(stat.czxid, lambda group, turn: group.set_data(place, b"", version=turn)):
            self.client.delete(place, version=writes)


KINDS = (Locker, Candidate, Master)


def violations(writes):
    """Pairs of writes of which the later one has the lower token."""
    ordered = sorted(writes)
    return [(one, two) for one, two in zip(ordered, ordered[1:]) if two[1] < one[1]]


def main():
    address, root, seed, timeout = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    over = threading.Event()
    contenders = [kind(address, f"{root}-locks/{kind.name}", number, int(seed), float(timeout)) for kind in KINDS for number in range(CLIENTS)]
    threads = [threading.Thread(target=contender.run, args=(over,)) for contender in contenders]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    wrong = {kind.name: violations([write for one in contenders if isinstance(one, kind) for write in one.writes]) for kind in KINDS}
    print(json.dumps({**{kind.name: sum(one.held for one in contenders if isinstance(one, kind)) for kind in KINDS},
                      "locked_writes": sum(len(one.writes) for one in contenders), "fenced": sum(one.fenced for one in contenders),
                      "overlaps": {name: found[:5] for name, found in wrong.items() if found}}))
    sys.exit(1 if any(wrong.values()) else 0)


if __name__ == "__main__":
    main()
