"""Histories that a server has to give up, and data that it has lost."""
import pathlib
import signal
import time

import zkwire as zk
from members import sync, wait_for

TAIL_COUNT = 20


def databases(server):
    return [file for file in (server.data_dir / "version-2").iterdir() if file.name.startswith(("log.", "snapshot.", "paddock.synced"))]


def holds(server, text):
    """Whether a log or a snapshot of the server holds these bytes."""
    return any(text in file.read_bytes() for file in databases(server))


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, expected {wanted!r}")


def stands_still(server):
    """Whether every thread of a stopped process has come to a stop."""
    tasks = pathlib.Path(f"/proc/{server.pid}/task").iterdir()
    return all((task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks)


def a_tail_goes(ensemble):
    """A leader logs txns that nobody else gets, and dies. When it comes back they are gone, from its tree and from its disk."""
    leader = ensemble.leader()
    old = ensemble.servers[leader]
    others = [server for sid, server in ensemble.servers.items() if sid != leader]
    client = ensemble.client(leader)
    client.create("/common")
    for server in others:
        server.process.send_signal(signal.SIGSTOP)
        wait_for(lambda server=server: stands_still(server), "the end of all its threads' work")
    for number in range(TAIL_COUNT):
        client.submit(zk.CREATE, zk.create_body(f"/tail-{number}-of-nobody"))
    wait_for(lambda: holds(old, f"/tail-{TAIL_COUNT - 1}-of-nobody".encode()), "the tail in the log of the leader")
    for server in (*others, old):
        server.kill()
    for server in others:
        server.launch()
    wait_for(lambda: len(ensemble.modes()) == len(others), "a leader without the tail")
    ensemble.client(ensemble.leader()).create("/instead")
    old.launch()
    ensemble.wait_all_serving()
    for _ in range(2):
        reader = ensemble.client(leader)
        sync(reader)
        names = reader.children("/")
        expect("what only the dead leader had", [name for name in names if name.startswith("tail-")], [])
        expect("what all have", {"common", "instead"} <= set(names), True)
        reader.abandon()
        expect("the tail on the disk", holds(old, b"-of-nobody"), False)
        old.kill()
        old.launch()
        ensemble.wait_all_serving()


def the_forgetful_do_not_vote(ensemble):
    """A server that lost its data, and kept its epochs, does not help one that missed a write to lead: the write would be gone."""
    stale, forgetful = ensemble.followers()
    ensemble.servers[stale].kill()
    leader = ensemble.leader()
    client = ensemble.client(leader)
    client.create("/acknowledged")
    client.abandon()
    for sid in (leader, forgetful):
        ensemble.servers[sid].kill()
    for file in databases(ensemble.servers[forgetful]):
        file.unlink()
    for sid in (stale, forgetful):
        ensemble.servers[sid].launch()
    wait_for(lambda: "this server had a database" in ensemble.servers[forgetful].log_text(), "the complaint about lost data")
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        expect("servers that serve", ensemble.modes(), {})
    ensemble.servers[leader].launch()
    ensemble.wait_all_serving()
    for sid in ensemble.servers:
        reader = ensemble.client(sid)
        sync(reader)
        expect(f"the write on server {sid}", "acknowledged" in reader.children("/"), True)
        reader.abandon()
    ensemble.servers[forgetful].kill()
    ensemble.servers[forgetful].launch()
    ensemble.wait_all_serving()


def killed_while_it_installs(ensemble, kills, chance):
    """A server without data is killed again and again while it takes the leader's snapshot; in the end it has everything."""
    sid = ensemble.followers()[0]
    server = ensemble.servers[sid]
    client = ensemble.client(ensemble.leader())
    parent = client.create("/large", flags=zk.SEQUENTIAL)
    names = [f"{parent}/{number}" for number in range(3000)]
    for start in range(0, len(names), 500):
        for name in names[start:start + 500]:
            client.submit(zk.CREATE, zk.create_body(name, b"l" * 2000))
        for _ in range(500):
            expect("the error", client.receive().error, 0)
    client.abandon()
    server.kill()
    for file in databases(server):
        file.unlink()
    for _ in range(kills):
        server.launch()
        wait_for(lambda: any("received" in file.name or "install" in file.name for file in (server.data_dir / "version-2").iterdir())
                 or any(file.name.startswith("snapshot.") for file in databases(server)), "a snapshot on its way")
        time.sleep(chance.random() * 0.1)
        server.kill()
        if chance.random() < 0.5:
            for file in databases(server):
                file.unlink()
    server.launch()
    ensemble.wait_all_serving()
    reader = ensemble.client(sid)
    sync(reader)
    expect("children that it has", len(reader.children(parent)), len(names))
    reader.abandon()
    left = [file.name for file in (server.data_dir / "version-2").iterdir() if file.name.startswith("paddock-")]
    expect("left-overs", [name for name in left if "snapshot" not in name], [])
