"""Starts the pairs of servers, plays the cases and random sequences on both, and counts what agrees."""
import concurrent.futures
import json
import pathlib
import shutil
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

import servers
import stage

import compare
import coverage
import player

START_SECONDS = 60
GONE_SECONDS = 2
GROUPS_AT_ONCE = 3


def load_groups():
    """{name: group} of groups.json."""
    text = json.loads((HERE / "groups.json").read_text("utf-8"))
    groups = text["groups"]
    for name, group in groups.items():
        group.setdefault("super", True)
        group["name"] = name
        properties = group.setdefault("properties", [])
        if group["super"] and not any("superDigest" in item for item in properties):
            properties.append(text["super"])
    return groups


class Pair:
    """Two servers with the same settings, and one thread for each."""

    def __init__(self, group, kinds, work, label=""):
        self.group, self.kinds = group, kinds
        self.pool = concurrent.futures.ThreadPoolExecutor(2)
        self.servers = [
            servers.Server(kind, work / f"{group['name']}{label}-{side}", settings=group.get("settings"),
                           properties=group["properties"])
            for side, kind in zip("ab", kinds)
        ]

    def both(self, function):
        """function(server) on both at the same time; the two results."""
        waiting = [self.pool.submit(function, server) for server in self.servers]
        return [future.result() for future in waiting]

    def __enter__(self):
        try:
            self.both(lambda server: server.start(START_SECONDS))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for server in self.servers:
            if server.running():
                server.kill()
        self.pool.shutdown()


def play(server, case, super_user, kind=player.Player):
    """The record of a case; a server that has gone away is part of it and is started again."""
    played = kind(server, case, super_user)
    try:
        record = played.play()
    except (player.ServerGone, OSError, KeyError, AttributeError) as error:
        played.drop_all()
        gone = has_gone(server)
        text = "server ended" if gone else f"{type(error).__name__}: {error}"
        record = [*played.lines, {"source": "the runner", "frames": {"runner": [{"kind": "gone" if gone else "broken", "text": text}]}}]
    if has_gone(server):
        revive(server)
    return record


def has_gone(server):
    """Whether the server has stopped serving; one that counts connections may need a moment to notice that ours are closed."""
    deadline = time.monotonic() + GONE_SECONDS
    while not server.serves(1):
        if not server.running() or time.monotonic() > deadline:
            return True
        time.sleep(0.02)
    return False


def revive(server):
    """Starts a server again that no longer serves, without the data that may have ended it."""
    if server.running():
        server.kill()
    shutil.rmtree(server.data_dir, ignore_errors=True)
    try:
        server.start(START_SECONDS)
    except servers.ServerError as error:
        print(f"cannot start again: {error}", flush=True)


def shown(title, record):
    """A record for reading."""
    lines = [f"{title}:"]
    for step in record:
        lines.append("  " + step["source"])
        lines += [f"    {name}: {frame}" for name, frames in step["frames"].items() for frame in frames]
    return "\n".join(lines)


class Gate:
    """One run: options in, counts out."""

    def __init__(self, kinds, work, show=False):
        self.kinds, self.work, self.show = kinds, work, show
        self.groups = load_groups()
        self.chosen = compare.Chosen(kinds[0] != kinds[1])
        self.seen = coverage.Seen()
        self.passed = self.failed = 0
        work.mkdir(parents=True, exist_ok=True)

    def fail(self, text):
        self.failed += 1
        print(text, flush=True)

    def judge(self, case, left, right):
        """Counts one case by the records of both sides."""
        self.seen.note(left)
        if self.show:
            print(shown(case.name, left))
        found = self.chosen.remaining(case.name, compare.different(left, right))
        if found:
            self.fail(compare.describe(case.name, found, self.kinds))
        else:
            self.passed += 1

    def run_cases(self, cases):
        """Plays the cases group by group, some groups at the same time; judges them in their order."""
        by_group = {}
        for case in cases:
            if case.group not in self.groups:
                raise ValueError(f"{case.name}: no group {case.group} in groups.json")
            by_group.setdefault(case.group, []).append(case)
        batches = []
        for name, members in by_group.items():
            group = self.groups[name]
            if group.get("fresh_each"):
                batches += [(group, [case], index) for index, case in enumerate(members)]
            else:
                batches.append((group, members, 0))
        with concurrent.futures.ThreadPoolExecutor(GROUPS_AT_ONCE) as pool:
            for future in [pool.submit(self.run_batch, *batch) for batch in batches]:
                for judged in future.result():
                    self.judge(*judged)

    def run_batch(self, group, batch, index):
        """Plays cases of one group on one pair of servers; gives each with its two records."""
        try:
            with Pair(group, self.kinds, self.work, index or "") as pair:
                records = pair.both(lambda server: [play(server, case, group["super"]) for case in batch])
        except Exception:
            trouble = [{"source": f"group {group['name']}", "frames": {"runner": [{"kind": "broken", "text": traceback.format_exc()}]}}]
            return [(case, trouble, []) for case in batch]
        return zip(batch, *records)
