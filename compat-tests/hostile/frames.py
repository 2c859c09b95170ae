"""Attacks with bytes that make no request: lengths, frames and handshakes that are huge, negative, or never end."""
import socket
import struct
import time

import flood
import zkwire
from flood import frame
from registry import attack, pick, tally

HUGE, NEGATIVE, MOST_NEGATIVE = b"\x7f\xff\xff\xff", b"\xff\xff\xff\xfe", b"\x80\x00\x00\x00"


@attack(bound=60)
def frame_lengths(server):
    """Frames of huge and negative length, before and in a session."""
    outcomes = []
    for length in (HUGE, NEGATIVE, MOST_NEGATIVE, b"\x00\xff\xff\xff", b"\xff\xff\xff\xff"):
        for link in (flood.connect(server), flood.open_session(server)):
            link.sendall(length + b"abcd")
            outcomes.append(flood.outcome(link))
            link.close()
    return tally(outcomes)


@attack(bound=60)
def field_lengths(server):
    """Huge and negative lengths and counts in every field of every request."""
    ops = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15, 17, 18, 19, 21, 22, 100, 101, 103, 104, 105, 106]
    outcomes = []
    for length in (HUGE, NEGATIVE, MOST_NEGATIVE):
        for op in ops:
            for before in (b"", zkwire.buffer("/a"), zkwire.buffer("/a") * 2, struct.pack(">q", 1), struct.pack(">i?i", 1, False, -1)):
                link = flood.open_session(server)
                link.sendall(frame(1, op, before + length + bytes(12)))
                outcomes.append(flood.outcome(link, 2).split()[0])
                link.close()
    return tally(outcomes)


@attack(bound=80, settings={"nio.sessionlessCnxnTimeout": "2000"})
def half_open_handshakes(server):
    """As many connections that say nothing as connections that stop in their handshake, against `nio.sessionlessCnxnTimeout=2000`."""
    count = pick(3000, 9000)
    links = [flood.connect(server) for _ in range(2 * count)]
    for link in links[count:]:
        flood.send(link, flood.HANDSHAKE[:20])
    at_once = flood.count_open(links)
    began = time.monotonic()
    while (still := flood.count_open(links)) and time.monotonic() - began < 8:
        time.sleep(0.2)
    flood.close(links)
    return f"{at_once} of {2 * count} kept, {still} open {time.monotonic() - began:.0f} s later"


@attack(bound=60)
def huge_handshakes(server):
    """1,000 connections that announce a handshake of a megabyte and send almost all of it."""
    links = [flood.connect(server) for _ in range(1000)]
    taken, ended = flood.push(links, struct.pack(">i", 1_040_000) + bytes(900_000), 20)
    flood.close(links)
    return f"{taken >> 20} MiB taken, {ended} closed"


@attack(bound=420)
def half_frames(server):
    """Sessions that each send almost all of a frame of a megabyte, and stop."""
    count = pick(600, 3000)
    links = flood.open_sessions(server, count)
    taken, _ = flood.push(links, struct.pack(">i", 1_040_000) + bytes(1_000_000), 20)
    time.sleep(0.5)
    still = flood.count_open(links)
    flood.close(links)
    return f"{taken >> 20} MiB taken, {count - still} of {count} closed"


@attack(bound=60)
def byte_by_byte(server):
    """100 handshakes and 100 requests sent one byte at a time, all together."""
    links = [flood.connect(server) for _ in range(100)]
    sessions = flood.open_sessions(server, 100)
    request = frame(7, zkwire.EXISTS, zkwire.buffer("/bystander") + b"\0")
    for index in range(max(len(flood.HANDSHAKE), len(request))):
        for link in links:
            link.sendall(flood.HANDSHAKE[index:index + 1])
        for link in sessions:
            link.sendall(request[index:index + 1])
    served = sum(len(flood.take(link, 41)) == 41 for link in links) + sum(flood.reply(link)[0] == 7 for link in sessions)
    flood.close(links + sessions)
    return f"{served} of 200 served"


@attack(bound=80)
def connections(server):
    """Connections that open a session and are cut at once, by the thousand."""
    rounds, served = pick(80, 500), 0
    for _ in range(rounds):
        links = [flood.connect(server) for _ in range(100)]
        for link in links:
            flood.send(link, flood.HANDSHAKE)
        for link in links:
            served += flood.is_answered(link, 41)
            flood.reset(link)
    return f"{served} of {rounds * 100} sessions opened"
