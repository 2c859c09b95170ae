"""Pytest plugin around the suite: puts our servers under its harness and writes one line per test.

Each finished test becomes `OUTCOME SECONDS NODEID` in the file KAZOO_SUITE_OUTCOMES, written at once, so
that a run that is cut short still tells what it saw. Tests named in KAZOO_SUITE_SET_APART are left out.
"""
import os
import sys

import one_server
import pytest

sys.modules["kazoo.testing.common"] = one_server

# Worse wins when set-up, test and tear-down disagree.
RANK = {"skipped": 1, "passed": 2, "failed": 3}

outcomes = {}


def short(nodeid):
    """The id without folders: test_lock.py::KazooLockTests::test_lock."""
    return nodeid.rsplit("/", 1)[-1]


def set_apart():
    with open(os.environ["KAZOO_SUITE_SET_APART"], encoding="utf-8") as lines:
        return [line.split(None, 1)[0] for line in lines if line.strip() and not line.startswith("#")]


def pytest_collection_modifyitems(config, items):
    names = set_apart()
    unused = [name for name in names if not any(matches(name, item) for item in items)]
    if unused and config.args == ["kazoo/tests"]:
        raise pytest.UsageError(f"set apart, but not in the suite: {', '.join(unused)}")
    left = [item for item in items if any(matches(name, item) for name in names)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def matches(name, item):
    found = short(item.nodeid)
    return found == name or found.startswith(name + "::")


def pytest_runtest_logreport(report):
    name = short(report.nodeid)
    if report.when == "call" or report.outcome != "passed":
        before, seconds = outcomes.get(name, ("skipped", 0.0))
        worst = max(before, report.outcome, key=RANK.__getitem__)
        outcomes[name] = (worst, seconds + report.duration)
    if report.when == "teardown":
        outcome, seconds = outcomes[name]
        with open(os.environ["KAZOO_SUITE_OUTCOMES"], "a", encoding="utf-8") as out:
            out.write(f"{outcome} {seconds:.2f} {name}\n")
