"""A client of kazoo that takes a server which only reads: kazoo_read_only.py ADDRESS. Ends when it could write."""
import sys
import time

from kazoo.client import KazooClient, KeeperState
from kazoo.exceptions import KazooException

WRITE_SECONDS = 40

client = KazooClient(hosts=sys.argv[1], timeout=4, read_only=True)
client.start(timeout=20)
state = "read-only" if client.client_state == KeeperState.CONNECTED_RO else client.client_state
data, _ = client.get("/read-only")
try:
    client.set("/read-only", b"too early")
    error = None
except KazooException as refused:
    error = type(refused).__name__
print(state, data, error, flush=True)
deadline = time.monotonic() + WRITE_SECONDS
while True:
    try:
        client.set("/read-only", b"by kazoo")
        break
    except KazooException:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.1)
print("written", flush=True)
client.stop()
