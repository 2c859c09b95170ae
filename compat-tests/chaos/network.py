"""A network for the servers of an ensemble: a namespace and an address for each, on one bridge, where packets vanish on demand.

The bridge stands in a namespace of its own, so that every packet passes its filter, those of clients in this namespace too, and
so that one deletion takes everything away. ARP always passes: as behind a router nobody is told that a host is away.
"""
import atexit
import os
import pathlib
import random
import shutil
import signal
import subprocess
import time

PREFIX = "paddock-chaos-"
# 198.18.0.0/15 is set apart for tests of networks (RFC 2544); each run takes 256 addresses of it.
SUBNETS = [f"198.{second}.{third}" for second in (18, 19) for third in range(256)]
# What the bridge calls its port to this namespace, where the clients are.
CLIENTS = "clients"
LOSS_PERCENT = 15
SLOW = ("rate", "500kbit", "burst", "20kb", "latency", "900ms")
GONE_SECONDS = 10
# IP packets from a port to a port of the bridge, by the set that the pair is in.
RULES = f"""
table bridge links {{
  set cut {{ type ifname . ifname; }}
  set lossy {{ type ifname . ifname; }}
  chain forward {{
    type filter hook forward priority 0;
    ether type ip iifname . oifname @cut drop
    ether type ip iifname . oifname @lossy numgen random mod 100 < {LOSS_PERCENT} drop
  }}
}}
"""


class Unusable(Exception):
    """No network can be made here; the text says why."""


def run(*command, text=None):
    """Runs a command of iproute2 or nftables.

    Raises Unusable with what it said when it failed.
    """
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise Unusable(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def why_not():
    """Why no network can be made here, in a line, or None: the smallest one is made."""
    missing = [tool for tool in ("ip", "nft", "tc") if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} not on the PATH"
    try:
        network = Network([1])
    except Unusable as unusable:
        return " ".join(str(unusable).split())
    try:
        network.slow(1)
        network.heal()
    except Unusable as unusable:
        return " ".join(str(unusable).split())
    finally:
        network.close()
    return None


def namespaces():
    """The namespaces of all runs."""
    if shutil.which("ip") is None:
        return []
    return [line.split()[0] for line in run("ip", "netns", "list").splitlines() if line.startswith(PREFIX)]


def clean_up():
    """Takes away what runs left that were killed: whatever is in their namespaces ends."""
    for name in namespaces():
        owner = pathlib.Path("/proc", name.removeprefix(PREFIX).partition("-")[0], "cmdline")
        try:
            is_left = b"python" not in owner.read_bytes()
        except OSError:
            is_left = True
        if is_left:
            delete(name)


def delete(name):
    """Ends a namespace and whoever is in it. Its processes hold it, so they go first."""
    deadline = time.monotonic() + GONE_SECONDS
    while (pids := run("ip", "netns", "pids", name).split()) and time.monotonic() < deadline:
        for pid in pids:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.02)
    run("ip", "netns", "delete", name)


class Network:
    """Hosts of these ids, and this namespace as the host of the clients."""

    def __init__(self, ids):
        clean_up()
        self.stem = f"{PREFIX}{os.getpid()}-{random.SystemRandom().randrange(10**6)}"
        self.switch = f"{self.stem}-switch"
        self.ids, self.ports = list(ids), {sid: f"host{sid}" for sid in ids}
        self.slowed = set()
        atexit.register(self.close)
        try:
            self.make()
        except Unusable:
            self.close()
            raise

    def make(self):
        taken = run("ip", "-4", "route", "show", "table", "all")
        free = [subnet for subnet in SUBNETS if f"{subnet}." not in taken]
        if not free:
            raise Unusable("all subnets for tests are taken")
        self.subnet = random.SystemRandom().choice(free)
        run("ip", "netns", "add", self.switch)
        self.ip("link", "add", "bridge", "type", "bridge")
        self.ip("link", "set", "bridge", "up")
        for sid in self.ids:
            run("ip", "netns", "add", self.namespace(sid))
            self.plug(self.ports[sid], "eth0", self.address(sid), self.namespace(sid))
        self.plug(CLIENTS, f"pc{os.getpid()}", f"{self.subnet}.254", None)
        self.inside("nft", "-f", "-", text=RULES)

    def plug(self, port, device, address, namespace):
        """Connects a port of the bridge to a new device of a namespace (None: this one)."""
        there = ("-n", namespace) if namespace else ()
        self.ip("link", "add", port, "type", "veth", "peer", "name", device, "netns", namespace or str(os.getpid()))
        self.ip("link", "set", port, "master", "bridge", "up")
        run("ip", *there, "address", "add", f"{address}/24", "dev", device)
        run("ip", *there, "link", "set", device, "up")
        if namespace:
            run("ip", *there, "link", "set", "lo", "up")

    def namespace(self, sid):
        return f"{self.stem}-{sid}"

    def address(self, sid):
        return f"{self.subnet}.{sid}"

    def command(self, sid):
        """What makes a command run on a host; the process is the command's own."""
        return ["ip", "netns", "exec", self.namespace(sid)]

    def ip(self, *words):
        run("ip", "-n", self.switch, *words)

    def inside(self, *command, text=None):
        run("ip", "netns", "exec", self.switch, *command, text=text)

    def put(self, name, pairs):
        """Adds pairs of ports, from and to, to a set of the filter."""
        elements = ", ".join(f'"{start}" . "{end}"' for start, end in pairs)
        if elements:
            self.inside("nft", f"add element bridge links {name} {{ {elements} }}")

    def lose(self, pairs):
        """Of these pairs of hosts, from and to, no packet arrives any more."""
        self.put("cut", [(self.ports[start], self.ports[end]) for start, end in pairs])

    def unplug(self, sid):
        """Nobody reaches this host, clients neither, and it reaches nobody."""
        others = [CLIENTS, *(port for other, port in self.ports.items() if other != sid)]
        self.put("cut", [pair for other in others for pair in ((self.ports[sid], other), (other, self.ports[sid]))])

    def make_lossy(self, sid):
        """Of what a host sends and gets, clients' packets too, some are lost."""
        others = [CLIENTS, *(port for other, port in self.ports.items() if other != sid)]
        self.put("lossy", [pair for other in others for pair in ((self.ports[sid], other), (other, self.ports[sid]))])

    def slow(self, sid):
        """What a host sends and gets goes through a narrow pipe with a long queue."""
        self.slowed.add(sid)
        self.inside("tc", "qdisc", "replace", "dev", self.ports[sid], "root", "tbf", *SLOW)
        run(*self.command(sid), "tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", *SLOW)

    def heal(self):
        """All packets pass at once. Nobody is told: each connection goes on when its ends try again."""
        self.inside("nft", "flush set bridge links cut; flush set bridge links lossy")
        while self.slowed:
            sid = self.slowed.pop()
            self.inside("tc", "qdisc", "delete", "dev", self.ports[sid], "root")
            run(*self.command(sid), "tc", "qdisc", "delete", "dev", "eth0", "root")

    def close(self):
        """Takes everything away, and ends whoever still runs in it."""
        for name in namespaces():
            if name.startswith(f"{self.stem}-"):
                delete(name)
        atexit.unregister(self.close)
