"""What an operator does: the commands of docs/migration.md, each in a shell of its own."""
import atexit
import ctypes
import os
import pathlib
import re
import shlex
import signal
import subprocess
import threading
import time

import deps
import stage
from servers import JAVA_MAIN

PAGE = stage.ROOT / "docs" / "migration.md"
BLOCKS = ("check", "stop Java", "copy", "start Paddock", "verify", "stop Paddock", "start Java", "verify the way back")
BLOCK_SECONDS = 120
REAP_SECONDS = 0.02
PR_SET_CHILD_SUBREAPER = 36
# Stands for ZooKeeper's script of this name, which the registry's package does not have.
ZK_SERVER = """#!/usr/bin/env bash
set -eu
data=$(sed -n 's/^dataDir=//p' "$2")
case $1 in
  start)
    nohup {java} "$2" >>"$(dirname "$2")/server.log" 2>&1 &
    echo $! >"$data/zookeeper_server.pid"
    ;;
  stop)
    kill "$(cat "$data/zookeeper_server.pid")"
    rm "$data/zookeeper_server.pid"
    ;;
esac
"""


def blocks():
    """The commands of the page by the comment in their first line; all of them have to be known here, so that all are executed."""
    found = dict(re.findall(r"```sh\n# ([^\n]*)\n(.*?)```", PAGE.read_text(), re.DOTALL))
    if sorted(found) != sorted(BLOCKS) or PAGE.read_text().count("```sh") != len(BLOCKS):
        raise AssertionError(f"{PAGE} has the blocks {sorted(found)}, expected {sorted(BLOCKS)}")
    return found


class Operator:
    """Executes blocks for members of an ensemble, and ends what was started when the stage ends."""

    def __init__(self, ensemble, work, version, jvm=deps.SMALL_JVM, seconds=BLOCK_SECONDS):
        """`jvm`: flags of the Java servers; `seconds` that a block may take."""
        self.ensemble, self.blocks, self.seconds = ensemble, blocks(), seconds
        self.bin = work / "bin"
        self.bin.mkdir()
        java = deps.java_command(version, JAVA_MAIN, jvm=jvm, properties=["zookeeper.jmx.log4j.disable=true"])
        script = self.bin / "zkServer.sh"
        script.write_text(ZK_SERVER.format(java=shlex.join(java)))
        script.chmod(0o755)
        (self.bin / "paddock").symlink_to(stage.paddock_binary())
        self.pids = set()
        # A process whose shell has ended is given to this one, which has to take notice of its end as init would.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        threading.Thread(target=self.reap, daemon=True).start()
        atexit.register(self.kill_all)

    def reap(self):
        while True:
            for pid in list(self.pids):
                try:
                    if os.waitpid(pid, os.WNOHANG)[0] == pid:
                        self.pids.discard(pid)
                except ChildProcessError:
                    # Its shell has not ended yet.
                    pass
            time.sleep(REAP_SECONDS)

    def kill_all(self):
        for pid in list(self.pids):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def environment(self, sid):
        server = self.ensemble.servers[sid]
        return {
            **os.environ,
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "ENSEMBLE": ",".join(server.address for server in self.ensemble.servers.values()),
            "CONFIG": str(server.config_path),
            "DATA": str(server.data_dir),
            "LOG": str(server.log_path),
            "MEMBER": str(sid),
        }

    def do(self, sid, name, more=""):
        """Executes a block on a member; gives what it printed, and its exit code."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.blocks[name].rstrip("\n") + more], env=self.environment(sid), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=self.seconds)
        pid_file = {"start Java": "zookeeper_server.pid", "start Paddock": "paddock.pid"}.get(name)
        if pid_file and done.returncode == 0:
            self.pids.add(int((pathlib.Path(self.environment(sid)["DATA"]) / pid_file).read_text()))
        return done.stdout, done.returncode

    def must(self, sid, name, more=""):
        """Executes a block that has to succeed; gives what it printed."""
        printed, code = self.do(sid, name, more)
        if code != 0:
            raise AssertionError(f"# {name}, on server {sid}, ended with {code}:\n{printed}\n{self.ensemble.servers[sid].log_tail()}")
        return printed
