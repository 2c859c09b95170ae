package compat;

import static compat.Support.bytes;
import static compat.Support.text;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What a client lives through when its connection breaks: back in time with everything, or too late with nothing. */
class ConnectionTest {
    private Proxy proxy;
    private ZooKeeper other;
    private String root;

    @BeforeEach
    void connect() throws Exception {
        proxy = new Proxy();
        other = Support.connect();
        root = Support.freshRoot(other);
    }

    @AfterEach
    void close() throws Exception {
        other.close();
        proxy.close();
    }

    private void make(ZooKeeper client, String name, CreateMode mode) throws Exception {
        client.create(root + name, bytes("0"), Ids.OPEN_ACL_UNSAFE, mode);
    }

    @Test
    void backInTimeWithWatches() throws Exception {
        Events states = new Events();
        Events data = new Events();
        Events exists = new Events();
        Events children = new Events();
        Events gone = new Events();
        Events untouched = new Events();
        try (ZooKeeper client = Support.connect(proxy.address(), Support.SESSION_MS, states)) {
            for (String name : new String[] {"/data", "/parent", "/gone", "/still"}) {
                make(other, name, CreateMode.PERSISTENT);
            }
            make(client, "/mine", CreateMode.EPHEMERAL);
            client.getData(root + "/data", data, null);
            client.exists(root + "/born", exists);
            client.getChildren(root + "/parent", children);
            client.getData(root + "/gone", gone, null);
            client.getData(root + "/still", untouched, null);
            long session = client.getSessionId();

            proxy.cut();
            states.awaitState(KeeperState.Disconnected);
            other.setData(root + "/data", bytes("1"), -1);
            make(other, "/born", CreateMode.PERSISTENT);
            make(other, "/parent/child", CreateMode.PERSISTENT);
            other.delete(root + "/gone", -1);
            proxy.mend();
            states.awaitState(KeeperState.SyncConnected);

            data.expect(EventType.NodeDataChanged, root + "/data");
            exists.expect(EventType.NodeCreated, root + "/born");
            children.expect(EventType.NodeChildrenChanged, root + "/parent");
            gone.expect(EventType.NodeDeleted, root + "/gone");
            assertEquals(session, client.getSessionId());
            assertNotNull(other.exists(root + "/mine", false), "the ephemeral node went with the connection");
            other.setData(root + "/still", bytes("now"), -1);
            untouched.expect(EventType.NodeDataChanged, root + "/still");
        }
    }

    @Test
    void persistentWatchesWorkAgain() throws Exception {
        Events states = new Events();
        Events events = new Events();
        try (ZooKeeper client = Support.connect(proxy.address(), Support.SESSION_MS, states)) {
            client.addWatch(root, events, AddWatchMode.PERSISTENT_RECURSIVE);
            for (int round = 0; round < 3; round++) {
                proxy.dropAll();
                states.awaitState(KeeperState.Disconnected);
                states.awaitState(KeeperState.SyncConnected);
                // The client sends its watches before any other request, so this read comes behind them.
                client.exists(root, false);
                make(other, "/n" + round, CreateMode.PERSISTENT);
                events.expect(EventType.NodeCreated, root + "/n" + round);
            }
        }
    }

    @Test
    void tooLateIsExpired() throws Exception {
        Events states = new Events();
        try (ZooKeeper client = Support.connect(proxy.address(), Support.SHORT_SESSION_MS, states)) {
            make(client, "/mine", CreateMode.EPHEMERAL);
            Events seen = new Events();
            other.exists(root + "/mine", seen);
            proxy.cut();
            seen.expect(EventType.NodeDeleted, root + "/mine");
            proxy.mend();
            states.awaitState(KeeperState.Expired);
            assertThrows(KeeperException.SessionExpiredException.class, () -> client.exists(root, false));
        }
    }

    @Test
    void idleSessionLivesByPings() throws Exception {
        Events states = new Events();
        try (ZooKeeper client = Support.connect(proxy.address(), Support.SHORT_SESSION_MS, states)) {
            make(client, "/mine", CreateMode.EPHEMERAL);
            // Sessions of the same length that nobody keeps alive end meanwhile, one after the other.
            for (int i = 0; i < 3; i++) {
                String name = "/abandoned" + i;
                try (Proxy wire = new Proxy(); ZooKeeper abandoned = Support.connect(wire.address(), Support.SHORT_SESSION_MS, event -> { })) {
                    make(abandoned, name, CreateMode.EPHEMERAL);
                    wire.cut();
                    Support.await("abandoned session ends", () -> other.exists(root + name, false) == null);
                    wire.mend();
                }
            }
            assertNotNull(other.exists(root + "/mine", false));
            assertEquals("0", text(client.getData(root + "/mine", false, null)));
        }
    }

    @Test
    void sessionMovesToAnotherHandle() throws Exception {
        Events states = new Events();
        try (ZooKeeper client = Support.connect(proxy.address(), Support.SESSION_MS, states)) {
            make(client, "/mine", CreateMode.EPHEMERAL);
            proxy.cut();
            states.awaitState(KeeperState.Disconnected);
            Events again = new Events();
            try (ZooKeeper heir = new ZooKeeper(Support.ADDRESS, Support.SESSION_MS, again, client.getSessionId(), client.getSessionPasswd())) {
                again.awaitState(KeeperState.SyncConnected);
                assertEquals(client.getSessionId(), heir.getSessionId());
                assertEquals(client.getSessionId(), other.exists(root + "/mine", false).getEphemeralOwner());
            }
            Support.await("closing ends the session", () -> other.exists(root + "/mine", false) == null);
            proxy.mend();
            states.awaitState(KeeperState.Expired);
        }
    }

    @Test
    void wrongPasswordIsRefused() throws Exception {
        make(other, "/mine", CreateMode.EPHEMERAL);
        Events states = new Events();
        byte[] wrong = other.getSessionPasswd().clone();
        wrong[0] ^= 1;
        assertNotEquals(wrong[0], other.getSessionPasswd()[0]);
        try (ZooKeeper thief = new ZooKeeper(Support.ADDRESS, Support.SESSION_MS, states, other.getSessionId(), wrong)) {
            states.awaitState(KeeperState.Expired);
        }
        Support.await("the owner goes on", () -> {
            try {
                return other.exists(root + "/mine", false) != null;
            } catch (KeeperException.ConnectionLossException retried) {
                return false;
            }
        });
    }
}
