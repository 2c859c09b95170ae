"""Random sequences: plays scripts from seeds on both servers, compares every reply, then the trees and what is on disk."""
import time

import census
import compare
import dice
import exchange
import gate
import player
import script
import servers

RUN_REQUESTS = 2500
GATE_RUNS = 8
GATE_SEED = 1
LONG_REQUESTS = 1_000_000
# After so many runs the servers are changed for fresh ones, and their data directories are compared.
RUNS_PER_PAIR = 8
FLUSH_EVERY = 12
COUNTS = ("zk_znode_count", "zk_ephemerals_count", "zk_digest_mismatches_count")
SHRINK_SECONDS = 90


class SequencePlayer(player.Player):
    """Plays one random script. Only the session that acts is read; the others now and then, so that most time goes into requests."""

    def play(self):
        self.replaced = []
        base = self.control.begin(self.root)
        self.normal = player.normal.Normal(base, unordered_acl=True)
        self.base = base
        since = 0
        for step in self.case.steps:
            getattr(self, f"do_{step.call.name}", self.do_request)(step)
            while self.replaced:
                self.replaced.pop().drop()
            self.record_only(step.session, step.source)
            since += 1
            # What is only sent may not be done yet.
            if since >= FLUSH_EVERY and step.call.name not in ("send", "bytes", "frame"):
                self.flush(None)
                self.record("events up to here")
                since = 0
        self.flush(None)
        self.record("events up to the end")
        self.take_census()
        self.teardown()
        return self.lines

    def new_link(self, name):
        """The link before goes when the new one is open: Java, which sees a close and a session's return at once, may forget the new
        connection with the old one, and then does not close it when the session returns a third time
        (ServerCnxnFactory.removeCnxnFromSessionMap takes out whatever stands there)."""
        if name in self.links:
            self.replaced.append(self.links[name])
        super().new_link(name)

    def record_only(self, name, source):
        """Writes down what the acting session received; what others received comes with their next step."""
        others = {other: link for other, link in self.links.items() if other != name}
        everything, self.links = self.links, {name: self.links[name]}
        self.record(source)
        self.links = {**everything, **self.links, **others}

    def take_census(self):
        link = self.control.open()
        if link is None:
            raise player.ServerGone("no session for the census")
        tree = census.census(link, self.normal)
        self.control.end(link)
        text = servers.four_letter(self.server, "mntr")
        counts = dict(line.split("\t", 1) for line in text.splitlines() if line.startswith(COUNTS))
        if self.server.kind == "java":
            # Java works with another owner before it applies a createContainer that has another mode's flags.
            counts["zk_digest_mismatches_count"] = "0"
        self.lines.append({"source": "the whole tree", "frames": {"tree": tree, "mntr": counts}})


def make_case(seed, lines, trial=""):
    steps = [script.parse_step(line, {}) for line in lines]
    return script.Case(f"random.{seed}{trial}", "random", set(), steps)


def lines_of(seed, requests):
    """The script of a seed: even seeds send pipelines, odd ones have quotas."""
    return dice.Dice(seed, pipelined=seed % 2 == 0).script(requests)


def play_both(pair, case):
    return pair.both(lambda server: gate.play(server, case, True, SequencePlayer))


def run_all(runner, seed, runs, requests):
    """Plays `runs` sequences with the seeds from `seed` on."""
    began, sent = time.monotonic(), 0
    for first in range(seed, seed + runs, RUNS_PER_PAIR):
        seeds = range(first, min(first + RUNS_PER_PAIR, seed + runs))
        with gate.Pair(runner.groups["random"], runner.kinds, runner.work) as pair:
            agreed = [run_one(runner, pair, each, requests) for each in seeds]
            sent += requests * len(seeds)
            if all(agreed):
                for text in exchange.disagreements(pair, runner.work / "exchange"):
                    runner.fail(f"FAILED data directories after seeds {seeds[0]} to {seeds[-1]} ({requests} requests each): {text}")
            elif runner.kinds[0] != runner.kinds[1]:
                print("data directories are not compared after a failure", flush=True)
        print(f"{sent} random requests, seeds {seed} to {seeds[-1]}, {time.monotonic() - began:.0f} s", flush=True)


def run_one(runner, pair, seed, requests):
    """Plays one seed; true when both servers agree."""
    lines = lines_of(seed, requests)
    left, right = play_both(pair, make_case(seed, lines))
    found = compare.different(left, right)
    if not found:
        runner.passed += 1
        return True
    runner.fail(compare.describe(f"random.{seed}", found, runner.kinds))
    print(f"    again: compat-tests/differential/run --seed {seed} --runs 1 --requests {requests}", flush=True)
    shorter = shrink(pair, seed, lines, left, right)
    print(f"    {len(shorter)} of its {len(lines)} steps are enough:", *shorter, sep="\n        ", flush=True)
    return False


def shrink(pair, seed, lines, left, right):
    """Fewer lines that still differ: nothing behind the first difference, then without every part that is not needed."""
    deadline = time.monotonic() + SHRINK_SECONDS
    trials = 0

    def differs(some):
        nonlocal trials
        trials += 1
        return bool(compare.different(*play_both(pair, make_case(seed, some, f".{trials}"))))

    sources = [step["source"] for step in left]
    bad = next((index for index, (one, other) in enumerate(zip(left, right)) if one["frames"] != other["frames"]), len(left))
    count = sum(not source.startswith(("events up to", "the whole")) for source in sources[:bad + 1])
    kept = lines[:count + FLUSH_EVERY] if differs(lines[:count + FLUSH_EVERY]) else lines
    size = len(kept) // 2
    while size and time.monotonic() < deadline:
        position = 0
        while position < len(kept) and time.monotonic() < deadline:
            fewer = kept[:position] + kept[position + size:]
            if fewer and differs(fewer):
                kept = fewer
            else:
                position += size
        size //= 2
    return kept
