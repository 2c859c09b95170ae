"""Two clients of kazoo that take one lock in turn, and write under its protection until their standard input ends.

    locks.py ADDRESS ROOT SEED TIMEOUT_SECONDS

The lock's fencing token is the number of the holder's znode. A write is a transaction that checks this znode. By the zxids of
the writes no token may come back after a higher one. The last line is a JSON object with the counts.
"""
import json
import logging
import random
import sys
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.retry import KazooRetry

CLIENTS = 2
ANSWER_SECONDS = 30
HOLD_SECONDS = 0.02


class Contender:
    def __init__(self, address, path, number, seed, timeout):
        self.path, self.number, self.random = path, number, random.Random(seed * 10 + number)
        retry = KazooRetry(max_tries=-1, delay=0.01, backoff=1, max_delay=0.05)
        self.client = KazooClient(hosts=address, timeout=timeout, connection_retry=retry)
        self.writes, self.held, self.fenced = [], 0, 0

    def run(self, over):
        self.client.start(timeout=ANSWER_SECONDS)
        while not over.is_set():
            lock = self.client.Lock(self.path)
            try:
                if lock.acquire(timeout=ANSWER_SECONDS):
                    self.held += 1
                    self.hold(lock, over)
            except (KazooException, KazooTimeoutError):
                self.fenced += 1
            self.leave(lock)
            over.wait(self.random.uniform(0, HOLD_SECONDS))
        self.client.stop()
        self.client.close()

    def hold(self, lock, over):
        token = int(lock.node[-10:])
        for turn in range(self.random.randrange(1, 40)):
            group = self.client.transaction()
            group.check(f"{self.path}/{lock.node}", 0)
            group.set_data(self.path, f"{token}.{self.number}.{turn}".encode())
            results = group.commit()
            if any(isinstance(result, Exception) for result in results):
                self.fenced += 1
                return
            self.writes.append((results[1].mzxid, token))
            over.wait(self.random.uniform(0, HOLD_SECONDS))

    def leave(self, lock):
        try:
            lock.release()
        except (KazooException, KazooTimeoutError):
            # The session is gone, and the znode with it, or the release came through without an answer.
            pass


def violations(writes):
    """Pairs of writes of which the later one has the lower token."""
    ordered = sorted(writes)
    return [(one, two) for one, two in zip(ordered, ordered[1:]) if two[1] < one[1]]


def main():
    address, root, seed, timeout = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    over = threading.Event()
    contenders = [Contender(address, f"{root}-locks/lock", number, int(seed), float(timeout)) for number in range(CLIENTS)]
    threads = [threading.Thread(target=contender.run, args=(over,)) for contender in contenders]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    writes = [write for contender in contenders for write in contender.writes]
    wrong = violations(writes)
    print(json.dumps({"held": sum(one.held for one in contenders), "locked_writes": len(writes),
                      "fenced": sum(one.fenced for one in contenders), "overlaps": wrong[:5]}))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
