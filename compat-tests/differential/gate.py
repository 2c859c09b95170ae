"""Starts the pairs of servers, plays the cases and random sequences on both, and counts what agrees."""
import concurrent.futures
import json
import pathlib
import shutil
import sys
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

import servers
import stage

import compare
import player

START_SECONDS = 60


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


def play(server, case, super_user):
    """The record of a case; a server that has gone away is part of it and is started again."""
    played = player.Player(server, case, super_user)
    try:
        record = played.play()
    except (player.ServerGone, OSError, KeyError, AttributeError) as error:
        gone = not server.serves()
        text = "server ended" if gone else f"{type(error).__name__}: {error}"
        record = [*played.lines, {"source": "the runner", "frames": {"runner": [{"kind": "gone" if gone else "broken", "text": text}]}}]
    if not server.serves():
        revive(server)
    return record


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
        self.passed = self.failed = 0
        work.mkdir(parents=True, exist_ok=True)

    def fail(self, text):
        self.failed += 1
        print(text, flush=True)

    def judge(self, case, left, right):
        """Counts one case by the records of both sides."""
        if self.show:
            print(shown(case.name, left))
        found = self.chosen.remaining(case.name, compare.different(left, right))
        if found:
            self.fail(compare.describe(case.name, found, self.kinds))
        else:
            self.passed += 1

    def run_cases(self, cases):
        """Plays the cases group by group; one group's servers start while the group before is playing."""
        by_group = {}
        for case in cases:
            if case.group not in self.groups:
                raise ValueError(f"{case.name}: no group {case.group} in groups.json")
            by_group.setdefault(case.group, []).append(case)
        for name, members in by_group.items():
            group = self.groups[name]
            batches = [[case] for case in members] if group.get("fresh_each") else [members]
            for index, batch in enumerate(batches):
                self.run_batch(group, batch, index)

    def run_batch(self, group, batch, index):
        """Plays cases of one group on one pair of servers."""
        try:
            with Pair(group, self.kinds, self.work, index or "") as pair:
                records = pair.both(lambda server: [play(server, case, group["super"]) for case in batch])
        except servers.ServerError as error:
            for case in batch:
                self.fail(f"FAILED {case.name}: servers of group {group['name']} do not start")
            print(error, flush=True)
            return
        except Exception:
            self.fail(f"FAILED group {group['name']}\n{traceback.format_exc()}")
            return
        for case, left, right in zip(batch, *records):
            self.judge(case, left, right)
