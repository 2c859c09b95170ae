"""An ensemble whose members change under load: servers join, are promoted, leave, and move; the leader goes."""
import base64
import hashlib
import pathlib
import re
import struct
import subprocess
import sys
import time

import servers
import zkwire as zk
from load import Creator, Writer
from members import Ensemble, sync, wait_for
from servers import HOST, four_letter

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "clients"))

import languages  # noqa: E402  (the path is set up above)

RECONFIG = 16
ANY_VERSION = -1
CONFIG = "/zookeeper/config"
NEW_CONFIG_NO_QUORUM, BAD_VERSION, BAD_ARGUMENTS, MARSHALLING_ERROR, DISABLED = -13, -103, -8, -5, -123
SECONDS = 30


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, expected {wanted!r}")


class Changing(Ensemble):
    """Three servers and one or more that are started later; all know how to be reconfigured, and keep the files that they write."""

    def __init__(self, kinds, folder, settings=None):
        common = {"reconfigEnabled": "true", "skipACL": "yes", "standaloneEnabled": "false", **(settings or {})}
        self.clients = {}
        super().__init__(kinds, folder, settings=common)
        for sid, server in self.servers.items():
            self.clients[sid] = server.port
        for sid, server in self.servers.items():
            server.settings.update(self.lines(sid))
            server.keeps_config = True

    def line(self, sid, role="participant"):
        """One server's line."""
        quorum, election = self.ports[sid]
        return f"{HOST}:{quorum}:{election}:{role};{HOST}:{self.clients.get(sid, 0)}"

    def lines(self, sid):
        """The first three, and itself: what an operator writes for a server that is to join."""
        roles = {other: "participant" for other in range(1, 4)}
        roles.setdefault(sid, "observer")
        return {f"server.{other}": self.line(other, role) for other, role in roles.items()}

    def reconfig(self, sid, joining=None, leaving=None, members=None, version=ANY_VERSION, seconds=SECONDS):
        """The text of the configuration afterwards. The server may hang up behind the answer: its role may be another one then."""
        client = self.client(sid, seconds=seconds)
        try:
            return reconfig(client, joining, leaving, members, version)
        finally:
            client.abandon()

    def configuration(self, sid):
        """What a server shows, when it has seen all."""
        with self.client(sid) as client:
            sync(client)
            return client.get_data(CONFIG)[0].decode()

    def agree(self, sids, text):
        """Waits until each of these servers shows this configuration."""
        for sid in sids:
            try:
                wait_for(lambda: quietly(lambda: self.configuration(sid)) == text, f"the configuration on server {sid}", SECONDS)
            except AssertionError as error:
                raise AssertionError(f"{error}: it shows {quietly(lambda: self.configuration(sid))!r} and not {text!r}") from None

    def wait_counts(self, wanted, what):
        """Waits until the leader has so many followers, of them without a vote, observers, and voters."""
        try:
            wait_for(lambda: quietly(lambda: self.counts(self.leader())) == wanted, what, SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}: the leader is {self.leader()}, it has {self.counts(self.leader())}") from None

    def counts(self, sid):
        numbers = self.numbers(sid)
        names = ("zk_synced_followers", "zk_synced_non_voting_followers", "zk_synced_observers", "zk_quorum_size")
        return tuple(int(float(numbers[name])) for name in names)


def quietly(question):
    """The answer, or nothing while there is none."""
    try:
        return question()
    except (OSError, zk.Closed, zk.Refused):
        return None


def reconfig(client, joining=None, leaving=None, members=None, version=ANY_VERSION):
    body = zk.buffer(joining) + zk.buffer(leaving) + zk.buffer(members) + struct.pack(">q", version)
    reply = client.call(RECONFIG, body, "reconfig").body
    text, stat = reply.buffer().decode(), reply.stat()
    expect("the version of the znode", stat.version, -1)
    expect("the version of the configuration", int(re.search("version=([0-9a-f]+)$", text)[1], 16), stat.mzxid)
    return text


def refused(ensemble, sid, code, **arguments):
    try:
        ensemble.reconfig(sid, **arguments)
    except zk.Refused as error:
        return expect(f"the error for {arguments}", error.code, code)
    raise AssertionError(f"{arguments} went through")


