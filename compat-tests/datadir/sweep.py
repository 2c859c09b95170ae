"""What kind a node is beyond its stat: containers and TTL nodes show no owner, only the server that sweeps them knows."""
import time

import workload
import zkwire as zk
from workload import connect, expect

SWEEP_MS = 100
SHORT_TTL_MS = 1
SECONDS = 30
# Names below the root of a part: those that the next server must sweep, and those that it must not.
GOING = {"box-used", "ttl-short", "ttl-numbered-0000000003"}
STAYING = {"plain", "box-never-used", "box-full", "ttl-long", "ttl-with-child"}


def plant(server, base):
    """Nodes that are due at once, and their neighbours that never are."""
    client = connect(server)
    client.create(base)
    client.create(f"{base}/box-used", code=zk.CREATE_CONTAINER, flags=zk.CONTAINER)
    client.create(f"{base}/ttl-short", code=zk.CREATE_TTL, flags=zk.TTL, ttl=SHORT_TTL_MS)
    client.create(f"{base}/plain")
    client.create(f"{base}/ttl-numbered-", code=zk.CREATE_TTL, flags=zk.TTL_SEQUENTIAL, ttl=SHORT_TTL_MS)
    client.create(f"{base}/box-never-used", code=zk.CREATE_CONTAINER, flags=zk.CONTAINER)
    client.create(f"{base}/box-full", code=zk.CREATE_CONTAINER, flags=zk.CONTAINER)
    client.create(f"{base}/box-full/child")
    client.create(f"{base}/ttl-long", code=zk.CREATE_TTL, flags=zk.TTL, ttl=workload.LONG_TTL_MS)
    client.create(f"{base}/ttl-with-child", code=zk.CREATE_TTL, flags=zk.TTL, ttl=SHORT_TTL_MS)
    client.create(f"{base}/ttl-with-child/child")
    client.create(f"{base}/plain/child")
    for emptied in ("box-used", "plain"):
        client.create(f"{base}/{emptied}/gone")
        client.delete(f"{base}/{emptied}/gone")
    expect(set(client.children(base)), GOING | STAYING)
    client.close()


def expect_swept(server, base):
    """Waits until what is due has gone; nothing else may go with it, also not in the sweep after."""
    with zk.Client(server.host, server.port) as client:
        deadline = time.monotonic() + SECONDS
        while GOING & set(client.children(base)):
            if time.monotonic() > deadline:
                raise AssertionError(f"still there: {sorted(GOING & set(client.children(base)))}")
            time.sleep(SWEEP_MS / 1000)
        _await_another_sweep(client, base, deadline)
        expect(set(client.children(base)), STAYING)


def _await_another_sweep(client, base, deadline):
    path = client.create(f"{base}-canary", code=zk.CREATE_TTL, flags=zk.TTL, ttl=SHORT_TTL_MS)
    while True:
        try:
            client.get_data(path)
        except zk.Refused as gone:
            expect(gone.code, zk.NO_NODE)
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"{path} is not swept")
        time.sleep(SWEEP_MS / 1000)
