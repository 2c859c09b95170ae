"""Sessions that only their server knows, in an ensemble of any kinds of servers."""
import random
import re
import time

import zkwire as zk
from members import Ensemble, sync, wait_for
from servers import four_letter

SHORT_MS = 2000
EXPIRY_SECONDS = 10
UPGRADES = 30
SESSION_EXPIRED, EPHEMERAL_ON_LOCAL_SESSION, RUNTIME_INCONSISTENCY = -112, -120, -2


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, expected {wanted!r}")


def with_local_sessions(work, kinds, upgrading, check):
    """Runs a check on an ensemble that has local sessions."""
    settings = {"localSessionsEnabled": "true", "localSessionsUpgradingEnabled": str(upgrading).lower()}
    ensemble = Ensemble(kinds, work / f"local-sessions-{upgrading}", settings=settings)
    try:
        ensemble.start().leader()
        ensemble.wait_all_serving()
        check(ensemble)
    finally:
        ensemble.stop()


def upgraded(work, kinds):
    """Local sessions live on their server, and become sessions of the ensemble when they create an ephemeral."""
    with_local_sessions(work, kinds, True, check_upgraded)


def kept(work, kinds):
    """Where they stay local they own no ephemerals, and lose nothing else."""
    with_local_sessions(work, kinds, False, check_kept)


def counts(ensemble, sid):
    """How many sessions of the ensemble, and how many local ones, a server knows."""
    numbers = ensemble.numbers(sid)
    return int(numbers["zk_global_sessions"]), int(numbers["zk_local_sessions"])


def refuses(ensemble, sid, session):
    """Whether a server says of a session that it is over."""
    try:
        ensemble.client(sid, session=session).abandon()
        return False
    except zk.Closed as closed:
        return "is not known" in str(closed)


def last_zxid(ensemble, sid):
    return int(next(line.split()[1] for line in four_letter(ensemble.servers[sid], "srvr").splitlines() if line.startswith("Zxid:")), 16)


def check_upgraded(ensemble):
    for sid in ensemble.servers:
        lives_here_alone(ensemble, sid)
        ends_behind_its_writes(ensemble, sid)
        for by_multi in (False, True):
            becomes_global(ensemble, sid, by_multi)
        expires_here(ensemble, sid)
    upgrades_while_the_leader_dies(ensemble)


def lives_here_alone(ensemble, sid):
    """Opening, resuming and closing take no txn; nobody else takes the session."""
    before = last_zxid(ensemble, sid)
    client = ensemble.client(sid)
    expect("the server in the session id", client.session[0] >> 56, sid)
    expect(f"sessions on {sid}", counts(ensemble, sid), (0, 1))
    dump = four_letter(ensemble.servers[sid], "dump").split("ephemeral nodes")[0]
    # Java counts buckets that became empty too.
    others = r"Global Session Sets \(\d+\)/\(0\):" if sid == ensemble.leader() else r"Global Sessions\(0\):"
    shape = rf"SessionTracker dump:\nLocal Session Sets \(\d+\)/\(1\):\n(.*\n)*\t0x{client.session[0]:x}\n(.*\n)*{others}\n(.*\n)*"
    expect(f"the form of {dump!r}", re.fullmatch(shape, dump) is not None, True)
    for other in ensemble.servers:
        if other != sid:
            expect(f"server {other} refuses it", refuses(ensemble, other, client.session), True)
    resumed = ensemble.client(sid, session=client.session)
    expect("the session", resumed.session, client.session)
    expect("the zxid", last_zxid(ensemble, sid), before)
    resumed.create(f"/local{sid}", b"1")
    resumed.set_data(f"/local{sid}", b"2")
    sync(resumed)
    resumed.close()
    expect(f"sessions on {sid}", counts(ensemble, sid), (0, 0))
    expect("it is over", refuses(ensemble, sid, client.session), True)
    for other in ensemble.servers:
        with ensemble.client(other) as reader:
            sync(reader)
            expect("the data", reader.get_data(f"/local{sid}")[0], b"2")


def ends_behind_its_writes(ensemble, sid):
    client = ensemble.client(sid)
    names = [f"/last{sid}-{number}" for number in range(50)]
    for name in names:
        client.submit(zk.CREATE, zk.create_body(name))
    client.submit(zk.CLOSE_SESSION)
    for xid in range(1, len(names) + 2):
        reply = client.receive()
        expect("the reply", (reply.xid, reply.error), (xid, 0))
    client.abandon()
    with ensemble.client(sid) as reader:
        expect("what it wrote", set(names) <= {f"/{name}" for name in reader.children("/")}, True)


