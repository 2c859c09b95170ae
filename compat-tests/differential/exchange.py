"""Starts both kinds of server on copies of one data directory: they must read the same tree from it, down to every zxid and digest."""
import shutil

import census
import compare
import player
import servers

START_SECONDS = 60
SOURCE = "the tree read from disk"


def disagreements(pair, work):
    """Stops the servers of a pair; one text for every way in which two servers differ on one of the directories."""
    pair.both(lambda server: server.stop())
    texts = []
    for origin in pair.servers:
        readers = [reader(kind, origin, work / f"{origin.kind}-read-by-{kind}-{index}") for index, kind in enumerate(pair.kinds)]
        left, right = [read(server) for server in readers]
        texts += judge(origin.kind, pair.kinds, left, right)
    shutil.rmtree(work, ignore_errors=True)
    return texts


def reader(kind, origin, folder):
    """A server that is about to start on a copy of the directory of `origin`."""
    settings = {key: value for key, value in origin.settings.items() if key not in ("dataDir", "clientPort")}
    server = servers.Server(kind, folder, settings=settings, properties=origin.properties)
    shutil.copytree(origin.data_dir, server.data_dir, ignore=shutil.ignore_patterns("paddock.lock"))
    return server


def read(server):
    """(tree, digests by zxid, number of mismatches) of a server that is started for it."""
    with server:
        control = player.Control((server.host, server.port), True)
        link = control.open()
        tree = census.census(link)
        control.end(link)
        lines = servers.four_letter(server, "hash").splitlines()
        digests = dict(line.split(": ", 1) for line in lines if ": " in line)
        mntr = dict(line.split("\t", 1) for line in servers.four_letter(server, "mntr").splitlines() if "\t" in line)
    return tree, digests, mntr["zk_digest_mismatches_count"]


def judge(origin, kinds, left, right):
    record = [[{"source": SOURCE, "frames": {"tree": tree}}] for tree, _, _ in (left, right)]
    found = compare.different(*record)
    if found:
        yield compare.describe(f"written by {origin}", found, kinds)
    common = left[1].keys() & right[1].keys()
    wrong = sorted(zxid for zxid in common if left[1][zxid] != right[1][zxid])
    if wrong or not common:
        yield f"written by {origin}: {len(common)} digests in common, other ones at zxids {wrong[:5]}"
    if origin == "paddock" and (left[2], right[2]) != ("0", "0"):
        yield f"written by paddock: digest mismatches {left[2]} and {right[2]}"
