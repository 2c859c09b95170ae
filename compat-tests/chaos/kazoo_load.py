"""Clients of kazoo that keep many requests in flight per session until their standard input ends.

    kazoo_load.py ADDRESS ROOT FAMILIES SEED SESSIONS TIMEOUT_SECONDS
"""
import logging
import random
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.retry import KazooRetry

CHILDREN = ("a", "b", "c", "d", "e")
ANSWER_SECONDS = 30


class Load:
    """One session. Each turn sends a burst of requests without waiting, then waits for all answers."""

    def __init__(self, address, root, families, seed, timeout):
        self.random = random.Random(seed)
        self.name, self.count = f"k{seed}", 0
        self.root, self.families = root, families
        retry = KazooRetry(max_tries=-1, delay=0.01, backoff=1, max_delay=0.05)
        self.client = KazooClient(hosts=address, timeout=timeout, connection_retry=retry)
        self.made = []

    def data(self):
        self.count += 1
        return f"{self.name}.{self.count}".encode()

    def request(self, family):
        """Sends one random request; returns its pending answer."""
        client, target = self.client, f"{family}/{self.random.choice(CHILDREN)}"
        drawn = self.random.randrange(12)
        if drawn < 3:
            return client.set_async(target, self.data())
        if drawn < 5:
            return client.create_async(target, self.data(), ephemeral=drawn == 4, include_data=self.random.random() < 0.5)
        if drawn < 7:
            return client.get_async(target, watch=self.ignore if drawn == 6 else None)
        if drawn == 7:
            return client.delete_async(target)
        if drawn == 8:
            return client.exists_async(target, watch=self.ignore)
        if drawn == 9:
            return client.get_children_async(family, watch=self.ignore)
        if drawn == 10:
            return self.transaction(family, target)
        return self.sequential(family)

    def ignore(self, event):
        """Watches are judged on the wire."""

    def transaction(self, family, target):
        group = self.client.transaction()
        group.set_data(family, self.data())
        group.create(target, self.data(), ephemeral=self.random.random() < 0.5)
        group.delete(f"{family}/{self.random.choice(CHILDREN)}")
        return group.commit_async()

    def sequential(self, family):
        if len(self.made) >= 4:
            return self.client.delete_async(self.made.pop(0))
        answer = self.client.create_async(f"{family}/s-", self.data(), ephemeral=True, sequence=True)
        answer.rawlink(lambda done: self.made.append(done.value) if done.successful() else None)
        return answer

    def turn(self):
        # Spread over the families: the check of one takes long when many of its requests stay without answer at once.
        families = self.random.sample(range(self.families), self.random.randint(1, self.families))
        answers = [self.request(f"{self.root}/f{family:02d}") for family in families]
        for answer in answers:
            try:
                answer.get(timeout=ANSWER_SECONDS)
            except KazooException:
                # The server said no, or the link broke: both are judged on the wire.
                pass
        time.sleep(self.random.uniform(0, 0.02))

    def start(self):
        """A first connection that is lost at once counts as none for the client."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                return self.client.start(timeout=ANSWER_SECONDS)
            except KazooTimeoutError:
                if time.monotonic() > deadline:
                    raise

    def run(self, over):
        self.start()
        while not over.is_set():
            self.turn()
        self.client.stop()
        self.client.close()


def main():
    address, root, families, seed, sessions, timeout = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    over, failed = threading.Event(), []
    loads = [Load(address, root, int(families), int(seed) * 100 + i, float(timeout)) for i in range(int(sessions))]

    def guarded(load):
        try:
            load.run(over)
        except (KazooTimeoutError, KazooException) as problem:
            failed.append(f"{load.name}: {problem!r}")

    threads = [threading.Thread(target=guarded, args=(load,)) for load in loads]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    print("\n".join(failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
