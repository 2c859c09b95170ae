"""Compares two records of one script field by field, and judges differences that Paddock chose."""
import dataclasses
import fnmatch
import json
import pathlib

FILE = pathlib.Path(__file__).resolve().parent / "differences.json"
SHOWN = 12
LONGEST = 220


@dataclasses.dataclass
class Difference:
    """One field with its values on both sides; None stands for absent."""
    field: str
    source: str
    left: object
    right: object

    def text(self, kinds):
        return (f"    {self.field}   {self.source[:LONGEST]}\n"
                f"      {kinds[0]:8}{shorten(self.left)}\n      {kinds[1]:8}{shorten(self.right)}")


def shorten(value):
    text = "(absent)" if value is None else repr(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def flatten(value, path, out):
    """Leaves of nested dictionaries and lists as {path: value}."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        out[path] = value if value is not None else "null"
        return out
    if not value:
        out[path] = "{}" if isinstance(value, dict) else "[]"
    for key, item in items:
        flatten(item, f"{path}.{key}", out)
    return out


def different(left, right):
    """All differing fields of two records."""
    found = []
    for index in range(max(len(left), len(right))):
        one = left[index] if index < len(left) else {"source": "", "frames": {}}
        other = right[index] if index < len(right) else {"source": "", "frames": {}}
        if one["frames"] == other["frames"]:
            continue
        fields, others = flatten(one["frames"], f"step{index + 1}", {}), flatten(other["frames"], f"step{index + 1}", {})
        for field in [*fields, *(field for field in others if field not in fields)]:
            if fields.get(field) != others.get(field):
                found.append(Difference(field, one["source"] or other["source"], fields.get(field), others.get(field)))
    return found


def describe(title, found, kinds):
    lines = [f"FAILED {title}: {len(found)} fields differ"]
    lines += [difference.text(kinds) for difference in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"    … and {len(found) - SHOWN} more")
    return "\n".join(lines)


class Chosen:
    """The differences of differences.json, with a note of which ones were met.

    An entry has a `case` (shell pattern) and a `reason`; `fields` narrows it to fields of these patterns, and `sometimes` says
    that the Java server does now this, now that, so that a case may agree too.
    """

    def __init__(self, two_kinds, file=FILE):
        self.two_kinds = two_kinds
        self.entries = json.loads(file.read_text("utf-8"))["differences"]
        for entry in self.entries:
            if not entry.get("case") or not entry.get("reason"):
                raise ValueError(f"differences.json: an entry lacks its case or its reason: {entry}")
        self.met = set()
        self.agreed = {}

    def remaining(self, case, found):
        """What is left of the differences of a case after those that Paddock chose."""
        for index, entry in enumerate(self.entries):
            if not fnmatch.fnmatchcase(case, entry["case"]):
                continue
            fields = entry.get("fields", ["*"])
            excused = [item for item in found if any(fnmatch.fnmatchcase(item.field, field) for field in fields)]
            if excused:
                self.met.add(index)
            elif not entry.get("sometimes"):
                self.agreed.setdefault(index, []).append(case)
            found = [item for item in found if item not in excused]
        return found

    def stale(self):
        """Entries of which at least one played case agrees on all their fields by now; two servers of one kind may well agree."""
        if not self.two_kinds:
            return []
        return [f"differences.json: {self.entries[index]['case']}: {', '.join(cases[:3])} agrees now; "
                f"take the entry out or narrow it ({self.entries[index]['reason']})" for index, cases in self.agreed.items()]
