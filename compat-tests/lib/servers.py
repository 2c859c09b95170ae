"""Starts, stops and kills servers under test: genuine Java ones and Paddock, both from the same settings.

    with Server("java", folder, settings={"snapCount": "100"}, version="3.9.4") as server:
        client.connect(server.address)
"""
import atexit
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time

import deps
import stage

HOST = "127.0.0.1"
JAVA_MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
START_SECONDS = 60
STOP_SECONDS = 20
POLL_SECONDS = 0.02
# A connection that is made while the server starts may be accepted and never answered.
POLL_ANSWER_SECONDS = 0.5
# Below the range from which the kernel takes the ports of outgoing connections, so that none of those is met.
PORTS = range(13000, 32000)
# What both kinds get unless a test says otherwise; a value of None in `settings` takes a line away.
DEFAULTS = {
    "tickTime": "2000",
    "maxClientCnxns": "0",
    "4lw.commands.whitelist": "*",
    "admin.enableServer": "false",
}
_launched = []
_given = set()


class ServerError(Exception):
    """A server did not start or stop as it should; the text ends with the last lines of its log."""


def free_port():
    """A port of the loopback address that nobody listens on at this moment, and that was not given before."""
    for _ in range(200):
        port = random.SystemRandom().choice(PORTS)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
                _given.add(port)
                return port
            except OSError:
                continue
    raise ServerError("no free port found")


def four_letter(server, word, seconds=5):
    """The whole answer to a four-letter word, as text; raises OSError when the server cannot be reached.

    `server` is a Server or a pair (host, port).
    """
    address = server if isinstance(server, tuple) else (server.host, server.port)
    with socket.create_connection(address, timeout=seconds) as link:
        link.settimeout(seconds)
        link.sendall(word.encode("ascii"))
        answer = b""
        while chunk := link.recv(65536):
            answer += chunk
    return answer.decode("utf-8", errors="replace")


class Server:
    """One standalone server in a folder of its own: zoo.cfg, data/, server.log.

    kind        "java" or "paddock"
    folder      emptied at construction unless clean=False
    settings    lines of zoo.cfg over DEFAULTS; None removes one. dataDir, clientPort, clientPortAddress may be given too
    properties  ["zookeeper.x=y", …]: -D options of the JVM; for Paddock lines of zoo.cfg (without the prefix)
    version     of the Java server
    jvm         flags of the JVM
    The port is chosen once and kept over restarts.
    """

    def __init__(self, kind, folder, settings=None, properties=(), version=deps.DEFAULT_VERSION, clean=True,
                 jvm=deps.SMALL_JVM):
        if kind not in ("java", "paddock"):
            raise ValueError(f"unknown kind of server: {kind}")
        self.kind, self.version = kind, version
        self.folder = pathlib.Path(folder).resolve()
        self.properties = list(properties)
        self.jvm = tuple(jvm)
        if clean:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_path = self.folder / "server.log"
        self.config_path = self.folder / "zoo.cfg"
        # The server rewrites it: the first one is the last that is written here.
        self.keeps_config = False
        # Words before the command, which must become the server without another process.
        self.prefix = []
        self.process = None
        self.settings = {"dataDir": str(self.folder / "data"), "clientPortAddress": HOST, **DEFAULTS}
        self.settings.update(settings or {})
        self.settings.setdefault("clientPort", str(free_port()))
        self.host = self.settings["clientPortAddress"]
        self.port = int(self.settings["clientPort"])
        self.data_dir = pathlib.Path(self.settings["dataDir"])

    @property
    def address(self):
        """host:port, as clients take it."""
        return f"{self.host}:{self.port}"

    @property
    def pid(self):
        """Process id while the server runs, else None."""
        return self.process.pid if self.running() else None

    def running(self):
        return self.process is not None and self.process.poll() is None

    def config_text(self):
        lines = dict(self.settings)
        if self.kind == "paddock":
            for item in self.properties:
                name, value = item.split("=", 1)
                lines[name.removeprefix("zookeeper.")] = value
        return "".join(f"{key}={value}\n" for key, value in lines.items() if value is not None)

    def command(self):
        if self.kind == "java":
            properties = ["zookeeper.jmx.log4j.disable=true", *self.properties]
            return deps.java_command(self.version, JAVA_MAIN, str(self.config_path), jvm=self.jvm, properties=properties)
        binary = stage.paddock_binary()
        if not binary.exists():
            raise stage.Missing(f"no server at {binary}: cargo build --release, or set PADDOCK")
        return [str(binary), "server", str(self.config_path)]

    def launch(self):
        """Starts the process without waiting until it serves."""
        if self.running():
            raise ServerError(f"{self.address} runs already")
        command = [*self.prefix, *self.command()]
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if not (self.keeps_config and self.config_path.exists()):
            self.config_path.write_text(self.config_text())
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        _launched.append(self.process)

    def start(self, seconds=START_SECONDS):
        """Starts the process and waits until it serves; returns self."""
        self.launch()
        self.wait_serving(seconds)
        return self

    def wait_serving(self, seconds=START_SECONDS):
        deadline = time.monotonic() + seconds
        while not self.serves(POLL_ANSWER_SECONDS):
            if self.process is None or self.process.poll() is not None:
                raise ServerError(f"{self.kind} server ended with {self.process and self.process.returncode}\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ServerError(f"{self.kind} server does not serve after {seconds} s\n{self.log_tail()}")
            time.sleep(POLL_SECONDS)

    def serves(self, seconds=5):
        """True when the server answers `srvr` with its mode."""
        try:
            return "Mode: " in four_letter(self, "srvr", seconds)
        except OSError:
            return False

    def stop(self, seconds=STOP_SECONDS):
        """Ends the server with SIGTERM and waits until it has ended; returns its exit code."""
        return self._end(signal.SIGTERM, seconds)

    def kill(self):
        """Ends the server with SIGKILL, as a crash does."""
        return self._end(signal.SIGKILL, STOP_SECONDS)

    def restart(self, kill=False, seconds=START_SECONDS):
        """Ends the server (when it runs) and starts it again on the same data and port; returns self."""
        self.kill() if kill else self.stop()
        return self.start(seconds)

    def wait_end(self, seconds=STOP_SECONDS):
        """Waits until the process ends by itself; returns its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ServerError(f"{self.kind} server still runs after {seconds} s\n{self.log_tail()}") from None

    def _end(self, sign, seconds):
        if self.process is None:
            return None
        if self.running():
            os.kill(self.process.pid, sign)
        return self.wait_end(seconds)

    def log_text(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines=15):
        return f"--- end of {self.log_path}\n" + "\n".join(self.log_text().splitlines()[-lines:])

    def __enter__(self):
        return self if self.running() else self.start()

    def __exit__(self, *_):
        if self.running():
            self.kill()


@atexit.register
def kill_all():
    """Kills every server of this process that still runs."""
    for process in list(_launched):
        if process.poll() is None:
            process.kill()
            process.wait(STOP_SECONDS)
