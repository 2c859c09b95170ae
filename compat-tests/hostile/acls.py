"""Attacks with ACLs: long ones, ones that grow on the server, ones that are compared with many identities."""
import struct

import flood
import zkwire
from flood import frame
from registry import attack, pick, tally
from requesting import auth


def authenticate(links, users):
    """Gives each session so many identities."""
    for link in links:
        flood.send(link, b"".join(auth("digest", f"{user}:p".encode()) for user in users))
    for link in links:
        flood.errors(link, len(users))


@attack(bound=400, long_bound=700)
def expanding_acls(server):
    """Sessions with 60 identities of 220 bytes put them all into the ACLs of ten multis of 1,000 creates, and of 5,000 creates alone."""
    links = flood.open_sessions(server, pick(10, 40))
    authenticate(links, [f"u{index}{'x' * 180}" for index in range(60)])
    outcomes = []
    for number, link in enumerate(links):
        def create(index):
            return zkwire.create_body(f"/acl{number}-{index}", acl=((index, "auth", ""),))
        multi = zkwire.multi_body([(1, create(index)) for index in range(1000)])
        flood.send(link, frame(9, zkwire.MULTI, multi) * 10)
        if number % 10 == 0:
            flood.send(link, b"".join(frame(1, zkwire.CREATE, create(index)) for index in range(1000, pick(3000, 6000))))
    for link in links:
        outcomes.append(flood.outcome(link, 60))
    flood.wait_until_steady(server)
    flood.close(links)
    return tally(outcomes)


@attack(bound=120)
def huge_acls(server):
    """Creates with an ACL of 30,000 entries each."""
    entries = [(1, "digest", f"u{index}:h") for index in range(30_000)]
    links = flood.open_sessions(server, pick(20, 200))
    for link in links:
        flood.send(link, frame(1, zkwire.CREATE, zkwire.create_body("/acl", acl=entries)))
    outcomes = [flood.outcome(link, 60) for link in links]
    flood.close(links)
    return tally(outcomes)


@attack(bound=200)
def long_acls_and_many_identities(server):
    """Sessions with 60 identities ask for, write, and watch a znode with an ACL of 1,000 entries that allow others."""
    with zkwire.Client(server.host, server.port) as client:
        others = [(31, "digest", f"x{index}:h") for index in range(900)] + [(31, "ip", f"10.1.{index}.0/24") for index in range(100)]
        client.create("/acl", acl=others)
    links = flood.open_sessions(server, pick(20, 200))
    authenticate(links, [f"u{index}" for index in range(60)])
    read = frame(1, zkwire.EXISTS, zkwire.buffer("/acl") + b"\1")
    write = frame(1, zkwire.SET_DATA, zkwire.set_data_body("/acl", b"y"))
    taken, ended = flood.push(links, (read * 100 + write) * pick(300, 2_000), pick(2, 30))
    flood.wait_until_steady(server, pick(2, 10))
    outcomes = flood.errors(links[0], 100, 60)
    flood.close(links)
    return f"{taken >> 10} KiB of requests taken, {ended} closed, {outcomes.count(-102)} of the first 100 refused"
