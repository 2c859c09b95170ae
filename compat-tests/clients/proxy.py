"""A TCP proxy with named links to one server, which a scenario in any language breaks and heals.

The control port takes one command per line and answers one line, when the command has taken effect:

    open NAME      -> host:port of the link; made on first use
    drop NAME      -> ok: the connections are reset, new ones go through
    cut NAME       -> ok: the connections are reset, new ones are reset, too
    freeze NAME    -> ok: not one more byte passes in either direction and nobody is told: a host that died
    lose-up NAME   -> ok: the same for what goes to the server only
    lose-down NAME -> ok: the same for what comes from the server only
    slow NAME      -> ok: everything comes late, and not evenly: a link that loses packets
    heal NAME      -> ok: connections from before are reset, new ones go through
"""
import asyncio
import random
import threading

HOST = "127.0.0.1"
CHUNK = 65536
START_SECONDS = 10
LATE_SECONDS = 0.15
MODES = {"cut": "cut", "freeze": "frozen", "lose-up": "lose-up", "lose-down": "lose-down", "slow": "slow", "heal": "open"}
RESETTING = ("drop", "cut", "heal")


class Link:
    """One listening port; mode is one of MODES' values."""

    def __init__(self, server):
        self.server = server
        self.mode = "open"
        self.transports = set()
        self.address = None

    async def listen(self):
        listener = await asyncio.start_server(self.serve, HOST, 0)
        self.address = "%s:%d" % listener.sockets[0].getsockname()[:2]

    async def serve(self, reader, writer):
        if self.mode == "cut":
            writer.transport.abort()
            return
        self.transports.add(writer.transport)
        try:
            if self.mode == "frozen":
                await self.pump(reader, None, "up")
                return
            upward_reader, upward = await asyncio.open_connection(*self.server)
            if writer.transport.is_closing():
                # It was reset meanwhile. What it sent before must not arrive: it would keep its session alive.
                upward.transport.abort()
                return
            self.transports.add(upward.transport)
            await asyncio.gather(self.pump(reader, upward, "up"), self.pump(upward_reader, writer, "down"))
        except OSError:
            # The server is away: for the client that is a connection that breaks.
            writer.transport.abort()

    def loses(self, way):
        return self.mode in ("frozen", f"lose-{way}")

    async def pump(self, reader, writer, way):
        """Copies until the end; what comes while the link is frozen is lost, the end of the stream too."""
        try:
            while chunk := await reader.read(CHUNK):
                if self.mode == "slow":
                    await asyncio.sleep(random.uniform(0, LATE_SECONDS))
                if not self.loses(way) and writer is not None:
                    writer.write(chunk)
                    await writer.drain()
        except OSError:
            pass
        if not self.loses(way) and writer is not None:
            writer.close()

    def reset(self):
        for transport in self.transports:
            transport.abort()
        self.transports.clear()


class Proxy:
    """All links to one server, in a thread of its own. `address` is the control port."""

    def __init__(self, host, port):
        self.server = (host, port)
        self.links = {}
        self.address = None
        self.ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True).start()
        if not self.ready.wait(START_SECONDS):
            raise RuntimeError("the proxy did not start")

    async def serve(self):
        control = await asyncio.start_server(self.control, HOST, 0)
        self.address = "%s:%d" % control.sockets[0].getsockname()[:2]
        self.ready.set()
        await control.serve_forever()

    async def control(self, reader, writer):
        while line := await reader.readline():
            writer.write((await self.obey(line.decode().split())).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def obey(self, words):
        if len(words) != 2 or words[0] not in ("open", "drop", *MODES):
            return "error: COMMAND NAME expected"
        command, name = words
        if command == "open":
            if name not in self.links:
                self.links[name] = Link(self.server)
                await self.links[name].listen()
            return self.links[name].address
        if name not in self.links:
            return f"error: no link {name}"
        link = self.links[name]
        link.mode = MODES.get(command, link.mode)
        if command in RESETTING:
            link.reset()
        return "ok"
