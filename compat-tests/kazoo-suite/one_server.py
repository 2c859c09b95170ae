"""Stands in for `kazoo.testing.common`: the suite's cluster, made of servers from lib/servers.py.

The suite's harness asks its cluster for addresses, stops and starts single servers, and throws the
whole cluster away after each test class. This module answers those calls with `Server` objects, so
that not a line of the suite is changed. Which kind of server runs is KAZOO_SUITE_KIND, where its
files lie is KAZOO_SUITE_DIR.
"""
import itertools
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from servers import Server  # noqa: E402  (the path is set up one line above)

SYSTEM_PROPERTY_PREFIX = "-Dzookeeper."

# What the suite's own harness gives every server and what needs no key store.
SETTINGS = {
    "tickTime": "2000",
    "maxClientCnxns": "0",
    "serverCnxnFactory": "org.apache.zookeeper.server.NettyServerCnxnFactory",
    "authProvider.1": "org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
}
# The suite hashes digest credentials as UTF-8; a JVM would take the locale's character set.
JVM_OPTIONS = ["file.encoding=UTF-8"]

numbers = itertools.count(1)


class ManagedServer:
    """One server under the names the suite calls: run, stop, reset, destroy."""

    def __init__(self, settings):
        kind = os.environ["KAZOO_SUITE_KIND"]
        options = JVM_OPTIONS if kind == "java" else ()
        folder = pathlib.Path(os.environ["KAZOO_SUITE_DIR"]) / f"server-{next(numbers)}"
        self._server = Server(kind, folder, settings=settings, properties=options)

    @property
    def address(self):
        return self._server.address

    @property
    def client_port(self):
        return self._server.port

    @property
    def running(self):
        return self._server.running()

    def run(self):
        if not self.running:
            self._server.start()

    def stop(self):
        """Ends the process and keeps its data."""
        if self.running:
            self._server.stop()

    def destroy(self):
        """Ends the process and removes its data; its log stays for the one who looks into a failure."""
        self.stop()
        shutil.rmtree(self._server.data_dir, ignore_errors=True)

    def log_lines(self):
        return self._server.log_tail(100).splitlines()

    # A stopped server without data starts as a new one.
    reset = destroy


def settings_of(entries, system_properties):
    """The suite's lines of zoo.cfg and -Dzookeeper.K=V arguments as one set of keys.

    A server takes the system property zookeeper.K and the line K of zoo.cfg as the same thing.
    """
    settings = dict(SETTINGS)
    settings.update(entry.split("=", 1) for entry in entries)
    for argument in system_properties:
        if not argument.startswith(SYSTEM_PROPERTY_PREFIX):
            raise ValueError(f"the suite asks for {argument}, which no line of zoo.cfg can say")
        key, value = argument[len(SYSTEM_PROPERTY_PREFIX):].split("=", 1)
        settings[key] = value
    return settings


class ZookeeperCluster:
    """The suite's cluster; always one standalone server here."""

    def __init__(self, install_path=None, classpath=None, size=1, port_offset=0, observer_start_id=-1,
                 configuration_entries=(), java_system_properties=(), jaas_config=None):
        if int(size) != 1 or jaas_config is not None:
            raise ValueError(f"one server without JAAS is what runs here, the suite asked for {size}")
        self._arguments = (configuration_entries, java_system_properties)
        self._servers = [ManagedServer(settings_of(*self._arguments))]

    def __getitem__(self, index):
        return self._servers[index]

    def __iter__(self):
        return iter(self._servers)

    def start(self):
        """Starts what does not run; `Server.start` returns when the server serves."""
        for server in self._servers:
            server.run()

    def stop(self):
        for server in self._servers:
            server.stop()

    def terminate(self):
        """Ends the server for good; the next start is a new server with nothing in it."""
        for server in self._servers:
            server.destroy()
        self._servers = [ManagedServer(settings_of(*self._arguments))]

    def reset(self):
        for server in self._servers:
            server.reset()

    def get_logs(self):
        return [line for server in self._servers for line in server.log_lines()]
