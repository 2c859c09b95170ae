"""kazoo as an administrator: `kazoo_reconfig.py HOSTS SID LINE` takes a server out and puts it back by its line. Prints what it saw."""
import sys
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError, NoAuthException

SECONDS = 20


def main(hosts, sid, line):
    server = f"server.{sid}=".encode()
    client = KazooClient(hosts=hosts)
    client.start()
    try:
        client.reconfig("", sid, None)
        print("nobody may")
    except NoAuthException:
        print("NoAuth")
    client.add_auth("digest", "super:secret")
    changed, lists = threading.Condition(), []

    @client.DataWatch("/zookeeper/config")
    def watch(data, _stat):
        with changed:
            lists.append(data)
            changed.notify()

    data, _ = client.reconfig("", sid, None)
    print(server in data)
    try:
        client.reconfig("", sid, None, from_config=5)
        print("from any version")
    except BadVersionError:
        print("BadVersion")
    data, stat = client.reconfig(server.decode() + line, None, None)
    print(server + line.encode() in data.splitlines(), stat.version)
    with changed:
        print("told" if changed.wait_for(lambda: lists[-1] == data, SECONDS) else lists)
    client.stop()


main(*sys.argv[1:])
