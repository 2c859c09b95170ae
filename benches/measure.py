"""What both programs that measure beside Java share: runs of `paddock bench`, the figures of them, and the table they write."""
import json
import os
import pathlib
import platform
import re
import resource
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "compat-tests" / "lib"))

import stage  # noqa: E402  (the path is set up one line above)

JAVA_FLAGS = ("-Xmx4g",)
KINDS = ("java", "paddock")
WARM_LOADS = ("get", "set", "create", "mixed:50")
MILLION = 1_000_000
FILES = 65_000


class BenchFailed(Exception):
    """`paddock bench` gave no result; the text says what it said."""


def bench(server, workload, *options, seconds=5, warm="1s"):
    """One run of `paddock bench` against a server; returns its JSON."""
    command = [str(stage.paddock_binary()), "bench", workload, server.address, "--json", "--pids", str(server.pid)]
    command += ["--duration", f"{seconds}s", "--warm-up", warm, *map(str, options)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise BenchFailed(f"{' '.join(command)}: {done.stderr.strip() or done.stdout}")
    result = json.loads(done.stdout)
    if result["failures"] or result["disorder"]:
        raise BenchFailed(f"{' '.join(command)}: errors {result['errors']}, disorder {result['disorder']}")
    return result


def figures(result, kind=None):
    """The figures of one run that the tables use; times in microseconds."""
    kinds = result["kinds"]
    row = kinds[kind] if kind else max(kinds.values(), key=lambda row: row["count"])
    found = {name: row["latency_us"][name] for name in ("p50", "p99", "p99.9", "max")}
    found["ops"] = row["per_second"] if kind else result["operations_per_second"]
    found["cpu"] = result["operations_per_server_cpu_second"] or 0.0
    found["rss"] = (result["server_resident_bytes"] or 0) / 2**20
    return found


def in_turns(servers, rounds, measure):
    """Measures each server in turns; returns the median of every figure for each kind."""
    runs = {server.kind: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            # What one has left in the page cache is not the other's to wait for.
            os.sync()
            runs[server.kind].append(measure(server))
    return {kind: {name: statistics.median(run[name] for run in found) for name in found[0]} for kind, found in runs.items()}


def warm_up(servers, seconds):
    for server in servers:
        for load in WARM_LOADS if seconds else ():
            bench(server, load, seconds=max(1, seconds // len(WARM_LOADS)), warm="0s")


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def verdicts(java, paddock, targets):
    """What the targets say, each with the ratio that was measured."""
    said = []
    for name, target in targets.items():
        ratio = paddock[name] / java[name] if java[name] else float("nan")
        is_rate = name in ("cpu", "ops")
        met = ratio >= target if is_rate else ratio <= target
        label = {"cpu": "per CPU-s", "ops": "ops/s"}.get(name, name)
        said.append(f"{label} {ratio:.2f}× ({'≥' if is_rate else '≤'} {target}{'' if met else ', **missed**'})")
    return "; ".join(said)


def keep_znodes(server, count):
    """Leaves `count` znodes in a server: a run of `paddock bench` that is killed as soon as its load is on."""
    command = [str(stage.paddock_binary()), "bench", "get", server.address, "-k", str(count), "-c", "1", "-o", "1", "-d", "1h", "--progress"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        if not any("ops/s" in line for line in running.stderr):
            raise BenchFailed(f"{' '.join(command)} ended with {running.wait()}")
    finally:
        running.kill()
        running.wait()


def say(line):
    print(line, file=sys.stderr, flush=True)


def output_of(*command):
    return subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout.strip()


def machine():
    """What the figures are worth only together with."""
    model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) / 2**20
    cpu = model.group(1) if model else platform.machine()
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    java = output_of("java", "-version").splitlines()[0]
    return f"{os.cpu_count()} × {cpu}, {memory:.0f} GiB, Linux {platform.release()}, {java}; load average when done {load}"


def commit():
    dirty = " with uncommitted changes" if output_of("git", "status", "--porcelain", "--untracked-files=no") else ""
    return output_of("git", "rev-parse", "--short", "HEAD") + dirty


def write(path, name, lines):
    """Puts the lines between the marks of this name in a file, which gets them at its end when it has none."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = path.read_text(encoding="utf-8") if path.exists() else "# Results\n"
    section = "\n".join([begin, *lines, end])
    if begin in text and end in text:
        before, rest = text.split(begin, 1)
        text = before + section + rest.split(end, 1)[1]
    else:
        text = text.rstrip("\n") + "\n\n" + section + "\n"
    path.write_text(text, encoding="utf-8")


def raise_file_limit():
    """Ten thousand connections need as many open files, in the servers too."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
