"""An ensemble, one member of which after the other is replaced by the commands of the page, in the order that they print."""
import re
import shutil
import time

from members import Ensemble, wait_for
from programs import expect
from servers import four_letter

SETTINGS = {"tickTime": "1000", "initLimit": "10", "syncLimit": "5", "snapCount": "1000", "preAllocSize": "4096", "admin.enableServer": None}
SERVE_SECONDS = 60
MODE_SECONDS = 2
VERIFY_SECONDS = 180


class Members(Ensemble):
    """Three voters, and observers behind them."""

    def __init__(self, folder, observers, words, settings=()):
        self.voters = 3
        super().__init__("java", folder, count=self.voters + observers, settings={**SETTINGS, "4lw.commands.whitelist": words, **dict(settings)})
        for sid in range(self.voters + 1, self.voters + observers + 1):
            self.servers[sid].settings["peerType"] = "observer"

    def lines(self, _sid):
        lines = super().lines(_sid)
        return {key: line + (":observer" if int(key.removeprefix("server.")) > self.voters else "") for key, line in lines.items()}

    def modes(self):
        """The mode of each server that serves: whether it runs is the operator's affair."""
        found = {}
        for sid, server in self.servers.items():
            try:
                answer = four_letter(server, "srvr", MODE_SECONDS)
            except OSError:
                continue
            found.update({sid: line.removeprefix("Mode: ") for line in answer.splitlines() if line.startswith("Mode: ")})
        return found


def start(ensemble, operator, seconds=SERVE_SECONDS):
    for sid, server in ensemble.servers.items():
        server.config_path.write_text(server.config_text())
        operator.must(sid, "start Java")
    wait_for(lambda: all(server.serves(1) for server in ensemble.servers.values()), "every server to serve", seconds)


def next_member(printed):
    """The member that the command names for the next step; None when there is none left."""
    if re.search(r"^next  nothing: every member is ", printed, re.MULTILINE):
        return None
    found = re.search(r"^next  on server (\d+) ", printed, re.MULTILINE)
    if not found:
        raise AssertionError(f"no next step in\n{printed}")
    return int(found.group(1))


def first_member(operator, target, unchecked):
    """What `check` names for the first step; if it says no and that is not to count, a member that follows."""
    printed, code = operator.do(1, "check", "" if target == "paddock" else " --to java")
    if code == 0:
        return next_member(printed)
    if not unchecked:
        raise AssertionError(f"# check ended with {code}:\n{printed}")
    return next(sid for sid, mode in sorted(operator.ensemble.modes().items()) if mode == "follower")


def move(operator, target, replace, after, unchecked=False):
    """Replaces each member by `replace(operator, sid, target)`, which gives what was printed, calls `after` behind each; gives the order."""
    sid, order = first_member(operator, target, unchecked), []
    while sid is not None:
        if sid in order:
            raise AssertionError(f"server {sid} is to be replaced again, behind {order}")
        order.append(sid)
        printed = replace(operator, sid, target)
        after()
        sid = next_member(printed)
    expect("members that were replaced", sorted(order), sorted(operator.ensemble.servers))
    return order


def stop(operator, sid, target):
    """Ends what a member is until now, and copies its data away before Paddock gets it."""
    if target == "java":
        operator.must(sid, "stop Paddock")
        return
    operator.must(sid, "stop Java")
    shutil.rmtree(f"{operator.ensemble.servers[sid].data_dir}.before", ignore_errors=True)
    operator.must(sid, "copy")


def replace(operator, sid, target):
    stop(operator, sid, target)
    if target == "java":
        operator.must(sid, "start Java")
        return verified(operator, sid, "verify the way back")
    operator.must(sid, "start Paddock")
    printed = verified(operator, sid, "verify")
    wrong, code = operator.do(sid, "verify", " --to java --patience 0")
    expect("the exit code where the member is not what is asked for", code, 1)
    expect("the reason", "stop  " in wrong and "runs Paddock" in wrong, True)
    return printed


def verified(operator, sid, block, more="", seconds=VERIFY_SECONDS):
    """As the page says: on `not now`, wait and verify again. A JVM on a busy machine may take long to start."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        printed, code = operator.do(sid, block, more)
        if code == 0:
            return printed
    return operator.must(sid, block, more)
