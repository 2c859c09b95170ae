"""Attacks with sessions and their ephemerals."""
import time

import flood
import zkwire
from flood import frame
from registry import attack, pick

EXPIRY = {"tickTime": "500", "maxSessionTimeout": "4000"}


def creating(prefix, names):
    ops = [(1, zkwire.create_body(f"{prefix}{index:06}", flags=zkwire.EPHEMERAL)) for index in names]
    return frame(1, zkwire.MULTI, zkwire.multi_body(ops))


def create_ephemerals(link, prefix, count):
    """As many as the server allows, in multis of 1,000; how many."""
    created = 0
    for start in range(0, count, 1000):
        names = range(start, min(count, start + 1000))
        flood.send(link, creating(prefix, names))
        _, error, body = flood.reply_to(link, 1)
        if error != 0 or body[:4] == b"\xff\xff\xff\xff":
            break
        created += len(names)
    return created


@attack(bound=300)
def a_session_with_very_many_ephemerals(server):
    """One session creates up to 200,000 ephemerals and closes."""
    with zkwire.Client(server.host, server.port) as client:
        client.create("/e")
    link = flood.open_session(server)
    link.settimeout(120)
    created = create_ephemerals(link, "/e/", 200_000)
    began = time.monotonic()
    flood.send(link, frame(7, zkwire.CLOSE_SESSION))
    flood.reply_to(link, 7)
    return f"{created} of 200000 created, closed in {time.monotonic() - began:.1f} s"


@attack(bound=160)
def big_ephemerals(server):
    """One session creates ephemerals with paths of 100 KB as long as it may, and closes."""
    link = flood.open_session(server)
    link.settimeout(120)
    created = 0
    for index in range(100):
        flood.send(link, frame(1, zkwire.CREATE, zkwire.create_body(f"/{index:02}{'x' * 100_000}", flags=zkwire.EPHEMERAL)))
        created += flood.reply_to(link, 1)[1] == 0
    flood.send(link, frame(7, zkwire.CLOSE_SESSION))
    flood.reply_to(link, 7)
    return f"{created} of 100 created"


@attack(bound=200, settings=EXPIRY)
def expiries(server):
    """500 sessions with 100 ephemerals each, all cut and expiring together."""
    with zkwire.Client(server.host, server.port) as client:
        client.create("/e")
    links = flood.open_sessions(server, 500)
    for number, link in enumerate(links):
        flood.send(link, creating(f"/e/{number:03}-", range(100)))
    for link in links:
        flood.reply_to(link, 1)
    began = time.monotonic()
    flood.close(links)
    with zkwire.Client(server.host, server.port, seconds=120) as client:
        while (left := len(client.children("/e"))) and time.monotonic() - began < 30:
            time.sleep(0.2)
    return f"{left} of 50000 ephemerals left {time.monotonic() - began:.0f} s later"
