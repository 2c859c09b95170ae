"""What others notice of an attack: a client in a process of its own, and the memory of the server."""
import multiprocessing
import pathlib
import time

import zkwire

PAUSE_SECONDS = 0.02
# A session is dead by then.
LONGEST_SECONDS = 30
SESSION_EVERY = 25
PATH = "/bystander"


def memory_mb(pid, field="VmRSS"):
    """Resident memory of a process in MiB now (VmRSS) or at its peak (VmHWM); None when it is gone."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) // 1024
    except OSError:
        pass
    return None


def _serve_latencies(host, port, stop, answer):
    """Writes, reads and now and then opens a session until told to stop; sends what each took, in seconds."""
    took, failures = [], 0
    client = None
    began = time.monotonic()
    while not stop.is_set():
        began = time.monotonic()
        try:
            if client is None or len(took) % SESSION_EVERY == 0:
                if client is not None:
                    client.close()
                client = zkwire.Client(host, port, seconds=LONGEST_SECONDS)
            client.set_data(PATH, b"x")
            client.get_data(PATH)
            took.append(time.monotonic() - began)
        except (OSError, zkwire.Closed, zkwire.Refused):
            failures += 1
            client = None
            time.sleep(PAUSE_SECONDS)
        time.sleep(PAUSE_SECONDS)
    answer.send((took, failures))


class Bystander:
    """Watches a server from its beginning; `result` ends the watch: requests, failures, p99 and longest latency in seconds."""

    def __init__(self, server):
        with zkwire.Client(server.host, server.port) as client:
            client.create(PATH, b"x")
        context = multiprocessing.get_context("fork")
        self.stop = context.Event()
        self.pipe, answer = context.Pipe(duplex=False)
        arguments = (server.host, server.port, self.stop, answer)
        self.process = context.Process(target=_serve_latencies, args=arguments, daemon=True)
        self.process.start()

    def result(self, seconds=LONGEST_SECONDS + 10):
        self.stop.set()
        took, failures = self.pipe.recv() if self.pipe.poll(seconds) else ([seconds], 1)
        self.process.kill()
        self.process.join()
        took = sorted(took) or [float(seconds)]
        return {"requests": len(took), "failures": failures, "p99": took[int(len(took) * 0.99)], "max": took[-1]}
