package compat;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.nio.charset.StandardCharsets;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;

/** The server under test, clients of it, and waiting for conditions. */
final class Support {
    static final String ADDRESS = required("server.address");
    static final String JARS = required("server.jars");
    static final int SESSION_MS = 10_000;
    /** The shortest session time that the server of ./run grants. */
    static final int SHORT_SESSION_MS = 1_000;
    static final int PATIENCE_SECONDS = 20;
    private static final long POLL_MS = 5;

    private Support() {}

    private static String required(String name) {
        String value = System.getProperty(name);
        if (value == null || value.isEmpty()) {
            throw new IllegalStateException("start the tests with ./run, or pass -D" + name);
        }
        return value;
    }

    /** Waits until the condition holds; fails the test when it does not in time. A missing node counts as not yet. */
    static void await(String what, Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
        while (!holds(condition)) {
            if (System.nanoTime() > deadline) {
                fail("not within " + PATIENCE_SECONDS + " s: " + what);
            }
            TimeUnit.MILLISECONDS.sleep(POLL_MS);
        }
    }

    private static boolean holds(Callable<Boolean> condition) throws Exception {
        try {
            return condition.call();
        } catch (KeeperException.NoNodeException missing) {
            return false;
        }
    }

    static ZooKeeper connect() throws Exception {
        return connect(ADDRESS, SESSION_MS, event -> { });
    }

    static ZooKeeper connect(String address, int timeoutMs, Watcher watcher) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper client = new ZooKeeper(address, timeoutMs, event -> {
            if (event.getState() == KeeperState.SyncConnected) {
                connected.countDown();
            }
            watcher.process(event);
        });
        if (!connected.await(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
            client.close();
            fail("no connection to " + address);
        }
        return client;
    }

    /** A node that no other test uses. */
    static String freshRoot(ZooKeeper client) throws Exception {
        return client.create("/test-" + UUID.randomUUID(), null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] data) {
        return new String(data, StandardCharsets.UTF_8);
    }

    static CuratorFramework curator(String namespace) {
        return curator(namespace, ADDRESS, SESSION_MS);
    }

    /** A client whose listeners have heard that it is connected: recipes that are told of it later tell their own listeners of old values. */
    static CuratorFramework connectedCurator(String namespace) throws InterruptedException {
        CuratorFramework client = unstarted(namespace, ADDRESS, SESSION_MS);
        CountDownLatch told = new CountDownLatch(1);
        client.getConnectionStateListenable().addListener((source, state) -> told.countDown());
        client.start();
        assertTrue(told.await(PATIENCE_SECONDS, TimeUnit.SECONDS), "connected");
        return client;
    }

    static CuratorFramework curator(String namespace, String address, int timeoutMs) {
        CuratorFramework client = unstarted(namespace, address, timeoutMs);
        client.start();
        return client;
    }

    private static CuratorFramework unstarted(String namespace, String address, int timeoutMs) {
        return CuratorFrameworkFactory.builder()
            .connectString(address).namespace(namespace)
            .sessionTimeoutMs(timeoutMs).connectionTimeoutMs(5_000)
            .retryPolicy(new RetryNTimes(50, 100)).build();
    }

    /** Collects the states of a connection after the first one, which may be told before or after this call. */
    static void followConnection(CuratorFramework client, Queue<ConnectionState> states) throws Exception {
        assertTrue(client.blockUntilConnected(PATIENCE_SECONDS, TimeUnit.SECONDS));
        client.getConnectionStateListenable().addListener((source, state) -> {
            if (state != ConnectionState.CONNECTED) {
                states.add(state);
            }
        });
    }

    static String freshNamespace() {
        return "curator-" + UUID.randomUUID();
    }

    /** Ends the session of a client on the server, behind its back, by closing it over a second connection. */
    static void expire(CuratorFramework client) throws Exception {
        ZooKeeper own = client.getZookeeperClient().getZooKeeper();
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper twin = new ZooKeeper(ADDRESS, SESSION_MS, event -> {
            if (event.getState() == KeeperState.SyncConnected) {
                connected.countDown();
            }
        }, own.getSessionId(), own.getSessionPasswd());
        if (!connected.await(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
            fail("the session cannot be taken over");
        }
        twin.close();
    }
}