def becomes_global(ensemble, sid, by_multi):
    """Requests in flight around the first ephemeral keep their order; then the session goes to another server."""
    client = ensemble.client(sid)
    path = f"/e{sid}{by_multi}"
    body = zk.multi_body([(zk.CREATE, zk.create_body(f"/p{sid}")), (zk.CREATE, zk.create_body(path, flags=zk.EPHEMERAL))])
    requests = [
        (zk.CREATE, zk.create_body(f"/before{sid}{by_multi}")),
        (zk.MULTI, body) if by_multi else (zk.CREATE, zk.create_body(path, flags=zk.EPHEMERAL)),
        (zk.SET_DATA, zk.set_data_body(path, b"changed", 0)),
        (zk.GET_DATA, zk.buffer(path) + b"\0"),
        (zk.CREATE, zk.create_body(f"{path}s", flags=zk.EPHEMERAL_SEQUENTIAL)),
    ]
    for request in requests:
        client.submit(*request)
    for xid in range(1, len(requests) + 1):
        reply = client.receive()
        expect("the reply", (reply.xid, reply.error), (xid, 0))
    expect("its ephemerals", len(client.ephemerals()), 2)
    for other in ensemble.servers:
        with ensemble.client(other) as reader:
            sync(reader)
            expect("the owner", reader.get_data(path)[1].ephemeralOwner, client.session[0])
        expect(f"sessions on {other}", counts(ensemble, other), (1, 0))
    other = next(other for other in ensemble.servers if other != sid)
    moved = ensemble.client(other, session=client.session)
    moved.xid = client.xid
    client.abandon()
    moved.set_data(path, b"moved")
    moved.close()
    with ensemble.client(sid) as reader:
        sync(reader)
        expect("its ephemerals are gone", [name for name in reader.children("/") if f"/{name}".startswith(path)], [])


def expires_here(ensemble, sid):
    before = last_zxid(ensemble, sid)
    client = ensemble.client(sid, timeout_ms=SHORT_MS)
    client.abandon()
    expect(f"sessions on {sid}", counts(ensemble, sid), (0, 1))
    wait_for(lambda: counts(ensemble, sid) == (0, 0), "the end of the session", EXPIRY_SECONDS)
    expect("it is over", refuses(ensemble, sid, client.session), True)
    expect("the zxid", last_zxid(ensemble, sid), before)


def upgrades_while_the_leader_dies(ensemble):
    """Whoever was told of its ephemeral finds it, and its session, on the servers that are left."""
    leader, (first, second) = ensemble.leader(), ensemble.followers()
    clients = [ensemble.client((first, second)[number % 2], timeout_ms=20000) for number in range(UPGRADES)]
    for number, client in enumerate(clients):
        client.submit(zk.CREATE, zk.create_body(f"/dying{number}", flags=zk.EPHEMERAL))
        if number == UPGRADES // 2:
            time.sleep(random.random() * 0.02)
            ensemble.servers[leader].kill()
    told = []
    for number, client in enumerate(clients):
        try:
            expect("the error", client.receive().error, 0)
            told.append(number)
        except (OSError, zk.Closed):
            pass
        client.abandon()
    ensemble.leader()
    ensemble.wait_all_serving()
    there = []
    for sid in (first, second):
        with ensemble.client(sid) as reader:
            sync(reader)
            there.append({int(name.removeprefix("dying")) for name in reader.children("/") if name.startswith("dying")})
    expect("both servers show the same", there[0], there[1])
    expect("acknowledged and missing", set(told) - there[0], set())
    for number in sorted(there[0]):
        ensemble.client((second, first)[number % 2], session=clients[number].session).close()
    with ensemble.client(first) as reader:
        sync(reader)
        expect("what is left", [name for name in reader.children("/") if name.startswith("dying")], [])
    print(f"       {len(told)} of {UPGRADES} upgrades were acknowledged, {len(there[0])} were done")
    ensemble.servers[leader].start()
    ensemble.wait_all_serving()


def check_kept(ensemble):
    leader = ensemble.leader()
    for sid, server in ensemble.servers.items():
        client = ensemble.client(sid)
        for flags, path in ((zk.EPHEMERAL, "/e"), (zk.EPHEMERAL_SEQUENTIAL, "/missing/e")):
            try:
                client.create(path, flags=flags)
                raise AssertionError("a local session owns an ephemeral")
            except zk.Refused as refused:
                expect("the error", refused.code, EPHEMERAL_ON_LOCAL_SESSION)
        operations = [(zk.CREATE, zk.create_body("/part")), (zk.CREATE, zk.create_body("/e", flags=zk.EPHEMERAL)), (zk.CREATE, zk.create_body("/rest"))]
        # A Java follower passes on what its leader says, which does not know the session.
        told = SESSION_EXPIRED if server.kind == "java" and sid != leader else EPHEMERAL_ON_LOCAL_SESSION
        expect("the errors of a multi", client.multi(operations), [0, told, RUNTIME_INCONSISTENCY])
        client.create(f"/kept{sid}")
        expect(f"sessions on {sid}", counts(ensemble, sid), (0, 1))
        client.close()
    with ensemble.client(leader) as reader:
        sync(reader)
        expect("the children", reader.children("/"), ["kept1", "kept2", "kept3", "zookeeper"])
