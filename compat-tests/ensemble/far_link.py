"""A link of little bandwidth and long delay between two places: each way carries so many bytes a second, for all connections together."""
import asyncio
import threading

import servers

CHUNK = 4096
# What a link holds back before its sender is not read any more, as a router's buffer does.
QUEUE_SECONDS = 0.2
ANSWER_SECONDS = 10


class Way:
    """One direction: bytes leave one after the other and arrive `delay` seconds later."""

    def __init__(self, rate, delay):
        self.rate, self.delay, self.free = rate, delay, 0.0

    def send(self, size, now):
        """The time at which these bytes arrive."""
        self.free = max(now, self.free) + size / self.rate
        return self.free + self.delay


class FarLink:
    """Listens, in a thread of its own, for ports on the other side. `rate`: bytes per second each way; `delay`: seconds each way."""

    def __init__(self, rate, delay):
        self.there, self.back = Way(rate, delay), Way(rate, delay)
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def port(self, target, is_there):
        """A port here that leads to `target` of this host; `is_there` says on which side that is."""
        return asyncio.run_coroutine_threadsafe(self.listen(target, is_there), self.loop).result(ANSWER_SECONDS)

    async def listen(self, target, is_there):
        ways = (self.there, self.back) if is_there else (self.back, self.there)
        listener = await asyncio.start_server(lambda reader, writer: self.serve(reader, writer, target, ways), servers.HOST, 0)
        return listener.sockets[0].getsockname()[1]

    async def serve(self, reader, writer, target, ways):
        try:
            far_reader, far_writer = await asyncio.open_connection(servers.HOST, target)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(self.carry(reader, far_writer, ways[0]), self.carry(far_reader, writer, ways[1]))

    async def carry(self, reader, writer, way):
        """Copies until the end, as fast as the way is."""
        queue = asyncio.Queue()
        arriving = self.loop.create_task(self.arrive(queue, writer))
        try:
            while chunk := await reader.read(CHUNK):
                queue.put_nowait((way.send(len(chunk), self.loop.time()), chunk))
                await asyncio.sleep(max(0, way.free - self.loop.time() - QUEUE_SECONDS))
        except OSError:
            pass
        queue.put_nowait((self.loop.time() + way.delay, None))
        await arriving

    async def arrive(self, queue, writer):
        while True:
            at, chunk = await queue.get()
            await asyncio.sleep(max(0, at - self.loop.time()))
            if chunk is None:
                break
            try:
                writer.write(chunk)
                await writer.drain()
            except OSError:
                writer.transport.abort()
        writer.close()