class Load:
    """Clients that write all the time; afterwards everything acknowledged is there."""

    def __init__(self, ensemble, sids):
        self.ensemble = ensemble
        with ensemble.client(sids[0]) as client:
            for path in ("/load", "/made"):
                client.create(path)
            for sid in sids:
                client.create(f"/load/{sid}", b"0")
                client.create(f"/made/{sid}")
        self.writers = [kind(ensemble, f"{path}/{sid}", sid) for sid in sids for kind, path in ((Writer, "/load"), (Creator, "/made"))]

    def __enter__(self):
        for writer in self.writers:
            writer.start()
        return self

    def __exit__(self, *_):
        for writer in self.writers:
            writer.finish()

    def progress(self):
        """Waits until each writer got an answer to something that it began after this call."""
        marks = [self.count(writer) for writer in self.writers]
        wait_for(lambda: all(self.count(w) > mark + 8 for w, mark in zip(self.writers, marks)), "writes of every client", SECONDS)

    @staticmethod
    def count(writer):
        return len(writer.acknowledged) if isinstance(writer, Creator) else writer.acknowledged

    def check(self, sids):
        for sid in sids:
            with self.ensemble.client(sid) as reader:
                sync(reader)
                for writer in self.writers:
                    if isinstance(writer, Creator):
                        expect(f"missing on server {sid}", set(writer.acknowledged) - set(reader.children(writer.parent)), set())
                    else:
                        value = int(reader.get_data(writer.path)[0])
                        if not writer.acknowledged <= value <= writer.sent:
                            raise AssertionError(f"server {sid}: {writer.path} is {value}, acknowledged {writer.acknowledged}")
        silence = max(writer.longest_silence for writer in self.writers if isinstance(writer, Writer))
        print(f"       {sum(map(self.count, self.writers))} acknowledged writes, longest silence of a client {silence:.2f} s")


def members_change(work, kinds):
    """A fourth server observes, votes, and leads in the end; others leave, move and come back; then all are killed and go on."""
    ensemble = Changing([*kinds, kinds[0]], work / "reconfig")
    try:
        for sid in (1, 2, 3):
            ensemble.servers[sid].launch()
        for sid in (1, 2, 3):
            ensemble.servers[sid].wait_serving()
        load = Load(ensemble, [1, 2, 3])
        with load:
            errors(ensemble)
            a_server_joins(ensemble, load)
            a_follower_leaves(ensemble, load)
            the_leader_leaves(ensemble, load)
            a_client_port_moves(ensemble, load)
            everybody_is_back(ensemble, load)
        load.check([1, 2, 3, 4])
        all_are_killed(ensemble)
        load.check([1, 2, 3, 4])
    finally:
        ensemble.stop()


def errors(ensemble):
    leader, follower = ensemble.leader(), ensemble.followers()[0]
    free = ensemble.line(4)
    for sid in (leader, follower):
        refused(ensemble, sid, BAD_VERSION, joining=f"server.4={free}", version=5)
        refused(ensemble, sid, BAD_ARGUMENTS, joining="server.4")
        refused(ensemble, sid, BAD_ARGUMENTS, joining=f"server.4={free.partition(';')[0]}")
        refused(ensemble, sid, MARSHALLING_ERROR, leaving="one")
        refused(ensemble, sid, BAD_ARGUMENTS, leaving="1,2,3")
        # Two of three new voters are not there.
        refused(ensemble, sid, NEW_CONFIG_NO_QUORUM, leaving="2,3", joining=f"server.4={free},server.5={free}")


def a_server_joins(ensemble, load):
    """As an observer first, then with a vote."""
    newcomer = ensemble.servers[4]
    newcomer.launch()
    newcomer.wait_serving()
    for role, counts in (("observer", (2, 0, 1, 3)), ("participant", (3, 0, 0, 4))):
        text = ensemble.reconfig(ensemble.leader(), joining=f"server.4={ensemble.line(4, role)}")
        expect("the line", f"server.4={ensemble.line(4, role)}" in text.splitlines(), True)
        ensemble.agree([1, 2, 3, 4], text)
        ensemble.wait_counts(counts, f"followers and observers {counts}")
        load.progress()


def a_follower_leaves(ensemble, load):
    """It goes on as a server without a vote."""
    gone = next(sid for sid in ensemble.followers() if sid != 4)
    text = ensemble.reconfig(ensemble.leader(), leaving=str(gone))
    ensemble.agree([1, 2, 3, 4], text)
    ensemble.wait_counts((3, 1, 0, 3), "a follower without a vote")
    load.progress()
    text = ensemble.reconfig(ensemble.leader(), joining=f"server.{gone}={ensemble.line(gone)}")
    ensemble.agree([1, 2, 3, 4], text)
    ensemble.wait_counts((3, 0, 0, 4), "three followers")


