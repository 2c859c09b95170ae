"""Recipes of kazoo, and what people build from znodes, while the leader of the ensemble is killed: recipes.py SCENARIO ADDRESS,ADDRESS,…

Each function is a scenario with a promise. It writes `middle` to its standard output when it is in the middle of its work and waits for a
line: by then the leader is dead, another leads, and the dead one was started again. `end` is answered when every server serves.
"""
import datetime
import logging
import sys
import threading
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import BadVersionError, KazooException, NodeExistsError
from kazoo.recipe.barrier import Barrier, DoubleBarrier
from kazoo.recipe.cache import TreeCache
from kazoo.recipe.counter import Counter
from kazoo.recipe.election import Election
from kazoo.recipe.lease import NonBlockingLease
from kazoo.recipe.party import Party
from kazoo.recipe.queue import LockingQueue
from kazoo.recipe.watchers import ChildrenWatch, DataWatch
from kazoo.retry import KazooRetry

# A session outlives the change of leaders by far: only the first of two leaders can take it away.
SESSION_SECONDS = 9.0
# A limit that only a failure reaches.
PATIENCE_SECONDS = 30.0


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, expected {wanted!r}")


def wait_for(what, condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come in {PATIENCE_SECONDS} s")
        time.sleep(0.01)
    return answer


class Scenario:
    """What a scenario has: clients, threads that work until they are told to stop, and whoever kills the leader."""

    def __init__(self, addresses):
        self.addresses = addresses
        self.clients, self.threads, self.failures = [], [], []
        self.over = threading.Event()

    def client(self, addresses=None):
        """A client of all servers, with the states that it went through."""
        def retry():
            return KazooRetry(max_tries=-1, delay=0.02, backoff=1.5, max_delay=0.2)

        hosts = ",".join(addresses or self.addresses)
        client = KazooClient(hosts=hosts, timeout=SESSION_SECONDS, connection_retry=retry(), command_retry=retry())
        client.states = []
        client.add_listener(client.states.append)
        client.start(timeout=PATIENCE_SECONDS)
        self.clients.append(client)
        return client

    def work(self, function, *arguments):
        """Calls it again and again, in a thread of its own, until `finish`."""
        def run():
            while not self.over.is_set():
                function(*arguments)

        self.go(run)

    def work_behind(self, client, function):
        """The same, from the moment on at which the client has lost its connection.

        kazoo's watchers may take no notice of a connection that is lost while they ask: then they never ask again, whatever the server.
        """
        def run():
            wait_for("the end of a connection", lambda: KazooState.SUSPENDED in client.states)
            while not self.over.is_set():
                function()

        self.go(run)

    def go(self, function, *arguments):
        """Calls it once, in a thread of its own."""
        def run():
            try:
                function(*arguments)
            except BaseException as failure:
                self.failures.append(failure)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.threads.append(thread)

    def ask(self, word):
        print(word, flush=True)
        if sys.stdin.readline().strip() != word:
            raise AssertionError(f"nobody answered {word}")

    def middle(self):
        """The leader dies. Every client loses its connection, and comes back with its session."""
        before = [len(client.states) for client in self.clients]
        self.ask("middle")
        for client, count in zip(self.clients, before):
            wait_for("a client that lost its connection", lambda client=client, count=count: KazooState.SUSPENDED in client.states[count:])
            wait_for("a client that comes back", lambda client=client: client.state == KazooState.CONNECTED)

    def dies_amid(self, what, count, more):
        """The leader dies amid work: more than so many things are counted before that, and again behind it. Then the work ends."""
        wait_for(f"{what} before", lambda: count() > more)
        self.middle()
        before = count()
        wait_for(f"{what} behind", lambda: count() > before + more)
        self.finish()

    def finish(self):
        """The end of all work, and of the commotion."""
        self.over.set()
        for thread in self.threads:
            thread.join(PATIENCE_SECONDS)
            expect("a thread that works on", thread.is_alive(), False)
        if self.failures:
            raise self.failures[0]
        self.ask("end")
        for client in self.clients:
            expect("sessions that were lost", KazooState.LOST in client.states, False)

    def everywhere(self):
        """A client of each server, which sees all that is committed."""
        for address in self.addresses:
            client = self.client([address])
            client.sync("/")
            yield client


def acknowledged(function, *arguments):
    """Whether a request was answered with success; without an answer it may have been carried out."""
    try:
        function(*arguments)
        return True
    except BadVersionError:
        raise
    except KazooException:
        return False


def lock(scenario):
    """A lock has one holder at a time, by its fencing token; who held it when the leader died holds it still."""
    first, second = scenario.client(), scenario.client()
    holder, waiter = first.Lock("/lock/l"), second.Lock("/lock/l")
    holder.acquire()
    token = holder.node
    taken = threading.Event()

    def wait():
        if waiter.acquire(timeout=PATIENCE_SECONDS):
            taken.set()

    scenario.go(wait)
    wait_for("a contender", lambda: len(first.get_children("/lock/l")) == 2)
    scenario.middle()
    expect("the owner of the lock", first.get(f"/lock/l/{token}")[1].ephemeralOwner, first.client_id[0])
    expect("a second holder", taken.is_set(), False)
    holder.release()
    expect("the next holder", taken.wait(PATIENCE_SECONDS), True)
    expect("its token is higher", waiter.node[-10:] > token[-10:], True)
    scenario.finish()


def locked_writes(scenario):
    """Several take one lock in turn. No write of an earlier holder comes behind one of a later holder."""
    writes = []

    def turn(client):
        held = client.Lock("/writes/l")
        try:
            if held.acquire(timeout=PATIENCE_SECONDS):
                group = client.transaction()
                group.check(f"/writes/l/{held.node}", 0)
                group.set_data("/writes/l", held.node.encode())
                results = group.commit()
                if not any(isinstance(result, Exception) for result in results):
                    writes.append((results[1].mzxid, int(held.node[-10:])))
        except KazooException:
            pass
        finally:
            acknowledged(held.release)

    clients = [scenario.client() for _ in range(3)]
    for client in clients:
        scenario.work(turn, client)
    scenario.dies_amid("turns", lambda: len(writes), 20)
    tokens = [token for _, token in sorted(writes)]
    expect("tokens in the order of the writes", tokens, sorted(set(tokens)))


def semaphore(scenario):
    """No more leases than there are."""
    inside, most, turns = [], [], []

    def turn(client):
        lease = client.Semaphore("/semaphore", max_leases=2)
        try:
            if lease.acquire(timeout=PATIENCE_SECONDS):
                inside.append(client)
                most.append(len(inside))
                turns.append(client)
                time.sleep(0.005)
                inside.remove(client)
        except KazooException:
            pass
        finally:
            acknowledged(lease.release)

    for client in [scenario.client() for _ in range(4)]:
        scenario.work(turn, client)
    scenario.dies_amid("turns", lambda: len(turns), 20)
    expect("leases at a time", max(most) <= 2, True)


def election(scenario):
    """One leads at a time; who led when the server died leads on; then each of the others in its turn."""
    leads, led, may_end = [], [], threading.Event()

    def lead(name):
        leads.append(name)
        led.append(name)
        may_end.wait(PATIENCE_SECONDS)
        expect("leaders at a time", leads, [name])
        leads.remove(name)

    for name in ("a", "b", "c"):
        scenario.go(Election(scenario.client(), "/election", name).run, lead, name)
    wait_for("a leader", lambda: leads)
    wait_for("three candidates", lambda: len(scenario.clients[0].get_children("/election")) == 3)
    first = leads[0]
    scenario.middle()
    expect("who leads", leads, [first])
    may_end.set()
    wait_for("the others' turn", lambda: len(led) == 3)
    scenario.finish()
    expect("who led", sorted(led), ["a", "b", "c"])


def queue(scenario):
    """What was put into a queue and acknowledged is taken out, and nothing twice."""
    put, tried, taken, unknown = set(), set(), [], set()
    producer, consumers = scenario.client(), [scenario.client() for _ in range(2)]
    line = LockingQueue(producer, "/queue")

    def produce():
        item = b"%d" % len(tried)
        tried.add(item)
        if acknowledged(line.put, item):
            put.add(item)

    def consume(consumer):
        item = None
        try:
            item = consumer.get(timeout=0.2)
            if item is not None and consumer.consume():
                taken.append(item)
        except KazooException:
            unknown.add(item)

    scenario.work(produce)
    for client in consumers:
        scenario.work(consume, LockingQueue(client, "/queue"))
    scenario.dies_amid("items", lambda: len(taken), 20)
    rest = LockingQueue(scenario.client(), "/queue")
    # A consumer that had no answer may still hold an item: it lets go of it with its session.
    for client in consumers:
        client.stop()
    while (item := rest.get(timeout=0.2)) is not None:
        rest.consume()
        taken.append(item)
    expect("items taken twice", len(taken), len(set(taken)))
    expect("items put and not taken", put - set(taken) - unknown, set())
    expect("items that nobody put", set(taken) - tried, set())


def counter(scenario):
    """No increment that was acknowledged is lost, and none is counted that nobody made."""
    clients = [scenario.client() for _ in range(3)]
    counts = dict.fromkeys(clients, 0)

    def add(client, one):
        one += 1
        counts[client] += 1

    for client in clients:
        scenario.work(add, client, Counter(client, "/counter"))
    scenario.dies_amid("increments", lambda: sum(counts.values()), 30)
    # Without an answer kazoo adds once more: once for each connection that was lost.
    lost = sum(client.states.count(KazooState.SUSPENDED) for client in clients)
    total = sum(counts.values())
    for reader in scenario.everywhere():
        value = Counter(reader, "/counter").value
        expect(f"{total} acknowledged, {value} counted, {lost} connections lost", total <= value <= total + lost, True)


def transaction(scenario):
    """Money goes from one account to another: all of a transfer or nothing, none of the acknowledged is lost."""
    first = scenario.client()
    for account in ("/bank", "/bank/a", "/bank/b"):
        first.create(account, b"1000")
    done = []

    def transfer(client):
        (a, of_a), (b, of_b) = client.retry(client.get, "/bank/a"), client.retry(client.get, "/bank/b")
        group = client.transaction()
        group.set_data("/bank/a", b"%d" % (int(a) - 1), version=of_a.version)
        group.set_data("/bank/b", b"%d" % (int(b) + 1), version=of_b.version)
        try:
            if not any(isinstance(result, Exception) for result in group.commit()):
                done.append(of_a.version)
        except KazooException:
            pass

    clients = [first, scenario.client()]
    for client in clients:
        scenario.work(transfer, client)
    scenario.dies_amid("transfers", lambda: len(done), 30)
    expect("one transfer for each version", len(done), len(set(done)))
    for reader in scenario.everywhere():
        (a, of_a), (b, of_b) = reader.get("/bank/a"), reader.get("/bank/b")
        expect("the sum", int(a) + int(b), 2000)
        expect("transfers", (int(a), of_b.version), (1000 - of_a.version, of_a.version))
        lost = sum(client.states.count(KazooState.SUSPENDED) for client in clients)
        expect(f"acknowledged {len(done)}, made {of_a.version}, lost {lost}", len(done) <= of_a.version <= len(done) + lost, True)


def sequence(scenario):
    """Sequence numbers go up, and none is given twice."""
    made = []

    def make(client, own):
        try:
            own.append(client.create("/sequence/s-", sequence=True))
        except KazooException:
            pass

    scenario.client().create("/sequence")
    for _ in range(3):
        made.append([])
        scenario.work(make, scenario.client(), made[-1])
    scenario.dies_amid("names", lambda: sum(map(len, made)), 30)
    for own in made:
        expect("the order of one client's names", own, sorted(own))
    names = {name.removeprefix("/sequence/") for own in made for name in own}
    expect("names that were given once", len(names), sum(map(len, made)))
    for reader in scenario.everywhere():
        expect("names that are gone", names - set(reader.get_children("/sequence")), set())


def barrier(scenario):
    """Nobody passes a barrier before it is removed, and everybody then."""
    keeper, passed = scenario.client(), []
    gate = Barrier(keeper, "/barrier")
    gate.create()

    def wait(client):
        # kazoo drops a watch with its connection, and does not tell this recipe: it has to ask again.
        while True:
            try:
                if Barrier(client, "/barrier").wait(timeout=1):
                    break
            except KazooException:
                pass
        passed.append(client)

    for _ in range(3):
        scenario.go(wait, scenario.client())
    scenario.middle()
    expect("who passed a closed barrier", passed, [])
    gate.remove()
    wait_for("all to pass", lambda: len(passed) == 3)
    scenario.finish()


def double_barrier(scenario):
    """All enter together, and those who are in leave together."""
    entered, left, may_leave = [], [], threading.Event()

    def go(client):
        both = DoubleBarrier(client, "/double", 3)
        both.enter()
        entered.append(client)
        may_leave.wait(PATIENCE_SECONDS)
        both.leave()
        left.append(client)

    clients = [scenario.client() for _ in range(3)]
    for client in clients[:2]:
        scenario.go(go, client)
    wait_for("two that wait", lambda: len(clients[2].get_children("/double") if clients[2].exists("/double") else []) >= 2)
    expect("who entered without the third", entered, [])
    scenario.go(go, clients[2])
    wait_for("all to enter", lambda: len(entered) == 3)
    # Not while they wait to enter: this recipe never hears of the end of a wait whose connection was lost, whatever the server.
    scenario.middle()
    expect("who left", left, [])
    may_leave.set()
    wait_for("all to leave", lambda: len(left) == 3)
    scenario.finish()


def watch_data(client, path, seen, what):
    """Keeps what can be seen of a znode."""
    DataWatch(client, path, lambda data, stat: seen.append(what(data, stat)))


def data_watch(scenario):
    """Whoever watches data never sees it go back, and sees its last state."""
    writer, seen = scenario.client(), [[] for _ in range(3)]
    writer.create("/data", b"0")
    for own in seen:
        watch_data(scenario.client(), "/data", own, lambda _data, stat: stat.version)
    version = writer.set("/data", b"before").version
    wait_for("a change before", lambda: all(own[-1] == version for own in seen))
    scenario.work_behind(writer, lambda: acknowledged(writer.set, "/data", b"x"))
    scenario.middle()
    counts = list(map(len, seen))
    wait_for("changes behind", lambda: all(len(own) > count + 5 for own, count in zip(seen, counts)))
    scenario.finish()
    last = writer.set("/data", b"last").version
    wait_for("the last change, for all", lambda: all(own[-1] == last for own in seen))
    for own in seen:
        expect("versions as they were seen", own, sorted(own))


def children_watch(scenario):
    """Whoever watches children sees the last list of them."""
    writer, seen = scenario.client(), [[] for _ in range(3)]
    writer.create("/children")
    for own in seen:
        ChildrenWatch(scenario.client(), "/children", lambda children, own=own: own.append(sorted(children)))
    writer.create("/children/before")
    wait_for("a change before", lambda: all(own[-1] == ["before"] for own in seen))
    numbers = iter(range(1_000_000))
    scenario.work_behind(writer, lambda: acknowledged(writer.create, f"/children/{next(numbers):06}"))
    scenario.middle()
    counts = list(map(len, seen))
    wait_for("changes behind", lambda: all(len(own) > count + 5 for own, count in zip(seen, counts)))
    scenario.finish()
    writer.create("/children/last")
    last = sorted(writer.get_children("/children"))
    wait_for("the last list, for all", lambda: all(own[-1] == last for own in seen))


def tree_cache(scenario):
    """A cache of a subtree ends with what is there."""
    writer = scenario.client()
    writer.create("/tree")
    cache = TreeCache(scenario.client(), "/tree")
    cache.start()
    numbers = iter(range(1_000_000))

    def change():
        name = f"/tree/{next(numbers) % 20}"
        if not acknowledged(writer.create, name, b"new"):
            acknowledged(writer.delete, name)

    scenario.work(change)
    wait_for("a filled cache", lambda: len(cache.get_children("/tree", set())) > 3)
    scenario.middle()
    scenario.finish()
    writer.create("/tree/last", b"last")
    wait_for("the last znode", lambda: cache.get_data("/tree/last") is not None)
    wait_for("the same children", lambda: set(cache.get_children("/tree")) == set(writer.get_children("/tree")))
    cache.close()


def registration(scenario):
    """An ephemeral survives the change of leaders with its session, and goes when that is closed."""
    member, other = scenario.client(), scenario.client()
    other.create("/services")
    member.create("/services/one", b"here", ephemeral=True)
    other.create("/services/two", b"here", ephemeral=True)
    scenario.middle()
    member.create("/services/three", b"here", ephemeral=True)
    scenario.finish()
    for reader in scenario.everywhere():
        expect("what is registered", sorted(reader.get_children("/services")), ["one", "three", "two"])
        expect("its session", reader.get("/services/one")[1].ephemeralOwner, member.client_id[0])
    member.stop()
    for reader in scenario.everywhere():
        expect("what is registered then", reader.get_children("/services"), ["two"])


def party(scenario):
    """Members stay members."""
    clients = [scenario.client() for _ in range(3)]
    parties = [Party(client, "/party", f"m{index}") for index, client in enumerate(clients)]
    for one in parties[:2]:
        one.join()
    scenario.middle()
    parties[2].join()
    clients[0].sync("/party")
    expect("members", sorted(parties[0]), ["m0", "m1", "m2"])
    parties[1].leave()
    scenario.finish()
    for reader in scenario.everywhere():
        expect("members that are left", sorted(Party(reader, "/party")), ["m0", "m2"])


def lease(scenario):
    """A lease has one holder until its time is over, whoever leads."""
    first, second = scenario.client(), scenario.client()
    hour = datetime.timedelta(hours=1)
    expect("the first", bool(NonBlockingLease(first, "/lease", hour, "first")), True)
    expect("the second", bool(NonBlockingLease(second, "/lease", hour, "second")), False)
    scenario.middle()
    second.sync("/lease")
    expect("the second", bool(NonBlockingLease(second, "/lease", hour, "second")), False)
    expect("the first again", bool(NonBlockingLease(first, "/lease", hour, "first")), True)
    scenario.finish()


def shop(scenario):
    """Three web hosts know every newest configuration; one of two databases is the master, and the other when that one goes."""
    admin, hosts = scenario.client(), []
    admin.create("/shop")
    admin.create("/shop/config", b"0")
    databases = {name: scenario.client() for name in (b"db-a", b"db-b")}

    def claim(name):
        try:
            databases[name].create("/shop/master", name, ephemeral=True)
            return True
        except NodeExistsError:
            return False

    expect("claims", [claim(b"db-a"), claim(b"db-b")], [True, False])
    for _ in range(3):
        client, configs, masters = scenario.client(), [], []
        watch_data(client, "/shop/config", configs, lambda data, _stat: int(data))
        watch_data(client, "/shop/master", masters, lambda data, _stat: data)
        hosts.append((configs, masters))
    versions = iter(range(1, 1_000_000))
    admin.set("/shop/config", b"%d" % next(versions))
    wait_for("a configuration before", lambda: all(configs[-1] == 1 for configs, _ in hosts))
    scenario.work_behind(admin, lambda: acknowledged(admin.set, "/shop/config", b"%d" % next(versions)))
    scenario.middle()
    expect("a claim while the master lives", claim(b"db-b"), False)
    counts = [len(configs) for configs, _ in hosts]
    wait_for("configurations behind", lambda: all(len(configs) > count + 3 for (configs, _), count in zip(hosts, counts)))
    scenario.finish()
    databases[b"db-a"].stop()
    wait_for("the master's place", lambda: claim(b"db-b"))
    admin.set("/shop/config", b"%d" % 1_000_000)
    wait_for("what all know", lambda: all((configs[-1], masters[-1]) == (1_000_000, b"db-b") for configs, masters in hosts))
    for configs, masters in hosts:
        expect("configurations as they came", configs, sorted(configs))
        expect("masters", [master for master, before in zip(masters, [None, *masters]) if master not in (None, before)], [b"db-a", b"db-b"])


SCENARIOS = [lock, locked_writes, semaphore, election, queue, counter, transaction, sequence, barrier, double_barrier, data_watch,
             children_watch, tree_cache, registration, party, lease, shop]


def main():
    name, addresses = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    scenario = Scenario(addresses.split(","))
    try:
        next(function for function in SCENARIOS if function.__name__ == name)(scenario)
    except AssertionError as failure:
        sys.exit("\n".join(map(repr, [failure, *scenario.failures])))
    for client in scenario.clients:
        client.stop()
        client.close()


if __name__ == "__main__":
    main()
