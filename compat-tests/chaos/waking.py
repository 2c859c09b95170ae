"""A server that was stopped for long, and wakes while requests wait in its sockets."""
import concurrent.futures
import os
import signal
import time

import zkwire as zk
from members import sync, wait_for

PATH = "/waking"
CLIENTS = 200
OPENED_AT_ONCE = 20
# So long after the new value was acknowledged do the requests for it leave: longer than a server may serve that was left behind.
LATER_SECONDS = 4
SESSION_MS = 10000


def wakes(ensemble, role):
    """The leader or a follower is stopped, the others go on. When it wakes, what it answers is not from before, and it writes nothing."""
    leader = ensemble.leader()
    ensemble.wait_all_serving()
    victim = leader if role == "leader" else ensemble.followers()[0]
    other = next(sid for sid in ensemble.servers if sid not in (victim, leader))
    # Together: on a machine that has much to do the first would expire before the last is there.
    with concurrent.futures.ThreadPoolExecutor(OPENED_AT_ONCE) as pool:
        patient = list(pool.map(lambda _: ensemble.client(victim, SESSION_MS), range(CLIENTS)))
    patient[0].create(PATH, b"old")
    sync(patient[-1])
    pid = ensemble.servers[victim].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        write_elsewhere(ensemble, other)
        time.sleep(LATER_SECONDS)
        for number, client in enumerate(patient):
            client.submit(zk.GET_DATA, zk.buffer(PATH) + b"\0")
            if number % 2:
                client.submit(zk.SET_DATA, zk.set_data_body(PATH, b"from the past"))
    finally:
        os.kill(pid, signal.SIGCONT)
    old, written = answers(patient)
    ensemble.wait_all_serving()
    found = values(ensemble)
    assert written == 0 and set(found.values()) == {b"new"}, f"the {role} that woke wrote: {written} acknowledged, {found}"
    assert old == 0, f"the {role} that woke answered {old} of {CLIENTS} reads from {LATER_SECONDS} s and more before"
    cleaner = ensemble.client(other)
    cleaner.delete(PATH)
    cleaner.close()


def write_elsewhere(ensemble, sid):
    def once():
        try:
            client = ensemble.client(sid, seconds=5)
            client.set_data(PATH, b"new")
            client.close()
            return True
        except (OSError, zk.Closed):
            return False
    wait_for(once, "a write on another server")


def answers(clients):
    """How many reads gave the old value, and how many writes went through."""
    old = written = 0
    for number, client in enumerate(clients):
        try:
            reply = client.receive()
            old += reply.error == 0 and reply.body.buffer() == b"old"
            if number % 2:
                written += client.receive().error == 0
        except (OSError, zk.Closed):
            # A closed connection is the answer that is expected.
            pass
        client.abandon()
    return old, written


def values(ensemble):
    found = {}
    for sid in ensemble.servers:
        client = ensemble.client(sid)
        sync(client)
        found[sid] = client.get_data(PATH)[0]
        client.close()
    return found
