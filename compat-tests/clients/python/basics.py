"""Steps on znodes: data, versions, errors, watches, access control, transactions, locks, masters."""
import base64
import hashlib
import threading

from kazoo.exceptions import (
    BadVersionError, InvalidACLError, NoAuthError, NoChildrenForEphemeralsError, NodeExistsError, NoNodeError,
    NotEmptyError, RolledBackError, RuntimeInconsistency,
)
from kazoo.recipe.watchers import ChildrenWatch
from kazoo.security import ACL, CREATOR_ALL_ACL, Id, Permissions, make_digest_acl

from harness import PATIENCE, SESSION, Events, check, refused, wait

ROOT = "/python"


def create_read_exists(bench):
    client = bench.client()
    check("created path", client.create(ROOT, b""), ROOT)
    check("created path", client.create(f"{ROOT}/node", b"first"), f"{ROOT}/node")
    data, stat = client.get(f"{ROOT}/node")
    check("data", data, b"first")
    check("stat", (stat.version, stat.cversion, stat.aversion, stat.dataLength, stat.numChildren), (0, 0, 0, 5, 0))
    check("first and last change", stat.czxid == stat.mzxid == stat.pzxid, True)
    check("owner", stat.ephemeralOwner, 0)
    check("exists is the same stat", client.exists(f"{ROOT}/node"), stat)
    check("an absent node", client.exists(f"{ROOT}/absent"), None)
    check("created and its stat", client.create(f"{ROOT}/two", b"xy", include_data=True)[1].dataLength, 2)
    check("children", sorted(client.get_children(ROOT)), ["node", "two"])
    check("children in the stat", client.get_children(ROOT, include_data=True)[1].numChildren, 2)


def set_delete_versions(bench):
    client, path = bench.client(), f"{ROOT}/versions"
    client.create(path, b"0")
    for version in range(3):
        check("version after set", client.set(path, b"x%d" % version, version=version).version, version + 1)
    refused("set at an old version", BadVersionError, client.set, path, b"", version=1)
    check("version after set at any version", client.set(path, b"", version=-1).version, 4)
    refused("delete at an old version", BadVersionError, client.delete, path, version=3)
    client.delete(path, version=4)
    refused("read after delete", NoNodeError, client.get, path)


def error_codes(bench):
    client, path = bench.client(), f"{ROOT}/errors"
    client.create(path)
    refused("create twice", NodeExistsError, client.create, path)
    refused("create under nothing", NoNodeError, client.create, f"{path}/a/b")
    refused("set of nothing", NoNodeError, client.set, f"{path}/a", b"")
    refused("delete of nothing", NoNodeError, client.delete, f"{path}/a")
    refused("children of nothing", NoNodeError, client.get_children, f"{path}/a")
    refused("acl of nothing", NoNodeError, client.get_acls, f"{path}/a")
    client.create(f"{path}/short", ephemeral=True)
    refused("child of an ephemeral", NoChildrenForEphemeralsError, client.create, f"{path}/short/a")
    refused("delete with a child", NotEmptyError, client.delete, path)
    refused("unknown scheme", InvalidACLError, client.create, f"{path}/b", acl=[ACL(31, Id("nosuch", "x"))])


def sequences_and_owners(bench):
    client, path = bench.client(), f"{ROOT}/sequences"
    client.create(path)
    check("first number", client.create(f"{path}/n-", sequence=True), f"{path}/n-0000000000")
    client.create(f"{path}/plain")
    check("a plain child counts", client.create(f"{path}/n-", sequence=True, ephemeral=True), f"{path}/n-0000000002")
    owner = client.get(f"{path}/n-0000000002")[1].ephemeralOwner
    check("owner is the session", owner, client.client_id[0])
    check("sync", client.sync(path), path)


def data_watch(bench):
    watcher, writer, path, events = bench.client(), bench.client(), f"{ROOT}/data-watch", Events()
    writer.create(path, b"1")
    watcher.get(path, watch=events)
    writer.set(path, b"2")
    events.expect("after set", ("CHANGED", path))
    writer.set(path, b"3")
    check("data at the next read", watcher.get(path)[0], b"3")
    check("a watch fires once", events.count(), 1)
    watcher.get(path, watch=events)
    writer.delete(path)
    events.expect("after delete", ("CHANGED", path), ("DELETED", path))


def child_watch(bench):
    watcher, writer, path, events = bench.client(), bench.client(), f"{ROOT}/child-watch", Events()
    writer.create(path)
    check("no children", watcher.get_children(path, watch=events), [])
    writer.set(path, b"not a child")
    writer.create(f"{path}/a")
    events.expect("after create of a child", ("CHILD", path))
    check("children", watcher.get_children(path, watch=events), ["a"])
    writer.delete(f"{path}/a")
    events.expect("after delete of a child", ("CHILD", path), ("CHILD", path))
    lists = []
    ChildrenWatch(watcher, path, lambda children: lists.append(sorted(children)))
    for name in "abc":
        writer.create(f"{path}/{name}")
        wait("the recipe sees the child", lambda: lists and name in lists[-1])
    check("last list", lists[-1], ["a", "b", "c"])


def exists_watch(bench):
    watcher, writer, path, events = bench.client(), bench.client(), f"{ROOT}/exists-watch", Events()
    check("absent", watcher.exists(path, watch=events), None)
    writer.create(path)
    events.expect("after create", ("CREATED", path))
    watcher.exists(path, watch=events)
    writer.set(path, b"x")
    events.expect("after set", ("CREATED", path), ("CHANGED", path))
    watcher.exists(path, watch=events)
    writer.delete(path)
    events.expect("after delete", ("CREATED", path), ("CHANGED", path), ("DELETED", path))


