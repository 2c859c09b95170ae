#!/usr/bin/env python3
"""Fetches the genuine Java servers into compat-tests/.deps with Maven. Doing it twice costs nothing.

    deps.py [VERSION…]      all versions that the stages use, or the named ones
"""
import contextlib
import fcntl
import shutil
import subprocess
import sys

import stage

HERE = stage.TESTS / "lib"
SERVER_VERSIONS = ("3.9.6", "3.9.4", "3.8.7")
DEFAULT_VERSION = SERVER_VERSIONS[0]
# Releases whose published dependency list stands for their whole line: it does not change within one.
LINES = {"3.9": "3.9.5", "3.8": "3.8.6"}
MAVEN_SECONDS = 600


@contextlib.contextmanager
def locked(name):
    """Only one process at a time installs `name`: stages may be started side by side."""
    stage.DEPS.mkdir(parents=True, exist_ok=True)
    with open(stage.DEPS / f"{name}.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def maven(*arguments):
    command = ["mvn", "-B", "-q", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=MAVEN_SECONDS)
    if done.returncode != 0:
        errors = [line for line in done.stdout.splitlines() if "ERROR" in line][:3]
        raise stage.Missing(f"{' '.join(command)} failed: {' '.join(errors)}")


def java_server(version=DEFAULT_VERSION):
    """The folder with all jars of one server version, fetched when it is not there yet."""
    folder = stage.DEPS / f"zookeeper-{version}"
    stamp = folder / "complete"
    if not stamp.exists():
        stage.need("java", "mvn")
        with locked(folder.name):
            if not stamp.exists():
                fetch_server(version, folder)
                stamp.touch()
    return folder


def fetch_server(version, folder):
    line = LINES.get(version.rsplit(".", 1)[0], version)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    maven("-f", str(HERE / "server-pom.xml"), f"-Dline={line}", "dependency:copy-dependencies", f"-DoutputDirectory={folder}")
    for artifact in ("zookeeper", "zookeeper-jute"):
        jar = folder / f"{artifact}-{line}.jar"
        if line != version:
            jar.unlink()
            maven("dependency:copy", f"-Dartifact=org.apache.zookeeper:{artifact}:{version}", f"-DoutputDirectory={folder}")


# Flags of a JVM that starts quickly and stays small: what tests of behaviour want.
SMALL_JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def java_command(version, *arguments, jvm=SMALL_JVM, properties=(), log_level="INFO"):
    """The start of a `java` command line with the class path and logging of one server version."""
    command = ["java", *jvm]
    command += [f"-Dlogback.configurationFile={HERE / 'logback.xml'}", f"-Dcompat.log={log_level}"]
    command += [f"-D{item}" for item in properties]
    return command + ["-cp", f"{java_server(version)}/*", *arguments]


def main():
    try:
        for version in sys.argv[1:] or SERVER_VERSIONS:
            print(java_server(version))
    except stage.Missing as missing:
        print(f"deps: {missing}; the stages that need a Java server are skipped")
        sys.exit(1 if stage.in_ci() else stage.SKIPPED)


if __name__ == "__main__":
    main()
