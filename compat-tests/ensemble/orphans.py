"""An ephemeral whose session nobody knows, as it stands in data directories that Java servers left behind."""
import shutil
import struct
import time
import zlib

import zkwire as zk
from members import Ensemble, sync, wait_for
from servers import Server

NOBODY = 0x77
RECORD_HEAD_BYTES = 12
FILE_HEAD_BYTES = 16


def text(value):
    return struct.pack(">i", len(value)) + value.encode()


def append_orphan(log):
    """Writes one more record behind the last of a log: the creation of /orphan, by a session that no txn created."""
    data, at, zxid = bytearray(log.read_bytes()), FILE_HEAD_BYTES, 0
    while at + RECORD_HEAD_BYTES <= len(data):
        length, = struct.unpack_from(">i", data, at + 8)
        if length == 0:
            break
        zxid, = struct.unpack_from(">q", data, at + RECORD_HEAD_BYTES + 12)
        at += RECORD_HEAD_BYTES + length + 1
    header = struct.pack(">qiqqi", NOBODY, 1, zxid + 1, int(time.time() * 1000), zk.CREATE)
    acl = struct.pack(">ii", 1, 31) + text("world") + text("anyone")
    txn = header + text("/orphan") + struct.pack(">i", -1) + acl + struct.pack(">bi", 1, 2)
    record = struct.pack(">qi", zlib.adler32(txn), len(txn)) + txn + b"B"
    data[at:at + len(record)] = record
    log.write_bytes(data)


def goes_everywhere(work, kinds):
    """Every member begins with it; soon no member shows it, whoever leads (ZOOKEEPER-5010: next to Java servers alone it stays)."""
    seed = Server("paddock", work / "orphan" / "seed").start()
    client = zk.Client(seed.host, seed.port)
    client.create("/kept")
    client.call(zk.CLOSE_SESSION)
    seed.stop()
    history = seed.data_dir / "version-2"
    append_orphan(max(history.glob("log.*")))
    ensemble = Ensemble(kinds, work / "orphan" / "members")
    for server in ensemble.servers.values():
        shutil.copytree(history, server.data_dir / "version-2")
    ensemble.start()

    def names(sid):
        reader = ensemble.client(sid)
        sync(reader)
        found = set(reader.children("/"))
        reader.abandon()
        return found

    for sid in ensemble.servers:
        wait_for(lambda sid=sid: "orphan" not in names(sid), f"the end of the orphan on server {sid}")
        if "kept" not in names(sid):
            raise AssertionError(f"server {sid} has lost more than that")
    # A Java leader removed it before its epoch began: the digests of its txns are those of trees without it.
    found = {sid: ensemble.numbers(sid)["zk_digest_mismatches_count"] for sid, kind in zip(ensemble.servers, kinds) if kind == "paddock"}
    if set(found.values()) != {"0"}:
        raise AssertionError(f"digest mismatches on Paddock servers: {found}")
    ensemble.stop()
