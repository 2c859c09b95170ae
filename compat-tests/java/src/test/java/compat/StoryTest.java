package compat;

import static compat.Support.bytes;
import static compat.Support.text;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;
import org.junit.jupiter.api.Test;

/** A small data centre: hosts that share a configuration, databases that agree on a master, workers with a lock. */
class StoryTest {
    private static final int SESSION_MS = 2_000;
    /** Half a second is one tick of the server of ./run; a session ends at the tick after its time. */
    private static final int TICK_MS = 500;

    /** A web host: always knows the newest value of one node, by watching it. */
    private static final class Host implements AutoCloseable {
        private final ZooKeeper client;
        private final String path;
        private final List<String> seen = Collections.synchronizedList(new ArrayList<>());

        Host(String path) throws Exception {
            this.client = Support.connect();
            this.path = path;
            read();
        }

        private void read() {
            client.getData(path, event -> read(), (code, name, context, data, stat) -> {
                if (code == 0) {
                    seen.add(text(data));
                }
            }, null);
        }

        String latest() {
            return seen.isEmpty() ? "" : seen.get(seen.size() - 1);
        }

        @Override
        public void close() throws Exception {
            client.close();
        }
    }

    /** A database: candidate for master with an ephemeral sequential node; the lowest number is master. */
    private static final class Database implements AutoCloseable {
        final String name;
        final Proxy wire = new Proxy();
        final Events states = new Events();
        final ZooKeeper client;
        private final String root;
        private final String own;

        Database(String name, String root) throws Exception {
            this.name = name;
            this.root = root;
            this.client = Support.connect(wire.address(), SESSION_MS, states);
            this.own = client.create(root + "/candidates/c-", bytes(name), Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL);
        }

        boolean isMaster() throws Exception {
            return own.equals(root + "/candidates/" + Collections.min(client.getChildren(root + "/candidates", false)));
        }

        /** Watches the candidate before it, and takes the mastership as soon as that one is gone. */
        void campaign() {
            try {
                if (isMaster()) {
                    Stat stat = client.exists(root + "/master", false);
                    client.setData(root + "/master", bytes(name), stat.getVersion());
                } else if (client.exists(root + "/candidates/" + before(), event -> campaign()) == null) {
                    campaign();
                }
            } catch (KeeperException.ConnectionLossException | KeeperException.SessionExpiredException cutOff) {
                // A database without connection has nothing to claim.
            } catch (Exception unexpected) {
                throw new IllegalStateException(unexpected);
            }
        }

        private String before() throws Exception {
            String mine = own.substring(own.lastIndexOf('/') + 1);
            return client.getChildren(root + "/candidates", false).stream()
                .filter(each -> each.compareTo(mine) < 0).max(String::compareTo).orElseThrow();
        }

        @Override
        public void close() throws Exception {
            wire.mend();
            client.close();
            wire.close();
        }
    }

    @Test
    void hostsLearnEveryConfiguration() throws Exception {
        try (ZooKeeper admin = Support.connect()) {
            String path = Support.freshRoot(admin);
            admin.setData(path, bytes("v0"), 0);
            try (Host one = new Host(path); Host two = new Host(path); Host three = new Host(path)) {
                List<Host> hosts = List.of(one, two, three);
                for (Host host : hosts) {
                    Support.await("the first configuration", () -> host.latest().equals("v0"));
                }
                for (int version = 1; version <= 20; version++) {
                    String value = "v" + version;
                    admin.setData(path, bytes(value), version);
                    for (Host host : hosts) {
                        Support.await(value + " known to all", () -> host.latest().equals(value));
                    }
                }
                List<String> all = new ArrayList<>();
                for (int version = 0; version <= 20; version++) {
                    all.add("v" + version);
                }
                for (Host host : hosts) {
                    assertEquals(all, host.seen.stream().distinct().toList());
                }
            }
        }
    }

    @Test
    void masterDiesAndTheOtherTakesOver() throws Exception {
        try (ZooKeeper admin = Support.connect()) {
            String root = Support.freshRoot(admin);
            admin.create(root + "/candidates", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            admin.create(root + "/master", bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            try (Host one = new Host(root + "/master"); Host two = new Host(root + "/master"); Host three = new Host(root + "/master");
                    Database left = new Database("left", root); Database right = new Database("right", root)) {
                List<Host> hosts = List.of(one, two, three);
                left.campaign();
                right.campaign();
                awaitMaster(hosts, "left");
                assertTrue(left.isMaster());
                assertFalse(right.isMaster());

                left.wire.cut();
                long died = System.nanoTime();
                awaitMaster(hosts, "right");
                long tookMs = (System.nanoTime() - died) / 1_000_000;
                assertTrue(tookMs <= SESSION_MS + 2 * TICK_MS + 1_000, "new master known after " + tookMs + " ms");
                assertTrue(right.isMaster());

                // The old master cannot still believe: its session is gone, for certain, when it is back.
                left.wire.mend();
                left.states.awaitState(KeeperState.Expired);
                assertThrows(KeeperException.SessionExpiredException.class, left::isMaster);
                assertThrows(KeeperException.SessionExpiredException.class,
                    () -> left.client.setData(root + "/master", bytes("left"), -1));
                try (Database back = new Database("left again", root)) {
                    back.campaign();
                    assertFalse(back.isMaster());
                    assertEquals("right", text(admin.getData(root + "/master", false, null)));
                }
            }
        }
    }

    private static void awaitMaster(List<Host> hosts, String name) throws Exception {
        for (Host host : hosts) {
            Support.await(name + " known as master", () -> host.latest().equals(name));
        }
    }

    @Test
    void lockOfSequentialNodesExcludes() throws Exception {
        int workers = 4;
        AtomicInteger inside = new AtomicInteger();
        List<String> order = Collections.synchronizedList(new ArrayList<>());
        ExecutorService pool = Executors.newFixedThreadPool(workers);
        try (ZooKeeper admin = Support.connect()) {
            String root = Support.freshRoot(admin);
            List<Future<?>> work = new ArrayList<>();
            for (int worker = 0; worker < workers; worker++) {
                work.add(pool.submit(() -> lockTenTimes(root, inside, order)));
            }
            for (Future<?> each : work) {
                each.get();
            }
            assertEquals(List.of(), admin.getChildren(root, false));
        } catch (ExecutionException failure) {
            throw new AssertionError("a worker failed", failure.getCause());
        } finally {
            pool.shutdownNow();
        }
        List<String> sorted = new ArrayList<>(order);
        Collections.sort(sorted);
        assertEquals(workers * 10, order.size());
        assertEquals(sorted, order, "the lock was not given in the order of the numbers");
    }

    private static Void lockTenTimes(String root, AtomicInteger inside, List<String> order) throws Exception {
        try (ZooKeeper client = Support.connect()) {
            for (int round = 0; round < 10; round++) {
                String own = client.create(root + "/l-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL);
                Support.await("lock", () -> own.endsWith(Collections.min(client.getChildren(root, false))));
                assertEquals(1, inside.incrementAndGet(), "two holders of one lock");
                order.add(own);
                inside.decrementAndGet();
                client.delete(own, -1);
            }
        }
        return null;
    }
}
