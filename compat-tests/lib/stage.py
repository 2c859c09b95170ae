"""What every stage script shares: where things lie, counting results, skipping.

A stage is an executable `compat-tests/<stage>/run`. Its last line is `N passed, N failed` (with `, N skipped` when
something was skipped); it ends with 0 if nothing failed, 1 if something failed, 77 if the whole stage was skipped.
With CI=true in the environment a skip is a failure.
"""
import os
import pathlib
import shutil
import signal
import sys
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTS = ROOT / "compat-tests"
DEPS = TESTS / ".deps"
WORK = TESTS / ".work"
SKIPPED = 77


class Missing(Exception):
    """A tool or a package that a stage needs cannot be had; the text says which."""


def in_ci():
    return os.environ.get("CI", "").lower() == "true"


def paddock_binary():
    """The server under test: PADDOCK of the environment, else the release build of this repository."""
    chosen = os.environ.get("PADDOCK")
    return pathlib.Path(chosen).resolve() if chosen else ROOT / "target" / "release" / "paddock"


def need(*tools):
    """Raises Missing unless every tool is on the PATH."""
    absent = [tool for tool in tools if shutil.which(tool) is None]
    if absent:
        raise Missing(f"{', '.join(absent)} not on the PATH")


class Stage:
    """Runs named cases and reports them in the agreed form; `case` may be called by several threads."""

    def __init__(self, name, keep=False):
        self.name = name
        self.work = WORK / name
        self.keep = keep
        self.passed = self.failed = self.skipped = 0
        self.lock = threading.RLock()
        # A terminated stage must still run the interpreter's exit handlers, which end the servers.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)

    def case(self, title, function, *arguments, **named):
        """Runs one case; an exception is a failure, Missing a skip. Returns what the case returned, or None."""
        began = time.monotonic()
        try:
            answer = function(*arguments, **named)
        except Missing as missing:
            self.skip(title, missing)
            return None
        except Exception:
            with self.lock:
                self.failed += 1
                print(f"FAILED {title}\n{traceback.format_exc()}", flush=True)
            return None
        with self.lock:
            self.passed += 1
            print(f"ok     {title} ({time.monotonic() - began:.1f} s)", flush=True)
        return answer

    def skip(self, title, why):
        with self.lock:
            if in_ci():
                self.failed += 1
                print(f"FAILED {title}: skipped although CI=true: {why}", flush=True)
            else:
                self.skipped += 1
                print(f"skip   {title}: {why}", flush=True)

    def finish(self):
        """Prints the last line and ends the process with the stage's exit code."""
        if self.failed == 0 and not self.keep:
            shutil.rmtree(self.work, ignore_errors=True)
        tail = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{tail}", flush=True)
        if self.failed:
            sys.exit(1)
        sys.exit(SKIPPED if self.skipped and not self.passed else 0)


def skip_stage(name, why):
    """Ends the process because a whole stage cannot run here."""
    if in_ci():
        print(f"{name}: {why}; a skip is a failure with CI=true\n0 passed, 1 failed", flush=True)
        sys.exit(1)
    print(f"{name}: {why}; stage skipped\n0 passed, 0 failed, 1 skipped", flush=True)
    sys.exit(SKIPPED)
