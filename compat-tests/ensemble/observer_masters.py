"""Observers that come to followers: they are served there, and go to another when theirs dies. Java and Paddock on either side."""
import random
import time

import servers
import zkwire as zk
from load import Creator, Writer
from members import Ensemble, digests, sync, wait_for

# Every server listens on the same port for observers: so each has an address of its own.
ADDRESS = "127.0.0.{}"
FIRST_OBSERVER = 4
# A JVM may take its time to start.
PATIENCE_SECONDS = 150
# Short enough to wait for its end.
SHORT_SESSION_MS = 6000


class Observed(Ensemble):
    """Three that vote, and observers. `observerMasterPort` is set on all of them."""

    def __init__(self, kinds, observers, folder, settings=None):
        self.master_port = servers.free_port()
        # Long enough for followers to open their ports before an observer goes to the leader.
        common = {"observerMasterPort": str(self.master_port), "initLimit": "60", **(settings or {})}
        super().__init__([*kinds, *observers], folder, settings=common)

    def lines(self, _sid):
        def line(sid, quorum, election):
            role = ":observer" if sid >= FIRST_OBSERVER else ""
            return f"{ADDRESS.format(10 + sid)}:{quorum}:{election}{role}"

        lines = {f"server.{sid}": line(sid, *ports) for sid, ports in self.ports.items()}
        # Java takes its own role from here.
        return {**lines, "peerType": "observer"} if _sid >= FIRST_OBSERVER else lines

    def observers(self):
        return [sid for sid in self.servers if sid >= FIRST_OBSERVER]

    def followers(self):
        return [sid for sid in super().followers() if sid < FIRST_OBSERVER]

    def master_of(self, observer):
        """The server through which it observes; None while it does not."""
        try:
            found = self.numbers(observer).get("zk_observer_master_id")
        except OSError:
            return None
        return int(found) if found is not None and found.isdigit() else None

    def master_is_follower(self, observer):
        return self.master_of(observer) in self.followers()


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, expected {wanted!r}")


def settle(ensemble):
    """Every observer serves, through a follower."""
    ensemble.wait_all_serving(PATIENCE_SECONDS)
    for observer in ensemble.observers():
        wait_for(lambda observer=observer: ensemble.master_is_follower(observer), f"a follower for observer {observer}", PATIENCE_SECONDS)


def is_counted(ensemble, observer):
    """The follower knows of its observer, and the leader does not."""
    master = ensemble.master_of(observer)
    counted = int(ensemble.numbers(master).get("zk_synced_observers", "0"))
    expect("observers that the leader knows of", ensemble.numbers(ensemble.leader())["zk_synced_observers"], "0")
    return counted == sum(ensemble.master_of(other) == master for other in ensemble.observers())


def everybody_reads_and_writes(ensemble):
    """What one writes all others see behind a sync, whoever is between them."""
    clients = {sid: ensemble.client(sid) for sid in ensemble.servers}
    for sid, client in clients.items():
        client.create(f"/from{sid}", str(sid).encode())
        client.create(f"/from{sid}/e", flags=zk.EPHEMERAL)
        for other in clients.values():
            sync(other)
            expect(f"/from{sid}", other.get_data(f"/from{sid}")[0], str(sid).encode())
        try:
            client.create(f"/from{sid}")
            raise AssertionError("a znode was created twice")
        except zk.Refused as refused:
            expect("the error", refused.code, zk.NODE_EXISTS)
    for client in clients.values():
        client.call(zk.CLOSE_SESSION)
    for observer in ensemble.observers():
        wait_for(lambda observer=observer: is_counted(ensemble, observer), "the count of observers")
        passed_on = int(ensemble.numbers(ensemble.master_of(observer))["zk_cnt_om_commit_process_time_ms"])
        expect("commits that were passed on are counted", passed_on > 0, True)


def sessions_live_and_move(ensemble):
    """A session lives by its client's pings to an observer alone, and goes on at any other server."""
    observer = ensemble.observers()[0]
    living = ensemble.client(observer, SHORT_SESSION_MS)
    living.create("/living", flags=zk.EPHEMERAL)
    silent = ensemble.client(observer, SHORT_SESSION_MS)
    silent.create("/silent", flags=zk.EPHEMERAL)
    silent.abandon()
    reader = ensemble.client(ensemble.leader(), 30000)

    def pinged():
        living.submit(zk.PING)
        living.receive()
        return "silent" not in reader.children("/")

    wait_for(pinged, "the end of the session that nobody pings", 30)
    expect("the ephemeral of the other", "living" in reader.children("/"), True)
    for sid in (ensemble.master_of(observer), *reversed(ensemble.observers()), ensemble.leader(), observer):
        session = living.session
        living = ensemble.client(sid, SHORT_SESSION_MS, session=session)
        expect("the session", living.session[0], session[0])
        living.set_data("/living", str(sid).encode())
    living.call(zk.CLOSE_SESSION)
    sync(reader)
    expect("the ephemeral", "living" in reader.children("/"), False)
    reader.abandon()


def syncs_and_writes_mix(ensemble):
    """Many syncs and writes under way on one connection are answered in their order (a Java observer matches them by that alone)."""
    for sid in ensemble.observers():
        clients = [ensemble.client(sid) for _ in range(3)]
        parent = clients[0].create("/mixed", flags=zk.SEQUENTIAL)
        for turn in range(6):
            xids = [[] for _ in clients]
            for step in range(10):
                for client, mine in zip(clients, xids):
                    mine.append(client.submit(zk.SYNC, zk.buffer("/")))
                    mine.append(client.submit(zk.CREATE, zk.create_body(f"{parent}/{id(client)}-{turn}-{step}")))
            for client, mine in zip(clients, xids):
                expect("the order of replies", [client.receive().xid for _ in mine], mine)
        for client in clients:
            client.abandon()


