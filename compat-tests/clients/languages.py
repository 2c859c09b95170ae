"""Installs and builds what each scenario needs, everything under compat-tests/.deps.

Each function takes the language's folder and returns (command line, environment); doing it twice costs nothing.
"""
import os
import pathlib
import shutil
import subprocess
import sys

import deps
import stage

HOME = stage.DEPS / "clients"
INSTALL_SECONDS = 300
DEBIAN_PACKAGES = ("libzookeeper-mt-dev", "libzookeeper-mt2")
HEADER = pathlib.Path("zookeeper") / "zookeeper.h"


def command(arguments, cwd=None, environment=None):
    """Runs one install or build command; what it said is in the error when it fails."""
    done = subprocess.run(arguments, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=INSTALL_SECONDS)
    if done.returncode != 0:
        raise stage.Missing(f"{' '.join(map(str, arguments))} failed: {' '.join(done.stdout.splitlines()[-6:])}")
    return done.stdout


def once(name, wanted, install):
    """Runs install(folder) in an empty folder unless it was done before for the same `wanted` text."""
    folder = HOME / name
    stamp = folder / "complete"
    with deps.locked(f"clients-{name}"):
        if not (stamp.exists() and stamp.read_text() == wanted):
            print(f"installing for {name}", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            install(folder)
            stamp.write_text(wanted)
    return folder


def python(source):
    requirements = source / "requirements.txt"

    def install(folder):
        command([sys.executable, "-m", "venv", folder / "venv"])
        command([folder / "venv" / "bin" / "pip", "--disable-pip-version-check", "-q", "install", "-r", requirements])

    folder = once("python", requirements.read_text(), install)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return [str(folder / "venv" / "bin" / "python"), str(source / "main.py")], environment


def debian_library(folder):
    """Downloads Debian's package of the C client and unpacks it below `folder`, without installing it."""
    stage.need("apt-get", "dpkg-deb")
    try:
        command(["apt-get", "download", *DEBIAN_PACKAGES], cwd=folder)
    except stage.Missing:
        # The package lists may be old or absent; only root can renew them.
        command(["apt-get", "update"])
        command(["apt-get", "download", *DEBIAN_PACKAGES], cwd=folder)
    for package in folder.glob("*.deb"):
        command(["dpkg-deb", "-x", package, folder])


def c(source):
    stage.need("cc")
    flags = []
    if not (pathlib.Path("/usr/include") / HEADER).exists():
        folder = once("c-library", " ".join(DEBIAN_PACKAGES), debian_library)
        library = next(folder.glob("usr/lib/*/libzookeeper_mt.so")).parent
        flags = [f"-I{folder / 'usr' / 'include'}", f"-L{library}", f"-Wl,-rpath,{library}"]
    build = HOME / "c-build"
    build.mkdir(parents=True, exist_ok=True)
    program = build / "scenario"
    command(["cc", "-std=c11", "-D_GNU_SOURCE", "-DTHREADED", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-o", program,
             *sorted(source.glob("*.c")), *flags, "-lzookeeper_mt", "-lpthread"])
    return [str(program)], dict(os.environ)


def go_environment():
    stage.need("go")
    build = HOME / "go"
    build.mkdir(parents=True, exist_ok=True)
    return {**os.environ, "GOPATH": str(build / "path"), "GOMODCACHE": str(build / "modules"), "GOCACHE": str(build / "cache"),
            "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false", "GOTOOLCHAIN": "local"}


def go(source, name="scenario"):
    environment, program = go_environment(), HOME / "go" / name
    with deps.locked("clients-go"):
        command(["go", "build", "-o", program, "."], cwd=source, environment=environment)
    return [str(program)], environment


def node(source):
    stage.need("node", "npm")
    lock = source / "package-lock.json"

    def install(folder):
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, folder)
        command(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder)

    folder = once("node", lock.read_text(), install)
    environment = {**os.environ, "NODE_PATH": str(folder / "node_modules")}
    return ["node", str(source / "main.js")], environment


ALL = {"python": python, "c": c, "go": go, "node": node}
