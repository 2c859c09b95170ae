"""Limits that only a whole server shows: one below is served, one above is not. The others have unit tests."""
import struct
import time

import flood
import zkwire
from flood import frame
from servers import Server, four_letter

ALL = []


def limit(**settings):
    """Registers a check that meets a server with these lines of zoo.cfg (`__` stands for a dot)."""
    def register(function):
        def check(folder):
            with Server("paddock", folder, settings={key.replace("__", "."): value for key, value in settings.items()}).start() as server:
                function(server)
        check.__name__ = function.__name__
        ALL.append(check)
        return check
    return register


def expect(got, wanted):
    assert got == wanted, f"{got}, not {wanted}"


@limit()
def largest_frame(server):
    """jute.maxbuffer: 1048575 bytes."""
    head = zkwire.buffer("/x") + struct.pack(">i", -1)
    for size, wanted in ((1_048_575, "answered -5"), (1_048_576, "closed")):
        link = flood.open_session(server)
        flood.send(link, frame(1, zkwire.SET_DATA, head + bytes(size - 8 - len(head))))
        got = flood.outcome(link)
        assert (got == "closed") == (wanted == "closed"), f"{size} bytes: {got}"


@limit(maxClientCnxns="5")
def connections_of_an_address(server):
    wait_for_connections(server, 1)
    links = flood.open_sessions(server, 5)
    expect(flood.outcome(asking(server), 5), "closed")
    links[0].close()
    wait_for(lambda: flood.is_answered(asking(server), 41))


@limit(maxCnxns="5")
def connections_in_total(server):
    wait_for_connections(server, 1)
    links = flood.open_sessions(server, 5)
    expect(flood.outcome(asking(server), 5), "closed")
    links[0].close()
    wait_for(lambda: flood.is_answered(asking(server), 41))


@limit(paddock__maxSessions="3")
def sessions_in_total(server):
    flood.open_sessions(server, 3)
    expect(flood.outcome(asking(server), 5), "closed")
    expect(mntr(server)["zk_paddock_sessions_max"], "3")


@limit(paddock__maxSocketsBeforeHandshake="10")
def sockets_before_their_handshake(server):
    links = [flood.connect(server) for _ in range(10)]
    flood.send(links[0], flood.HANDSHAKE)
    assert flood.is_answered(links[0], 41), "the oldest of ten may still begin"
    more = [flood.connect(server) for _ in range(2)]
    expect(flood.outcome(links[1], 5), "closed")
    assert flood.count_open(links[2:] + more) == 10
    expect(flood.outcome(links[0], 0.2), "open")


@limit(nio__sessionlessCnxnTimeout="300")
def time_until_a_session(server):
    link, session = flood.connect(server), flood.open_session(server)
    flood.send(link, flood.HANDSHAKE[:20])
    began = time.monotonic()
    expect(flood.outcome(link, 5), "closed")
    assert time.monotonic() - began >= 0.25
    expect(flood.outcome(session, 0.5), "open")


@limit(paddock__maxInputBytes="1000000")
def half_received_frames(server):
    links = flood.open_sessions(server, 3)
    head = struct.pack(">i", 1_000_000)
    for link in links[:2]:
        flood.send(link, head + bytes(250_000))
    wait_for(lambda: int(mntr(server)["zk_paddock_input_bytes"]) > 500_000)
    expect(flood.count_open(links), 3)
    flood.send(links[2], head + bytes(700_000))
    wait_for(lambda: flood.count_open(links) == 2)
    with zkwire.Client(server.host, server.port) as client:
        client.create("/small", b"x" * 10_000)


@limit(paddock__maxOutputBytes="20000000")
def replies_in_total(server):
    with zkwire.Client(server.host, server.port) as client:
        client.create("/big", b"m" * 1_000_000)
    links = flood.open_sessions(server, 9, receive_bytes=4096)
    read = zkwire.buffer("/big") + b"\0"
    for link in links:
        flood.send(link, b"".join(frame(xid, zkwire.GET_DATA, read) for xid in range(100)))
    flood.wait_until_steady(server)
    shown = mntr(server)
    assert int(shown["zk_paddock_output_bytes"]) <= 20_000_000, shown["zk_paddock_output_bytes"]
    expect(int(shown["zk_paddock_slow_readers_closed"]), 0)
    for link in links:
        flood.send(link, frame(1, zkwire.SET_DATA, zkwire.set_data_body("/big", b"m" * 1_000_000)))
    more = flood.open_sessions(server, 20, receive_bytes=4096)
    write = frame(1, zkwire.SET_DATA, zkwire.set_data_body("/big", b"m" * 1_000_000))
    for link in more:
        flood.send(link, write + b"".join(frame(xid, zkwire.GET_DATA, read) for xid in range(5)))
    wait_for(lambda: int(mntr(server)["zk_paddock_slow_readers_closed"]) > 0)
    assert int(mntr(server)["zk_paddock_output_bytes"]) <= 20_000_000


@limit(paddock__maxWatches="1500")
def watches_in_total(server):
    def watch(link, count):
        names = [zkwire.buffer(f"/w{index}") for index in range(count)]
        body = struct.pack(">qii", 1 << 60, 0, count) + b"".join(names) + struct.pack(">i", 0)
        flood.send(link, frame(1, 101, body))
        return flood.outcome(link, 5)
    first, second, third = flood.open_sessions(server, 3)
    expect(watch(first, 1500), "answered 0")
    expect(watch(second, 1000), "answered 0")
    expect(watch(third, 1001), "answered 0")
    expect(flood.outcome(third, 5), "closed")
    expect(flood.outcome(first, 0.2), "open")


@limit()
def identities_of_a_connection(server):
    link = flood.open_session(server)
    def auth(user):
        flood.send(link, frame(-4, zkwire.AUTH, struct.pack(">i", 0) + zkwire.buffer("digest") + zkwire.buffer(f"{user}:p")))
        return flood.outcome(link)
    for index in range(63):
        expect(auth(f"u{index}"), "answered 0")
    expect(auth("u0"), "answered 0")
    expect(auth("one-more"), "answered -115")
    expect(flood.outcome(link, 5), "closed")


@limit()
def reply_to_a_multi_read(server):
    """64 MiB: a result is the data, with 81 bytes of header, length and stat."""
    with zkwire.Client(server.host, server.port) as client:
        client.create("/x", bytes((1 << 20) - 81))
    link = flood.open_session(server)
    for count, wanted in ((64, "answered 0"), (65, "answered -5")):
        read = (zkwire.GET_DATA, zkwire.buffer("/x") + b"\0")
        flood.send(link, frame(1, 22, zkwire.multi_body([read] * count)))
        expect(flood.outcome(link), wanted)


def asking(server):
    link = flood.connect(server)
    flood.send(link, flood.HANDSHAKE)
    return link


def mntr(server):
    return dict(line.split("\t", 1) for line in four_letter(server, "mntr", 60).splitlines() if "\t" in line)


def wait_for_connections(server, count):
    wait_for(lambda: int(mntr(server)["zk_num_alive_connections"]) == count)


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