def masters_die(ensemble, kills, seed):
    """The master of an observer is killed (-9) under load, again and again: the observer goes to another, and nothing that was acknowledged
    is lost."""
    chance = random.Random(seed)
    client = ensemble.client(ensemble.leader())
    for name in ("/load", "/made"):
        client.create(name)
    writers = []
    for sid in ensemble.servers:
        client.create(f"/load/{sid}", b"0")
        client.create(f"/made/{sid}")
        writers += [Writer(ensemble, f"/load/{sid}", sid), Creator(ensemble, f"/made/{sid}", sid)]
    client.abandon()
    for writer in writers:
        writer.start()
    moves = 0
    for kill in range(kills):
        time.sleep(0.3 + chance.random() * 0.7)
        observer = chance.choice(ensemble.observers())
        wait_for(lambda observer=observer: ensemble.master_of(observer), "a master", PATIENCE_SECONDS)
        # Once in a while it is the leader: then every follower changes its role.
        victim = ensemble.master_of(observer) if kill % 4 < 3 else ensemble.leader()
        if victim is None:
            continue
        ensemble.servers[victim].kill()
        ensemble.leader(PATIENCE_SECONDS)
        wait_for(lambda observer=observer, victim=victim: ensemble.master_of(observer) not in (None, victim), "another master", PATIENCE_SECONDS)
        moves += 1
        ensemble.servers[victim].start(PATIENCE_SECONDS)
    time.sleep(0.5)
    for writer in writers:
        writer.finish()
    ensemble.wait_all_serving(PATIENCE_SECONDS)
    check_load(ensemble, writers)
    all_agree(ensemble)
    count = sum(len(w.acknowledged) if isinstance(w, Creator) else w.acknowledged for w in writers)
    print(f"       {moves} masters killed, {count} acknowledged writes, seed {seed}")


def check_load(ensemble, writers):
    for sid in ensemble.servers:
        reader = ensemble.client(sid)
        sync(reader)
        for writer in writers:
            if isinstance(writer, Creator):
                expect(f"acknowledged and missing on server {sid}", set(writer.acknowledged) - set(reader.children(writer.parent)), set())
                continue
            value = int(reader.get_data(writer.path)[0])
            if not writer.acknowledged <= value <= writer.sent:
                raise AssertionError(f"server {sid}: {writer.path} is {value}, acknowledged {writer.acknowledged}, sent {writer.sent}")
        reader.abandon()


def all_agree(ensemble):
    """The trees have the same digests from now on. A Java server that is sent a snapshot counts mismatches until it has caught up."""
    for sid, server in ensemble.servers.items():
        if server.kind == "paddock":
            expect(f"digest mismatches on server {sid}", ensemble.numbers(sid).get("zk_digest_mismatches_count", "0"), "0")
    before = set(digests(ensemble))
    client = ensemble.client(ensemble.leader())
    parent = client.create("/agreed", flags=zk.SEQUENTIAL)
    # Servers note the digest of every 128th txn.
    for number in range(300):
        client.submit(zk.CREATE, zk.create_body(f"{parent}/{number}"))
    for _ in range(300):
        expect("the error", client.receive().error, 0)
    client.abandon()
    for sid in ensemble.servers:
        reader = ensemble.client(sid)
        sync(reader)
        reader.abandon()
    after = {zxid: by_server for zxid, by_server in digests(ensemble).items() if zxid not in before}
    expect("zxids whose digest every server tells", any(len(by_server) == len(ensemble.servers) for by_server in after.values()), True)
    for zxid, by_server in after.items():
        expect(f"digests at {zxid}", len(set(by_server.values())), 1)


def comes_from_far(ensemble):
    """An observer that missed much, or lost its data, gets what it lacks from a follower."""
    for observer in ensemble.observers():
        for missed, lost in ((50, False), (3000, False), (20, True)):
            server = ensemble.servers[observer]
            server.stop()
            if lost:
                for file in (server.data_dir / "version-2").iterdir():
                    file.unlink()
            client = ensemble.client(ensemble.leader())
            parent = client.create("/missed", flags=zk.SEQUENTIAL)
            for start in range(0, missed, 500):
                batch = range(start, min(start + 500, missed))
                for number in batch:
                    client.submit(zk.CREATE, zk.create_body(f"{parent}/{number}", b"m" * 200))
                for _ in batch:
                    expect("the error", client.receive().error, 0)
            client.abandon()
            server.start(PATIENCE_SECONDS)
            reader = ensemble.client(observer)
            sync(reader)
            expect("children that it has", len(reader.children(parent)), missed)
            reader.abandon()
    settle(ensemble)


def cases(kills, seed):
    return [
        ("what one writes all see, through followers", everybody_reads_and_writes, ()),
        ("a session lives at an observer, and moves", sessions_live_and_move, ()),
        ("syncs and writes keep their order behind a follower", syncs_and_writes_mix, ()),
        ("an observer catches up from a follower", comes_from_far, ()),
        ("masters die under load", masters_die, (kills, seed)),
    ]


def play(judge, kinds, kills, seed, only):
    """Observers of both kinds where there is Java at all."""
    observers = ["paddock", "java"] if "java" in kinds else ["paddock", "paddock"]
    ensemble = Observed(kinds, observers, judge.work / "observed", settings={"snapCount": "4000", "commitLogCount": "500"})
    wanted = [case for case in cases(kills, seed) if only in case[0] or only in "observers come to followers"]
    if not wanted or not judge.case("observers come to followers", lambda: (ensemble.start(), settle(ensemble))):
        return
    for title, function, arguments in wanted:
        judge.case(title, function, ensemble, *arguments)
    judge.case("all servers of the observed stop", ensemble.stop)
