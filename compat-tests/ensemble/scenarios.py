"""Each of kazoo's recipes, and stories of our own, on three servers whose leader is killed in the middle (`recipes.py` has the promises)."""
import ast
import pathlib
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "clients"))

import languages  # noqa: E402  (the path is set up above)

RECIPES = HERE / "recipes.py"
SCENARIO_SECONDS = 120


def names():
    """The scenarios, without kazoo being there."""
    tree = ast.parse(RECIPES.read_text())
    listed = next(node for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "SCENARIOS")
    docs = {node.name: ast.get_docstring(node) for node in tree.body if isinstance(node, ast.FunctionDef)}
    return [(name.id, docs[name.id].splitlines()[0].rstrip(".")) for name in listed.value.elts]


def kill_the_leader(ensemble):
    """Kills it; ends when another leads and it is back."""
    victim = ensemble.leader()
    ensemble.servers[victim].kill()
    ensemble.leader()
    ensemble.servers[victim].launch()


def play(ensemble, name):
    """Runs one scenario to its end."""
    (python, _), environment = languages.python(HERE.parent / "clients" / "python")
    ensemble.wait_all_serving()
    addresses = ",".join(server.address for server in ensemble.servers.values())
    client = subprocess.Popen([python, str(RECIPES), name, addresses], env=environment, text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    limit = threading.Timer(SCENARIO_SECONDS, client.kill)
    limit.start()
    words = []
    try:
        for line in client.stdout:
            words.append(line.strip())
            if words[-1] == "middle":
                kill_the_leader(ensemble)
            if words[-1] == "end":
                ensemble.wait_all_serving()
            client.stdin.write(line)
            client.stdin.flush()
        error = client.stderr.read()
        code = client.wait()
    finally:
        limit.cancel()
        client.kill()
    if code != 0 or words != ["middle", "end"]:
        raise AssertionError(f"{name} ended with {code} behind {words}\n{error[-3000:]}")
