"""Attacks with replies: clients that ask for much and read nothing, and requests whose answers take long."""
import struct
import time

import flood
import zkwire
from flood import frame
from registry import attack, pick, tally

MEGABYTE = b"m" * 1_000_000


def get_data(path):
    return zkwire.buffer(path) + b"\0"


def create_big(server):
    with zkwire.Client(server.host, server.port) as client:
        client.create("/big", MEGABYTE)


def never_read(server, count, payload):
    """So many sessions send the payload and read nothing."""
    links = flood.open_sessions(server, count, receive_bytes=4096)
    flood.push(links, payload, 30)
    flood.wait_until_steady(server)
    still = flood.count_open(links)
    flood.close(links)
    return f"{still} of {count} open"


@attack(bound=420, long_bound=800)
def slow_readers(server):
    """Sessions that ask for 2,000 times a megabyte and read nothing."""
    create_big(server)
    return never_read(server, pick(60, 400), b"".join(frame(xid, zkwire.GET_DATA, get_data("/big")) for xid in range(2000)))


@attack(bound=300, long_bound=500)
def slow_readers_behind_a_write(server):
    """Sessions that ask for 900 times a megabyte right behind a write, and read nothing."""
    create_big(server)
    write = frame(1, zkwire.SET_DATA, zkwire.set_data_body("/bystander", b"y"))
    reads = (frame(xid, zkwire.GET_DATA, get_data("/big")) for xid in range(2, 902))
    return never_read(server, pick(100, 400), write + b"".join(reads))


@attack(bound=800)
def slow_listeners(server):
    """Sessions that watch everything and read nothing, while znodes with paths of 200 KB are created."""
    count, creates = pick(50, 200), pick(200, 400)
    links = flood.open_sessions(server, count, receive_bytes=4096)
    for link in links:
        flood.send(link, frame(1, 106, zkwire.buffer("/") + struct.pack(">i", 1)))
    for link in links:
        flood.reply_to(link, 1)
    with zkwire.Client(server.host, server.port, seconds=120) as client:
        for index in range(creates):
            client.create(f"/{index:04}{'x' * 200_000}")
    still = flood.count_open(links)
    flood.close(links)
    return f"{still} of {count} open"


def fill(server, count, parent="/many"):
    """A znode with so many children."""
    with zkwire.Client(server.host, server.port, seconds=120) as client:
        client.create(parent)
        for start in range(0, count, 5000):
            names = range(start, min(count, start + 5000))
            client.multi([(1, zkwire.create_body(f"{parent}/n{index:07}")) for index in names])


@attack(bound=800)
def giant_child_lists(server):
    """Sessions that ask ten times for the 200,000 children of a znode and read nothing."""
    fill(server, pick(200_000, 300_000))
    return never_read(server, pick(150, 300), b"".join(frame(xid, zkwire.GET_CHILDREN, get_data("/many")) for xid in range(10)))


@attack(bound=500)
def multi_reads(server):
    """Sessions with a multiRead of 10,000 times a megabyte."""
    create_big(server)
    links = flood.open_sessions(server, pick(10, 50))
    body = zkwire.multi_body([(zkwire.GET_DATA, get_data("/big"))] * 10_000)
    for link in links:
        flood.send(link, frame(1, 22, body))
    outcomes = [flood.outcome(link, 90) for link in links]
    flood.close(links)
    return tally(outcomes)


@attack(bound=120)
def counting_descendants(server):
    """Sessions that ask 3,000 times each how many znodes are below one with 200,000."""
    fill(server, 200_000)
    links = flood.open_sessions(server, pick(8, 100))
    requests = b"".join(frame(xid, 104, zkwire.buffer("/many")) for xid in range(3000))
    taken, ended = flood.push(links, requests, 3)
    time.sleep(pick(1, 5))
    flood.close(links)
    return f"{taken >> 10} KiB of requests taken, {ended} closed"
