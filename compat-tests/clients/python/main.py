"""kazoo against one server: main.py SERVER PROXY-CONTROL. Prints `ok STEP` or `FAILED STEP`, in the end `done`."""
import sys

import basics
import sessions
import story
from harness import Bench


def main():
    bench = Bench(sys.argv[1], sys.argv[2])
    for function in basics.STEPS + sessions.STEPS + story.STEPS:
        bench.step(function.__name__, function)
    print("done", flush=True)
    sys.exit(1 if bench.failed else 0)


if __name__ == "__main__":
    main()
