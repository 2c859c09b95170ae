"""Attacks with watches."""
import struct
import time

import flood
import zkwire
from flood import frame
from registry import attack, pick
from servers import four_letter


def watch_many(server, count):
    """One session that watches so many missing znodes, in frames below a megabyte."""
    link = flood.open_session(server)
    link.settimeout(120)
    for start in range(0, count, 20_000):
        names = [zkwire.buffer(f"/missing/{index:07}") for index in range(start, min(count, start + 20_000))]
        body = struct.pack(">qi", 1 << 60, 0) + struct.pack(">i", len(names)) + b"".join(names) + struct.pack(">i", 0)
        flood.send(link, frame(start, 101, body))
        flood.reply_to(link, start)
    return link


def watch_count(server):
    lines = dict(line.split("\t", 1) for line in four_letter(server, "mntr", 120).splitlines() if "\t" in line)
    return int(lines["zk_watch_count"])


@attack(bound=160)
def a_million_watches(server):
    """A million watches from one client, which is then cut."""
    link = watch_many(server, 1_000_000)
    held = watch_count(server)
    began = time.monotonic()
    flood.reset(link)
    while watch_count(server) > 1000 and time.monotonic() - began < 60:
        time.sleep(0.05)
    return f"{held} held, forgotten {time.monotonic() - began:.1f} s after the end"


@attack(bound=1300, long_bound=1500)
def words_over_a_million_watches(server):
    """`wchp` and `wchc` from connections that read nothing, over a million watches."""
    link = watch_many(server, 1_000_000)
    links = [flood.connect(server, receive_bytes=2048) for _ in range(pick(6, 50))]
    for index, asker in enumerate(links):
        flood.send(asker, b"wchp" if index % 2 else b"wchc")
    flood.wait_until_steady(server)
    flood.close(links + [link])
    return f"asked {len(links)} times"


def storm(server, sessions, znodes, changes):
    """Sessions with standing watches on some znodes, one multi that changes each of them several times: sessions * znodes * changes
    events of one txn. Gives how many came, and how long the last took to come."""
    paths = [f"/storm{index}" for index in range(znodes)]
    with zkwire.Client(server.host, server.port) as client:
        client.multi([(1, zkwire.create_body(path)) for path in paths])
    links = flood.open_sessions(server, sessions)
    for link in links:
        flood.send(link, b"".join(frame(1, 106, zkwire.buffer(path) + struct.pack(">i", 0)) for path in paths))
    for link in links:
        flood.errors(link, znodes)
    began = time.monotonic()
    with zkwire.Client(server.host, server.port, seconds=120) as client:
        client.multi([(5, zkwire.set_data_body(path, b"y")) for path in paths * changes])
    told = sum(flood.count_events(link, znodes * changes) for link in links)
    took = time.monotonic() - began
    flood.close(links)
    return f"{told} of {sessions * znodes * changes} events came within {took:.1f} s"


@attack(bound=200)
def watch_storm_on_one_znode(server):
    """Sessions watch one znode; one multi changes it so often that 100,000 watchers are told."""
    return storm(server, sessions=pick(5000, 17_000), znodes=1, changes=pick(20, 6))


@attack(bound=200)
def watch_storm_on_many_znodes(server):
    """1,000 sessions watch 100 znodes each; one multi changes all: 100,000 watches fire in one txn."""
    return storm(server, sessions=1000, znodes=100, changes=pick(1, 10))