def digest_acl(bench):
    path = f"{ROOT}/secret"
    owner = bench.client(auth_data=[("digest", "ann:pass")])
    stranger, liar = bench.client(), bench.client(auth_data=[("digest", "ann:wrong")])
    owner.create(path, b"mine", acl=CREATOR_ALL_ACL)
    for other in (stranger, liar):
        refused("read", NoAuthError, other.get, path)
        refused("write", NoAuthError, other.set, path, b"")
        refused("create below", NoAuthError, other.create, f"{path}/a")
    digest = base64.b64encode(hashlib.sha1(b"ann:pass").digest()).decode()
    check("stored acl", owner.get_acls(path)[0], [ACL(Permissions.ALL, Id("digest", f"ann:{digest}"))])
    stranger.add_auth("digest", "ann:pass")
    check("read after auth", stranger.get(path)[0], b"mine")
    reader = ACL(Permissions.READ, Id("world", "anyone"))
    mine = make_digest_acl("ann", "pass", all=True)
    refused("acl at an old version", BadVersionError, owner.set_acls, path, [mine, reader], version=7)
    check("acl version", owner.set_acls(path, [mine, reader], version=0).aversion, 1)
    check("read by anyone", liar.get(path)[0], b"mine")
    refused("write by anyone", NoAuthError, liar.set, path, b"")


def transactions(bench):
    client, path = bench.client(), f"{ROOT}/multi"
    client.create(path)
    client.create(f"{path}/old", b"0")
    good = client.transaction()
    good.check(f"{path}/old", 0)
    good.create(f"{path}/new", b"1")
    good.set_data(f"{path}/new", b"2")
    good.delete(f"{path}/old")
    results = good.commit()
    check("results", [results[0], results[1], results[2].version, results[3]], [True, f"{path}/new", 1, True])
    check("set in the same transaction", client.get(f"{path}/new")[0], b"2")
    bad = client.transaction()
    bad.create(f"{path}/never")
    bad.check(f"{path}/new", 9)
    bad.delete(f"{path}/new")
    kinds = [type(result) for result in bad.commit()]
    check("errors", kinds, [RolledBackError, BadVersionError, RuntimeInconsistency])
    check("all or nothing", client.get_children(path), ["new"])


def large_and_many(bench):
    client, path = bench.client(), f"{ROOT}/large"
    client.create(path, bytes(range(256)) * 3900)
    check("large data", client.get(path)[0], bytes(range(256)) * 3900)
    pending = [client.create_async(f"{path}/child-{number:04}", b"x") for number in range(1000)]
    check("answers in order", [one.get(timeout=PATIENCE) for one in pending][999], f"{path}/child-0999")
    check("children", len(client.get_children(path)), 1000)
    gone = [client.delete_async(f"{path}/child-{number:04}") for number in range(1000)]
    check("deleted", all(one.get(timeout=PATIENCE) for one in gone), True)
    check("no children", client.exists(path).numChildren, 0)


def chroot(bench):
    outer, path = bench.client(), f"{ROOT}/chroot"
    outer.create(path)
    inner, events = bench.client(chroot=path), Events()
    inner.exists("/é", watch=events)
    check("path inside", inner.create("/é", b"in"), "/é")
    events.expect("event path inside", ("CREATED", "/é"))
    check("path outside", outer.get(f"{path}/é")[0], b"in")


def contended_lock(bench):
    clients = [bench.client(), bench.client()]
    inside, order, errors = [], [], []

    def work(client, name):
        for _ in range(5):
            with client.Lock(f"{ROOT}/lock", name):
                inside.append(name)
                if len(inside) != 1:
                    errors.append(list(inside))
                order.append(name)
                inside.remove(name)

    workers = [threading.Thread(target=work, args=(client, name)) for client, name in zip(clients, "ab")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE)
    check("two at once inside", errors, [])
    check("turns", sorted(order), ["a"] * 5 + ["b"] * 5)
    first, second = clients[0].Lock(f"{ROOT}/lock", "a"), clients[1].Lock(f"{ROOT}/lock", "b")
    check("first acquires", first.acquire(timeout=PATIENCE), True)
    check("second does not", second.acquire(blocking=False), False)
    waiting = threading.Thread(target=second.acquire)
    waiting.start()
    wait("both stand in line", lambda: first.contenders() == ["a", "b"])
    first.release()
    waiting.join(PATIENCE)
    check("second holds after release", second.is_acquired, True)


def elected_master(bench):
    clients, masters, released = [bench.client(), bench.client()], [], threading.Event()

    def lead(name):
        masters.append(name)
        released.wait(PATIENCE)

    elections = [client.Election(f"{ROOT}/election", name) for client, name in zip(clients, "ab")]
    threads = [threading.Thread(target=election.run, args=(lead, name)) for election, name in zip(elections, "ab")]
    threads[0].start()
    wait("the first leads", lambda: masters == ["a"])
    threads[1].start()
    wait("the second stands in line", lambda: elections[0].contenders() == ["a", "b"])
    check("one master", masters, ["a"])
    released.set()
    wait("the second leads", lambda: masters == ["a", "b"])
    for thread in threads:
        thread.join(PATIENCE)


def close_is_at_once(bench):
    client, other, path, events = bench.client(), bench.client(), f"{ROOT}/closing", Events()
    client.create(path, ephemeral=True)
    other.exists(path, watch=events)
    client.stop()
    wait("the ephemeral goes before its session could time out", lambda: events.count() == 1, SESSION / 2)
    events.expect("event", ("DELETED", path))
    check("gone", other.exists(path), None)


STEPS = [create_read_exists, set_delete_versions, error_codes, sequences_and_owners, data_watch, child_watch, exists_watch,
         digest_acl, transactions, large_and_many, chroot, contended_lock, elected_master, close_is_at_once]
