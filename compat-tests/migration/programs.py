"""The processes of the clients that live through a migration, and what they report."""
import json
import os
import subprocess

import deps
import languages
import stage
from members import wait_for

HERE = stage.TESTS / "migration"
JAVA = stage.TESTS / "java"
SESSION_SECONDS = 15
PROGRESS_SECONDS = 30
END_SECONDS = 60
CURATOR_MAIN = "compat.moving.Main"


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, expected {wanted!r}")


def kazoo(hosts, count, _work):
    (python, _), environment = languages.python(stage.TESTS / "clients" / "python")
    return Program([python, str(HERE / "kazoo_clients.py"), hosts, str(count), str(SESSION_SECONDS)], environment)


def curator(hosts, count, work):
    jars, classes = curator_jars(), work / "classes"
    path = f"{jars}/*{os.pathsep}{deps.java_server()}/*"
    if not classes.exists():
        sources = sorted(map(str, (JAVA / "src" / "main" / "java").rglob("*.java")))
        languages.command(["javac", "-d", classes, "-cp", path, *sources])
    log = f"-Dlogback.configurationFile={deps.HERE / 'logback.xml'}"
    command = ["java", *deps.SMALL_JVM, log, "-Dcompat.log=WARN", "-cp", f"{classes}{os.pathsep}{path}", CURATOR_MAIN]
    with open(work / "curator.log", "ab") as errors:
        return Program([*command, hosts, str(count), str(SESSION_SECONDS * 1000)], os.environ, stderr=errors)


def curator_jars():
    """What the project in compat-tests/java runs with, but ZooKeeper's own jars."""
    pom = JAVA / "pom.xml"

    def install(folder):
        stage.need("java", "javac", "mvn")
        deps.maven("-f", str(pom), f"-Dserver.jars={deps.java_server()}", "dependency:copy-dependencies", "-DincludeScope=runtime",
                   "-DexcludeScope=system", f"-DoutputDirectory={folder}")

    return languages.once("curator", pom.read_text(), install)


class Program:
    """One process of clients; each line that it is told is answered by the reports of its clients."""

    def __init__(self, command, environment, stderr=None):
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True)

    def reports(self, word):
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the clients ended with {self.process.wait(10)}")
        return json.loads(line)


class Load:
    """All clients, of whatever library."""

    def __init__(self, programs):
        self.programs = programs

    def reports(self, word="report"):
        reports = [report for program in self.programs for report in program.reports(word)]
        for report in reports:
            expect(f"{report['name']}: sessions that were lost, and errors", (report["sessions_lost"], report["errors"]), (0, []))
        return reports

    def wait_progress(self):
        """Every client is connected and has a write acknowledged that it had not begun before."""
        before = {report["name"]: report["set"] for report in self.reports()}

        def all_went_on():
            return all(report["connected"] and report["set"] > before[report["name"]] + 1 for report in self.reports())

        wait_for(all_went_on, "a further write of every client", PROGRESS_SECONDS)

    def end(self):
        for program in self.programs:
            program.process.stdin.close()
            expect("the end of the clients", program.process.wait(END_SECONDS), 0)

    def kill(self):
        for program in self.programs:
            if program.process.poll() is None:
                program.process.kill()
