package compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.zookeeper.CreateMode;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Curator recipes about who leads, who is a member, and what happens when a session is lost. */
class CuratorLeaderTest {
    /** Long enough to come back in time: the client waits up to a second before it tries. */
    private static final int LOST_SESSION_MS = 4_000;
    private final String namespace = Support.freshNamespace();
    private final List<CuratorFramework> clients = new ArrayList<>();

    @BeforeEach
    void connect() {
        for (int i = 0; i < 3; i++) {
            clients.add(Support.curator(namespace));
        }
    }

    @AfterEach
    void close() {
        clients.forEach(CuratorFramework::close);
    }

    private static LeaderLatch leaderOf(List<LeaderLatch> latches) throws Exception {
        Support.await("one leader", () -> latches.stream().filter(LeaderLatch::hasLeadership).count() == 1);
        return latches.stream().filter(LeaderLatch::hasLeadership).findFirst().orElseThrow();
    }

    @Test
    void latchHasOneLeaderAtATime() throws Exception {
        List<LeaderLatch> latches = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            LeaderLatch latch = new LeaderLatch(clients.get(i), "/latch", "member " + i);
            latch.start();
            latches.add(latch);
        }
        while (!latches.isEmpty()) {
            LeaderLatch leader = leaderOf(latches);
            for (LeaderLatch each : latches) {
                Support.await("all name the leader", () -> each.getLeader().getId().equals(leader.getId()));
            }
            leader.close();
            latches.remove(leader);
        }
    }

    @Test
    void latchMovesWhenTheSessionEnds() throws Exception {
        try (LeaderLatch first = new LeaderLatch(clients.get(0), "/latch"); LeaderLatch second = new LeaderLatch(clients.get(1), "/latch")) {
            first.start();
            assertTrue(first.await(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            second.start();
            Support.await("two candidates", () -> second.getParticipants().size() == 2);
            assertFalse(second.hasLeadership());
            Support.expire(clients.get(0));
            assertTrue(second.await(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            Support.await("the first knows", () -> !first.hasLeadership());
            Support.await("the first is a candidate again", () -> second.getParticipants().size() == 2);
        }
    }

    @Test
    void selectorPassesLeadershipRound() throws Exception {
        AtomicInteger leading = new AtomicInteger();
        BlockingQueue<Integer> turns = new LinkedBlockingQueue<>();
        List<LeaderSelector> selectors = new ArrayList<>();
        for (int i = 0; i < clients.size(); i++) {
            int number = i;
            LeaderSelector selector = new LeaderSelector(clients.get(i), "/selector", new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework client) {
                    turns.add(leading.incrementAndGet() == 1 ? number : -1);
                    leading.decrementAndGet();
                }
            });
            selector.autoRequeue();
            selector.start();
            selectors.add(selector);
        }
        Set<Integer> seen = ConcurrentHashMap.newKeySet();
        Support.await("each led once", () -> {
            turns.drainTo(seen);
            return seen.containsAll(List.of(0, 1, 2));
        });
        selectors.forEach(LeaderSelector::close);
        assertFalse(seen.contains(-1), "two leaders at once");
    }

    @Test
    void persistentNodeComesBack() throws Exception {
        CuratorFramework owner = clients.get(0);
        CuratorFramework other = clients.get(1);
        try (PersistentNode node = new PersistentNode(owner, CreateMode.EPHEMERAL, false, "/persistent", Support.bytes("here"))) {
            node.start();
            assertTrue(node.waitForInitialCreate(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            long first = other.checkExists().forPath("/persistent").getCzxid();
            other.delete().forPath("/persistent");
            Support.await("created again after a delete", () -> created(other, "/persistent") > first);
            long second = created(other, "/persistent");
            long session = owner.getZookeeperClient().getZooKeeper().getSessionId();
            Support.expire(owner);
            Support.await("created again in a new session", () -> created(other, "/persistent") > second);
            assertTrue(other.checkExists().forPath("/persistent").getEphemeralOwner() != session);
            assertEquals("here", Support.text(other.getData().forPath("/persistent")));
        }
        Support.await("gone with its owner", () -> other.checkExists().forPath("/persistent") == null);
    }

    private static long created(CuratorFramework client, String path) throws Exception {
        var stat = client.checkExists().forPath(path);
        return stat == null ? -1 : stat.getCzxid();
    }

    @Test
    void groupMembersKnowEachOther() throws Exception {
        List<GroupMember> members = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            GroupMember member = new GroupMember(clients.get(i), "/group", "m" + i, Support.bytes("payload " + i));
            member.start();
            members.add(member);
        }
        for (GroupMember each : members) {
            Support.await("all three known", () -> each.getCurrentMembers().keySet().equals(Set.of("m0", "m1", "m2")));
        }
        Support.await("payload known", () -> "payload 2".equals(payload(members.get(0).getCurrentMembers(), "m2")));
        members.remove(2).close();
        for (GroupMember each : members) {
            Support.await("one left", () -> each.getCurrentMembers().keySet().equals(Set.of("m0", "m1")));
        }
        members.forEach(GroupMember::close);
    }

    private static String payload(Map<String, byte[]> members, String id) {
        return members.containsKey(id) ? Support.text(members.get(id)) : null;
    }

    @Test
    void listenerHearsOfALostSession() throws Exception {
        BlockingQueue<ConnectionState> states = new LinkedBlockingQueue<>();
        try (Proxy proxy = new Proxy(); CuratorFramework client = Support.curator(namespace, proxy.address(), LOST_SESSION_MS)) {
            Support.followConnection(client, states);
            client.create().withMode(CreateMode.EPHEMERAL).forPath("/mine");
            long session = client.getZookeeperClient().getZooKeeper().getSessionId();
            proxy.dropAll();
            assertEquals(ConnectionState.SUSPENDED, states.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            assertEquals(ConnectionState.RECONNECTED, states.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            assertEquals(session, client.getZookeeperClient().getZooKeeper().getSessionId());

            proxy.cut();
            assertEquals(ConnectionState.SUSPENDED, states.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            CuratorFramework other = clients.get(0);
            Support.await("the session has ended", () -> other.checkExists().forPath("/mine") == null);
            assertEquals(ConnectionState.LOST, states.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            proxy.mend();
            assertEquals(ConnectionState.RECONNECTED, states.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            assertTrue(client.getZookeeperClient().getZooKeeper().getSessionId() != session);
        }
    }
}
