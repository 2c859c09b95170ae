"""An ensemble that grows from three members to five while it serves, by restarts with longer lists of members (ZOOKEEPER-3829)."""
from load import Writer
from members import Ensemble, sync, wait_for

FIRST, ADDED = (1, 2, 3), (4, 5)


def by_rolling_restarts(work, kind):
    """The new ones first, then each old one in turn, the leader last. No acknowledged write is lost; in the end two of five may be gone."""
    ensemble = Ensemble([kind] * 5, work / "growth")
    servers = ensemble.servers
    added = {f"server.{sid}": servers[1].settings[f"server.{sid}"] for sid in ADDED}
    for sid in FIRST:
        for line in added:
            del servers[sid].settings[line]
        servers[sid].launch()
    for sid in FIRST:
        servers[sid].wait_serving()
    client = ensemble.client(1)
    client.create("/grown", b"0")
    client.abandon()
    writer = Writer(ensemble, "/grown", 1)
    writer.start()
    for sid in ADDED:
        servers[sid].start()
    for sid in [*(sid for sid in ensemble.followers() if sid in FIRST), ensemble.leader()]:
        servers[sid].stop()
        servers[sid].settings.update(added)
        servers[sid].start()
        ensemble.wait_all_serving()
    leader = ensemble.leader()
    wait_for(lambda: ensemble.numbers(leader)["zk_quorum_size"] == "5", "five members that vote")
    wait_for(lambda: ensemble.numbers(leader)["zk_synced_followers"] == "4", "four that follow")
    for sid in [leader, ensemble.followers()[0]]:
        servers[sid].kill()
    before = writer.acknowledged
    wait_for(lambda: writer.acknowledged > before + 10, "writes of the three that are left")
    writer.finish()
    for sid, server in servers.items():
        if server.running():
            reader = ensemble.client(sid)
            sync(reader)
            value = int(reader.get_data("/grown")[0])
            if not writer.acknowledged <= value <= writer.sent:
                raise AssertionError(f"server {sid} has {value}, acknowledged {writer.acknowledged}, sent {writer.sent}")
            reader.abandon()
    ensemble.stop()
