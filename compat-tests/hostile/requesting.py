"""Attacks with many requests, wide ones, words, and those that authenticate."""
import struct

import flood
import zkwire
from flood import frame
from readers import MEGABYTE
from registry import attack, pick, tally


@attack(bound=60, long_bound=120)
def pings(server):
    """Sessions that send pings as fast as they are taken, and read nothing."""
    links = flood.open_sessions(server, pick(50, 500))
    taken, ended = flood.push(links, frame(-2, zkwire.PING) * 2_000_000, pick(2, 30))
    flood.wait_until_steady(server)
    flood.close(links)
    return f"{taken // 12} pings taken, {ended} closed"


def auth(scheme, credentials):
    return frame(-4, zkwire.AUTH, struct.pack(">i", 0) + zkwire.buffer(scheme) + zkwire.buffer(credentials))


@attack(bound=300)
def auth_attempts(server):
    """A wrong scheme, 400 identities on one connection, and identities of a megabyte on 200."""
    link = flood.open_session(server)
    flood.send(link, auth("nosuch", b"x"))
    refused = flood.outcome(link).replace("answered -115", "refused")
    link = flood.open_session(server)
    for index in range(400):
        flood.send(link, auth("digest", f"u{index}:p".encode()))
    answers = flood.errors(link, 400)
    links = flood.open_sessions(server, 200)
    taken, _ = flood.push(links, auth("digest", MEGABYTE) * 5, 20)
    flood.wait_until_steady(server)
    flood.close(links)
    return f"{refused}, {answers.count(0)} of 400 identities taken, {taken >> 20} MiB of long ones taken"


@attack(bound=120)
def auth_floods(server):
    """Sessions with many identities that authenticate again and again as fast as it is taken, and read nothing."""
    links = flood.open_sessions(server, pick(50, 500))
    payload = b"".join(auth("digest", f"u{index}:p".encode()) for index in range(60))
    taken, ended = flood.push(links, payload * 7_000, pick(2, 30))
    flood.wait_until_steady(server, pick(2, 10))
    flood.close(links)
    return f"{taken // (len(payload) // 60)} attempts taken, {ended} closed"


@attack(bound=120)
def words(server):
    """1,000 connections with a four-letter word at a time, four times, and 500 askers of `mntr` and `cons` that read nothing."""
    answered = 0
    for word in (b"ruok", b"srvr", b"mntr", b"cons"):
        links = [flood.connect(server) for _ in range(1000)]
        for link in links:
            flood.send(link, word)
        answered += sum(flood.is_answered(link, 1) for link in links)
        flood.close(links)
    links = [flood.connect(server, receive_bytes=2048) for _ in range(500)]
    for index, link in enumerate(links):
        flood.send(link, b"mntr" if index % 2 else b"cons")
    flood.wait_until_steady(server)
    flood.close(links)
    return f"{answered} of 4000 answered"


CHECK = (13, zkwire.buffer("/") + struct.pack(">i", -1))


@attack(bound=120)
def wide_and_deep_multi(server):
    """A multi of 15,000 creates, one of 30,000 checks that fails last, one inside another, one without an end, a path of depth 400."""
    wide = zkwire.multi_body([(1, zkwire.create_body(f"/w{index}", acl=zkwire.OPEN)) for index in range(15_000)])
    failing = zkwire.multi_body([CHECK] * 30_000 + [(13, zkwire.buffer("/") + struct.pack(">i", 77))])
    nested = zkwire.multi_body([(14, zkwire.multi_body([CHECK]))])
    endless = zkwire.multi_body([CHECK] * 1000)[:-9]
    paths = ["".join(f"/{index % 10}" for index in range(depth)) for depth in range(1, 401)]
    deep = zkwire.multi_body([(1, zkwire.create_body(path)) for path in paths])
    outcomes = []
    for body in (wide, failing, nested, endless, deep):
        link = flood.open_session(server)
        flood.send(link, frame(1, zkwire.MULTI, body))
        outcomes.append(flood.outcome(link, 60))
        link.close()
    return ", ".join(outcomes)


@attack(bound=700)
def wide_multis(server):
    """Sessions that each send five multis of 20,000 setData of one znode at a time."""
    with zkwire.Client(server.host, server.port) as client:
        client.create("/w")
    links = flood.open_sessions(server, pick(10, 100))
    one = frame(1, zkwire.MULTI, zkwire.multi_body([(5, zkwire.set_data_body("/w", b"y"))] * 20_000))
    taken, ended = flood.push(links, one * 5, pick(5, 60))
    answers = [error for link in links for error in flood.errors(link, 5, 60)]
    flood.close(links)
    return f"{taken >> 20} MiB taken, {ended} closed, {answers.count(0)} of {5 * len(links)} done"
