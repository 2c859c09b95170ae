"""Three web hosts read one configuration, two databases elect a master, and the master's host dies."""
import threading
import time

from kazoo.client import KazooState
from kazoo.exceptions import NodeExistsError

from basics import ROOT
from harness import SESSION, TICK, check, wait

SHOP = f"{ROOT}/shop"


class Host:
    """A web host: keeps the configuration and the master's name by watches alone."""

    def __init__(self, bench):
        self.client = bench.client()
        self.configs, self.masters = [], []
        self.client.DataWatch(f"{SHOP}/config", self.on_config)
        self.client.DataWatch(f"{SHOP}/master", self.on_master)

    def on_config(self, data, stat):
        self.configs.append((stat.version, data))

    def on_master(self, data, _stat):
        self.masters.append((time.monotonic(), data))

    def knows(self, master):
        return self.masters and self.masters[-1][1] == master


class Database:
    """A database host: creates the master's ephemeral, or waits until it is gone and tries again."""

    def __init__(self, bench, name):
        self.name, self.link = name, f"p-{name}"
        self.bench = bench
        self.client = bench.client(self.link)
        self.session = self.client.client_id[0]
        self.won = threading.Event()

    def run_for_master(self):
        def again(event):
            # In a thread of its own: kazoo calls watches on the thread that a synchronous call would block.
            if event.type == "DELETED":
                threading.Thread(target=self.run_for_master, daemon=True).start()

        while not self.won.is_set():
            try:
                self.client.create(f"{SHOP}/master", self.name.encode(), ephemeral=True)
                self.won.set()
            except NodeExistsError:
                if self.client.exists(f"{SHOP}/master", watch=again):
                    return


def story(bench):
    admin = bench.client()
    admin.ensure_path(SHOP)
    admin.create(f"{SHOP}/config", b"config 0")
    hosts = [Host(bench) for _ in range(3)]
    for version in range(1, 6):
        admin.set(f"{SHOP}/config", b"config %d" % version)
        wait("all hosts have the change", lambda: all(host.configs[-1][0] == version for host in hosts))
    wanted = [(version, b"config %d" % version) for version in range(6)]
    for host in hosts:
        check("every change, once and in order", host.configs, wanted)
    first, second = Database(bench, "db-a"), Database(bench, "db-b")
    first.run_for_master()
    second.run_for_master()
    check("one master", (first.won.is_set(), second.won.is_set()), (True, False))
    wait("all hosts know the master", lambda: all(host.knows(b"db-a") for host in hosts))
    master_dies(hosts, first, second)
    old_master_returns(bench, first)


def master_dies(hosts, first, second):
    began = time.monotonic()
    first.bench.proxy("freeze", first.link)
    check("the other takes over", second.won.wait(SESSION + 2 * TICK + 2), True)
    wait("all hosts know the new master", lambda: all(host.knows(b"db-b") for host in hosts))
    late = max(host.masters[-1][0] for host in hosts) - began
    # The server counts in whole ticks from the last ping; one second is for a busy machine.
    check(f"all hosts knew within the session timeout ({late:.2f} s)", late <= SESSION + 2 * TICK + 1, True)
    check(f"not before it could be known ({late:.2f} s)", late >= SESSION / 2, True)
    for host in hosts:
        names = [name for _, name in host.masters if name is not None]
        check("masters seen", names, [b"db-a", b"db-b"])


def old_master_returns(bench, first):
    check("it must doubt already", first.client.state != KazooState.CONNECTED, True)
    bench.proxy("heal", first.link)
    wait("it is told that its session is gone", lambda: KazooState.LOST in first.client.states.seen)
    wait("it is connected anew", lambda: first.client.state == KazooState.CONNECTED)
    check("another session", first.client.client_id[0] != first.session, True)
    data, stat = first.client.get(f"{SHOP}/master")
    check("master by name", data, b"db-b")
    check("and not by its old or new session", stat.ephemeralOwner in (first.session, first.client.client_id[0]), False)
    check("its claim is refused", claim(first), "refused")


def claim(database):
    try:
        database.client.create(f"{SHOP}/master", database.name.encode(), ephemeral=True)
        return "accepted"
    except NodeExistsError:
        return "refused"


STEPS = [story]
