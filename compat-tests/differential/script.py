"""Reads the case files: requests as data, one step per line, in the syntax of Python calls with literal arguments.

    group default                      the settings (groups.json) that the cases below run under
    == delete.version [noflush]        a case and its options
    a.create("@/x", flags=EPHEMERAL)   session `a` sends a request and takes the reply; @ is the case's own root
    == path.bad for p in ["@/a//b", "@/."]
    a.create(p)                        one case per element

A line that begins with a blank continues the one before. Nothing is executed: the lines are parsed, not run.
"""
import ast
import dataclasses
import pathlib
import re

import wire

CASES = pathlib.Path(__file__).resolve().parent / "cases"
CASE = re.compile(r"==\s+(?P<name>[\w.\-]+)(?:\s+\[(?P<options>[\w ,]*)\])?(?:\s+for\s+(?P<names>[\w ,]+?)\s+in\s+(?P<values>.+))?$",
                  re.S)
OPTIONS = {"noflush", "nozxids", "noroot", "absolute", "unorderedacl", "unorderedevents"}
CONSTANTS = {
    "OPEN": wire.OPEN, "CREATOR": wire.CREATOR, "READ_ALL": wire.READ_ALL,
    "EPHEMERAL": 1, "SEQUENTIAL": 2, "EPHEMERAL_SEQUENTIAL": 3, "CONTAINER": 4, "TTL": 5, "TTL_SEQUENTIAL": 6,
    "CHILDREN": 1, "DATA": 2, "ANY": 3, "PERSISTENT": 4, "RECURSIVE": 5,
}
WRAPPERS = {"raw", "cut", "pad", "bytes"}
VERBS = {"connect", "open", "bytes", "frame", "reply", "closed", "silence", "drop", "pipeline", "send", "cuts", "text", "mark",
         "events", "handshake", "fourlw", "restart", "wait_missing", "fate"}


class ScriptError(Exception):
    """A case file is malformed; the text says where."""


@dataclasses.dataclass
class Call:
    """A request, or a wrapper around one, with evaluated arguments; a Call may be an argument of a Call."""
    name: str
    args: list
    named: dict


@dataclasses.dataclass
class Step:
    """One line of a case: who does what."""
    session: str
    call: Call
    source: str


@dataclasses.dataclass
class Case:
    """A script with its own root path."""
    name: str
    group: str
    options: set
    steps: list

    @property
    def root(self):
        return "/" + re.sub(r"[^A-Za-z0-9]+", "-", self.name)


def evaluate(node, names):
    """The value of a literal expression; calls become Call objects."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        if node.id not in names:
            raise ScriptError(f"unknown name {node.id}")
        return names[node.id]
    if isinstance(node, (ast.List, ast.Tuple)):
        return [evaluate(item, names) for item in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -evaluate(node.operand, names)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mult)):
        left, right = evaluate(node.left, names), evaluate(node.right, names)
        return left + right if isinstance(node.op, ast.Add) else left * right
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id not in wire.REQUESTS and node.func.id not in WRAPPERS:
            raise ScriptError(f"unknown request {node.func.id}")
        return evaluate_call(node.func.id, node, names)
    raise ScriptError(f"not allowed here: {ast.dump(node)[:60]}")


def evaluate_call(name, node, names):
    named = {item.arg: evaluate(item.value, names) for item in node.keywords}
    return Call(name, [evaluate(item, names) for item in node.args], named)


def parse_step(line, names):
    """One step from its line."""
    node = ast.parse(line, mode="eval").body
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not isinstance(node.func.value, ast.Name):
        raise ScriptError("a step is session.request(…)")
    verb = node.func.attr
    if verb not in VERBS and verb not in wire.REQUESTS and verb not in WRAPPERS:
        raise ScriptError(f"unknown verb {verb}")
    return Step(node.func.value.id, evaluate_call(verb, node, names), line)


def logical_lines(text):
    """(number, line) with continuation lines joined and comments and blank lines left out."""
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace() and lines:
            lines[-1] = (lines[-1][0], lines[-1][1] + " " + line.strip())
        else:
            lines.append((number, line.rstrip()))
    return lines


def parse_header(line, prefix):
    """(name, options, bindings) of a `==` line; bindings is a list with the names of each variant."""
    match = CASE.match(line)
    if not match:
        raise ScriptError("malformed case line")
    options = set((match["options"] or "").replace(",", " ").split())
    if options - OPTIONS:
        raise ScriptError(f"unknown options {options - OPTIONS}")
    if not match["names"]:
        return prefix + match["name"], options, [{}]
    names = [name.strip() for name in match["names"].split(",")]
    values = evaluate(ast.parse(match["values"], mode="eval").body, dict(CONSTANTS))
    if len(names) == 1:
        return prefix + match["name"], options, [{names[0]: value} for value in values]
    return prefix + match["name"], options, [dict(zip(names, value, strict=True)) for value in values]


def finish(header, lines, group):
    """The cases of one header: one for each binding."""
    name, options, bindings = header
    cases = []
    for index, binding in enumerate(bindings, 1):
        names = {**CONSTANTS, **binding}
        told = "".join(f"   [{key} = {value!r:.60}]" for key, value in binding.items())
        steps = []
        for line in lines:
            step = parse_step(line, names)
            step.source += told
            steps.append(step)
        cases.append(Case(name if len(bindings) == 1 else f"{name}/{index}", group, options, steps))
    return cases


def parse(text, where):
    """All cases of one file."""
    cases, group, header, lines = [], None, None, []
    for number, line in [*logical_lines(text), (0, "== end")]:
        try:
            if line.startswith("group "):
                group_next = line.split()[1]
            if line.startswith("== ") or line.startswith("group "):
                if header:
                    cases += finish(header, lines, group)
                header, lines = None, []
                if line.startswith("group "):
                    group = group_next
                elif number:
                    header = parse_header(line, f"{where.stem}.")
            else:
                lines.append(line)
        except (ScriptError, SyntaxError, ValueError) as error:
            raise ScriptError(f"{where.name} before or at line {number}: {error}: {line}") from error
    return cases


def load():
    """The cases of all files, in the order of file names; names are unique."""
    cases = [case for path in sorted(CASES.glob("*.case")) for case in parse(path.read_text("utf-8"), path)]
    seen = set()
    for case in cases:
        if case.root in seen:
            raise ScriptError(f"two cases with the name {case.name}")
        seen.add(case.root)
    return cases
