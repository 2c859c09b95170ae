"""A server without a quorum, and clients that put up with it."""
import pathlib
import subprocess
import sys

import zkwire as zk
from members import Ensemble, wait_for
from servers import four_letter

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "clients"))

import languages  # noqa: E402  (the path is set up above)

LONELY_SECONDS = 20
KAZOO_SECONDS = 60


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, expected {wanted!r}")


def refuses(server, client_is_patient, session=(0, bytes(16))):
    """Whether a server closes the connection of a client that wants a session."""
    try:
        zk.Client(server.host, server.port, 4000, session, 5, read_only=client_is_patient).abandon()
        return False
    except (OSError, zk.Closed):
        return True


def reads_without_a_quorum(work, kinds):
    """The last server of three answers reads, says what it is, and stops as soon as there is a leader."""
    settings = {"readonlymode.enabled": "true", "4lw.commands.whitelist": "*"}
    ensemble = Ensemble(kinds, work / "read-only", settings=settings)
    try:
        ensemble.start()
        check(ensemble)
    finally:
        ensemble.stop()


def check(ensemble):
    lonely = ensemble.servers[1]
    with ensemble.client(1) as writer:
        writer.create("/read-only", b"old")
    living = ensemble.client(1, timeout_ms=8000)
    for sid in (2, 3):
        ensemble.servers[sid].kill()
    wait_for(lambda: "Mode: read-only" in four_letter(lonely, "srvr"), "the read-only mode", LONELY_SECONDS)
    expect("isro", four_letter(lonely, "isro"), "ro")
    expect("the line of srvr", "READ-ONLY mode; serving only read-only clients" in four_letter(lonely, "srvr"), True)
    expect("a client that wants the truth is refused", refuses(lonely, False), True)
    expect("a session of the ensemble is refused", refuses(lonely, True, living.session), True)
    reader = zk.Client(lonely.host, lonely.port, 4000, read_only=True)
    expect("what the answer says", reader.is_read_only, True)
    expect("the data", reader.get_data("/read-only")[0], b"old")
    for code, body in ((zk.SET_DATA, zk.set_data_body("/read-only", b"new", -1)), (zk.SYNC, zk.buffer("/"))):
        try:
            reader.call(code, body)
            raise AssertionError(f"request {code} went through")
        except zk.Refused as refused:
            expect("the error", refused.code, NOT_READ_ONLY)
    kazoo_waits(ensemble, lonely)
    try:
        reader.get_data("/read-only")
        raise AssertionError("a session of a server without a leader lives on")
    except (OSError, zk.Closed):
        pass
    reader.abandon()
    ensemble.wait_all_serving()
    expect("isro", four_letter(lonely, "isro"), "rw")
    back = ensemble.client(1, timeout_ms=8000, session=living.session)
    expect("the data", back.get_data("/read-only")[0], b"by kazoo")
    back.abandon()


NOT_READ_ONLY = -119


def kazoo_waits(ensemble, lonely):
    """kazoo reads from the server without a quorum, may not write, and writes when the others are back."""
    (python, _), _ = languages.python(HERE.parent / "clients" / "python")
    client = subprocess.Popen([python, str(HERE / "kazoo_read_only.py"), lonely.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        expect("kazoo", client.stdout.readline().strip(), "read-only b'old' NotReadOnlyCallError")
        for sid in (2, 3):
            ensemble.servers[sid].launch()
        out, _ = client.communicate(timeout=KAZOO_SECONDS)
        expect("kazoo", out.strip(), "written")
    finally:
        client.kill()
