"""Checks that the cases cover the protocol: the rows of coverage.json by name, the op codes, error codes and event types by what was played."""
import collections
import fnmatch
import json
import pathlib

import wire

FILE = pathlib.Path(__file__).resolve().parent / "coverage.json"


class Seen:
    """What the replies and events of all records contained."""

    def __init__(self):
        self.operations, self.errors, self.events = set(), set(), set()

    def note(self, record):
        for step in record:
            for frames in step["frames"].values():
                for frame in frames:
                    self.note_frame(frame)

    def note_frame(self, frame):
        if frame["kind"] == "event":
            self.events.add(frame["type"])
        elif frame["kind"] == "reply":
            self.operations.add(frame["op"])
            self.errors.add(frame["err"])
            results = frame.get("body", {}).get("results") or []
            self.errors |= {result["err"] for result in results if not result["done"]}


def gaps(names, seen, file=FILE):
    """One text for everything that is not covered; `names` are the names of the cases that were played."""
    table = json.loads(file.read_text("utf-8"))
    texts = []
    if len(names) < table["minimum"]:
        texts.append(f"only {len(names)} cases; there must be {table['minimum']}")
    for row, patterns in table["rows"].items():
        unmatched = [pattern for pattern in patterns if not any(fits(name, pattern) for name in names)]
        if unmatched or not patterns:
            texts.append(f"{row}: no case {', '.join(unmatched)}")
    counted = collections.Counter(row.split()[0].split(".")[0] for row in table["rows"])
    texts += [f"no rows of section {section}" for section in ("2", "3", "4", "5", "6", "8", "9", "14") if not counted[section]]
    # Their replies end the connection without a word.
    mute = {"deleteContainer", "createSession"}
    for title, wanted, met in (("reply to", set(wire.REQUESTS) - mute, seen.operations), ("error", set(table["errors"]), seen.errors),
                               ("event", set(table["events"]), seen.events)):
        texts += [f"no {title} {item} in any case" for item in sorted(wanted - met)]
    return texts


def fits(name, pattern):
    return fnmatch.fnmatchcase(name, pattern)
