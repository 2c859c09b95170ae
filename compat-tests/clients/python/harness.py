"""What the steps share: clients, the proxy's control line, waits with deadlines, counted steps."""
import socket
import threading
import time
import traceback

from kazoo.client import KazooClient, KazooState
from kazoo.retry import KazooRetry

# Seconds. The server under test ticks every half second, so that it grants this timeout as it is.
SESSION = 3.0
TICK = 0.5
# How long anything may take that is not bound to a session's timeout.
PATIENCE = 15.0


class Failure(AssertionError):
    """A value is not what it has to be."""


def check(what, found, wanted):
    if found != wanted:
        raise Failure(f"{what}: found {found!r}, expected {wanted!r}")


def refused(what, error, function, *arguments, **named):
    """The call has to raise exactly this error."""
    try:
        answer = function(*arguments, **named)
    except error as raised:
        check(f"{what}: class of the error", type(raised), error)
        return
    raise Failure(f"{what}: answered {answer!r}, expected {error.__name__}")


def wait(what, condition, seconds=PATIENCE):
    """Polls until the condition is true; returns its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(0.01)
    return value


class Events:
    """Collects what watches and listeners report, for waits on the next one."""

    def __init__(self):
        self.seen = []
        self.changed = threading.Condition()

    def __call__(self, event):
        with self.changed:
            self.seen.append(event)
            self.changed.notify_all()

    def count(self):
        return len(self.seen)

    def expect(self, what, *wanted):
        """Waits for as many watch events as wanted and compares (type, path) of each, in order."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.seen) >= len(wanted), PATIENCE):
                raise Failure(f"{what}: {self.seen}, expected {wanted}")
        check(what, [(event.type, event.path) for event in self.seen], list(wanted))


class Bench:
    """The address under test, the proxy, and every client made, so that all are closed in the end."""

    def __init__(self, address, control):
        self.address = address
        host, port = control.split(":")
        self.control = socket.create_connection((host, int(port)), timeout=PATIENCE)
        self.answers = self.control.makefile("r")
        self.clients = []
        self.passed = self.failed = 0

    def proxy(self, command, name):
        self.control.sendall(f"{command} {name}\n".encode())
        answer = self.answers.readline().strip()
        if answer.startswith("error") or not answer:
            raise Failure(f"proxy {command} {name}: {answer}")
        return answer

    def client(self, link=None, chroot="", **options):
        """A connected client, directly or over a link of the proxy."""
        address = self.proxy("open", link) if link else self.address
        quick = KazooRetry(max_tries=-1, delay=0.05, backoff=1, max_jitter=0.02)
        client = KazooClient(address + chroot, timeout=SESSION, connection_retry=quick, **options)
        client.states = Events()
        client.add_listener(client.states)
        client.start(timeout=PATIENCE)
        self.clients.append(client)
        return client

    def step(self, name, function):
        try:
            function(self)
        except Exception as error:
            self.failed += 1
            print(f"FAILED {name}: {error}\n{traceback.format_exc()}", flush=True)
        else:
            self.passed += 1
            print(f"ok {name}", flush=True)
        finally:
            self.close_all()

    def close_all(self):
        while self.clients:
            client = self.clients.pop()
            client.stop()
            client.close()


def lost_then_back(client):
    """True once the client has seen its connection break and a connection again."""
    seen = client.states.seen
    return KazooState.SUSPENDED in seen and seen[-1] == KazooState.CONNECTED
