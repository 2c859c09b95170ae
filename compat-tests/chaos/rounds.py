"""One round: a server under load from several kinds of clients, killed at random moments; then its history is checked."""
import json
import os
import pathlib
import random
import signal
import subprocess
import time

import deps
import languages
import stage
import zkwire

HERE = pathlib.Path(__file__).resolve().parent
TIMEOUT_SECONDS = 4
FAMILIES = 12
KAZOO_SESSIONS = 3
END_SECONDS = 120
CHECK_SECONDS = 900
JAVA_CLIENT = "org.apache.zookeeper.ZooKeeperMain"
# Small files and many snapshots, so that kills meet all of their moments; half-second ticks for short sessions.
SETTINGS = {"tickTime": "500", "snapCount": "400", "preAllocSize": "256", "autopurge.purgeInterval": "0"}
PROPERTIES = ["zookeeper.extendedTypesEnabled=true"]


def programs():
    """What a round needs, built or installed."""
    (tool,), environment = languages.go(HERE / "tool", "chaos")
    (python, _), _ = languages.python(HERE.parent / "clients" / "python")
    return {"tool": (tool, environment), "kazoo": python}


class Broken(Exception):
    """A history that a correct server cannot have, or a client that did not end as it should."""

    def __init__(self, text, violations=0):
        super().__init__(text)
        self.violations = violations


class Round:
    """The clients of one round, busy on `families` groups of znodes. `watcher` runs the Java client's shell for persistent watches, where there is Java."""

    families = FAMILIES
    load_flags = ()
    check_flags = ()

    def __init__(self, server, programs, folder, seed):
        self.server, self.seed, self.random = server, seed, random.Random(seed)
        self.root = f"/chaos-{seed}"
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.history = folder / "history.jsonl"
        self.tool, self.environment = programs["tool"]
        self.python = programs["kazoo"]
        self.kills = 0
        self.watchers = []

    def begin(self):
        command = [self.tool, "load", "-servers", self.server.address, "-history", str(self.history), "-root", self.root,
                   "-seed", str(self.seed), "-families", str(self.families), "-timeout", f"{TIMEOUT_SECONDS}s", *self.load_flags]
        self.load = popen(command, self.folder / "load.log", stdout=subprocess.PIPE)
        gates = json.loads(self.load.stdout.readline() or '{"gates": []}')["gates"]
        if not gates:
            raise Broken(f"the load did not begin; see {self.folder / 'load.log'}")
        self.gates = address = ",".join(gates)
        command = [self.python, str(HERE / "kazoo_load.py"), address, self.root, self.families, self.seed, KAZOO_SESSIONS, TIMEOUT_SECONDS]
        self.kazoo = popen([str(word) for word in command], self.folder / "kazoo.log")
        try:
            stage.need("java")
            self.watch(address)
        except stage.Missing as missing:
            print(f"no persistent watches: {missing}", flush=True)
        self.serving_since = time.monotonic()

    def watch(self, address):
        """Persistent and recursive watches of two sessions; the client sets them again after each loss."""
        for number in range(len(self.watched())):
            command = deps.java_command(deps.DEFAULT_VERSION, JAVA_CLIENT, "-timeout", str(TIMEOUT_SECONDS * 1000), "-server", address,
                                        jvm=("-Xmx64m", *deps.SMALL_JVM[1:]), log_level="ERROR")
            watcher = popen(command, self.folder / f"watcher{number}.log")
            self.watchers.append(watcher)
        self.watch_again()

    def watched(self):
        return ("PERSISTENT_RECURSIVE", self.root), ("PERSISTENT", f"{self.root}/f00")

    def watch_again(self):
        """A command that met a kill has failed; one that did not changes nothing."""
        for watcher, (mode, path) in zip(self.watchers, self.watched()):
            if watcher.poll() is None:
                say(watcher, f"addWatch -m {mode} {path}")
                say(watcher, f"addWatch -m {mode} {self.root}/f01")

    def trouble(self, kills):
        """Kills the server so often, most of the time under load, sometimes while it starts."""
        while self.kills < kills:
            time.sleep(self.random.uniform(0.1, 2.2))
            drawn = self.random.random()
            if drawn < 0.08:
                self.freeze()
            elif drawn < 0.14:
                self.server.stop()
                self.start()
            else:
                self.kill()
                while self.kills < kills and self.random.random() < 0.15:
                    self.server.launch()
                    time.sleep(self.random.uniform(0, 0.05))
                    self.kill()
                self.start()

    def kill(self):
        self.server.kill()
        self.kills += 1

    def start(self):
        self.server.start()
        say(self.load, "restarted")
        self.watch_again()

    def freeze(self):
        pid = self.server.pid
        os.kill(pid, signal.SIGSTOP)
        time.sleep(self.random.uniform(0.05, 1))
        os.kill(pid, signal.SIGCONT)

    def beside(self):
        """The clients that reach the servers through the load's gates, by name."""
        return {"kazoo": self.kazoo, **{f"watcher{number}": watcher for number, watcher in enumerate(self.watchers)}}

    def finish(self):
        """Ends all clients, the load behind the others."""
        clients = self.beside()
        for client in clients.values():
            client.stdin.close()
        for name, client in clients.items():
            # The shell ends with 1 when its last command failed, which a kill explains.
            self.end(name, client, codes=(0, 1) if client in self.watchers else (0,))
        self.end("load", self.load)

    def end(self, name, process, codes=(0,)):
        """All of them end when their input does."""
        process.stdin.close()
        if process.wait(END_SECONDS) not in codes:
            raise Broken(f"{name} ended with {process.returncode}; see {self.folder / name}.log")

    def check(self):
        """The summary of the history's check; raises Broken with the first violations and how to check again."""
        command = [self.tool, "check", *self.check_flags, "-out", str(self.folder), str(self.history)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=CHECK_SECONDS)
        lines = done.stdout.splitlines()
        if done.returncode != 0:
            again = f"seed {self.seed}, history {self.history}; to check it again: {' '.join(command)}"
            violations = sum(line.startswith("violation ") for line in lines)
            raise Broken("\n".join([*lines, again]), violations)
        return json.loads(lines[-1])

    def tree(self):
        """Everything that the round left behind, with all fields."""
        with zkwire.Client(self.server.host, self.server.port) as client:
            return zkwire.dump(client, self.root)

    def abandon(self):
        """Ends what still runs after a failure; the load finishes its history first."""
        if self.load.poll() is None:
            self.end("load", self.load)
        for process in (self.load, self.kazoo, *self.watchers):
            if process.poll() is None:
                process.kill()
            process.wait()


def popen(command, log_path, stdout=None):
    with open(log_path, "wb") as log:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stdout or log, stderr=log, text=True)


def say(process, line):
    process.stdin.write(line + "\n")
    process.stdin.flush()