def the_leader_leaves(ensemble, load):
    """Another one takes over at once; then the old one is stopped for good."""
    leader = ensemble.leader()
    others = [sid for sid in ensemble.servers if sid != leader]
    began = time.monotonic()
    text = ensemble.reconfig(others[0], leaving=str(leader))
    wait_for(lambda: ensemble.leader() != leader, "another leader", SECONDS)
    ensemble.agree(others, text)
    load.progress()
    print(f"       the leader left: all write again after {time.monotonic() - began:.2f} s")
    ensemble.servers[leader].stop()
    load.progress()
    # Its files do not name it any more: it does not start with them, as a Java server would not. It joins as a new one.
    ensemble.servers[leader].config_path.unlink()
    ensemble.servers[leader].start()
    text = ensemble.reconfig(others[0], joining=f"server.{leader}={ensemble.line(leader, 'observer')}")
    ensemble.agree([1, 2, 3, 4], text)


def a_client_port_moves(ensemble, load):
    """A connection that stands stays; new ones find the new port."""
    moving = ensemble.followers()[0]
    server = ensemble.servers[moving]
    standing, before = ensemble.client(moving), server.port
    after = servers.free_port()
    ensemble.clients[moving] = after
    role = "observer" if ensemble.modes()[moving] == "observer" else "participant"
    text = ensemble.reconfig(ensemble.leader(), joining=f"server.{moving}={ensemble.line(moving, role)}")
    server.port, server.settings["clientPort"] = after, str(after)
    wait_for(lambda: server.serves(1), "the new client port", SECONDS)
    ensemble.agree([1, 2, 3, 4], text)
    wait_for(lambda: not reaches(before), "the end of the old client port", SECONDS)
    standing.get_data(CONFIG)
    standing.abandon()
    expect("the port in conf", f"clientPort={after}" in four_letter(server, "conf").splitlines(), True)
    load.progress()


def reaches(port):
    try:
        four_letter((HOST, port), "ruok", 1)
        return True
    except OSError:
        return False


def everybody_is_back(ensemble, load):
    """The whole list at once: four voters."""
    members = "\n".join(f"server.{sid}={ensemble.line(sid)}" for sid in ensemble.servers)
    text = ensemble.reconfig(4, members=members)
    expect("the text", text.rpartition("\n")[0], members)
    ensemble.agree([1, 2, 3, 4], text)
    ensemble.wait_counts((3, 0, 0, 4), "three followers")
    load.progress()


def all_are_killed(ensemble):
    """The files say what the ensemble was."""
    text = ensemble.configuration(1)
    version = text.rpartition("version=")[2]
    for server in ensemble.servers.values():
        server.kill()
    for sid, server in ensemble.servers.items():
        static = server.config_path.read_text()
        dynamic = server.config_path.with_name(f"zoo.cfg.dynamic.{version}")
        expect(f"the static file of server {sid}", f"dynamicConfigFile={dynamic}" in static.splitlines(), True)
        expect(f"members in the static file of server {sid}", "server." in static, False)
        lines = [line for line in text.splitlines() if not line.startswith("version=")]
        expect(f"the dynamic file of server {sid}", dynamic.read_text().split(), sorted(lines))
        server.launch()
    for server in ensemble.servers.values():
        server.wait_serving()
    ensemble.agree(list(ensemble.servers), text)


def only_the_super_user_may(work, kinds):
    """Without `reconfigEnabled` nobody may; with it the super user, who is a client of kazoo here, and nobody else."""
    closed = Changing(kinds, work / "reconfig-off", {"reconfigEnabled": "false"})
    try:
        closed.start()
        refused(closed, closed.followers()[0], DISABLED, joining=f"server.1={closed.line(1)}")
    finally:
        closed.stop()
    digest = "super:" + base64.b64encode(hashlib.sha1(b"super:secret").digest()).decode()
    ensemble = Changing(kinds, work / "reconfig-super", {"skipACL": "no", "DigestAuthenticationProvider.superDigest": digest})
    try:
        ensemble.start()
        (python, _), _ = languages.python(HERE.parent / "clients" / "python")
        leader, gone = ensemble.leader(), ensemble.followers()[0]
        command = [str(python), str(HERE / "kazoo_reconfig.py"), ensemble.servers[leader].address, str(gone), ensemble.line(gone)]
        seen = subprocess.run(command, capture_output=True, text=True, timeout=4 * SECONDS, check=False)
        expect(f"kazoo ({seen.stderr})", seen.stdout.splitlines(), ["NoAuth", "False", "BadVersion", "True -1", "told"])
    finally:
        ensemble.stop()
