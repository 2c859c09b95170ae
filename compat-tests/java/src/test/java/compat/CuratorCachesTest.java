package compat;

import static compat.Support.bytes;
import static compat.Support.text;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Curator recipes that mirror the tree, and its transactions. One client writes, another watches. */
@SuppressWarnings("deprecation")
class CuratorCachesTest {
    private Proxy proxy;
    private CuratorFramework writer;
    private CuratorFramework watcher;

    @BeforeEach
    void connect() throws Exception {
        String namespace = Support.freshNamespace();
        proxy = new Proxy();
        writer = Support.curator(namespace);
        watcher = Support.curator(namespace, proxy.address(), Support.SESSION_MS);
        writer.create().forPath("/top", bytes("top"));
    }

    @AfterEach
    void close() throws Exception {
        proxy.mend();
        watcher.close();
        writer.close();
        proxy.close();
    }

    /** Cuts the watching client off, lets the other write, and joins them again. */
    private void behindItsBack(Runnable work) throws Exception {
        BlockingQueue<ConnectionState> states = new LinkedBlockingQueue<>();
        Support.followConnection(watcher, states);
        proxy.cut();
        assertEquals(ConnectionState.SUSPENDED, states.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
        work.run();
        proxy.mend();
        assertEquals(ConnectionState.RECONNECTED, states.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
    }

    private void write(String path, String data) {
        try {
            writer.create().orSetData().creatingParentsIfNeeded().forPath(path, bytes(data));
        } catch (Exception failure) {
            throw new AssertionError("write " + path, failure);
        }
    }

    private void delete(String path) {
        try {
            writer.delete().deletingChildrenIfNeeded().forPath(path);
        } catch (Exception failure) {
            throw new AssertionError("delete " + path, failure);
        }
    }

    @Test
    void curatorCacheFollows() throws Exception {
        try (CuratorCache cache = CuratorCache.build(watcher, "/top")) {
            BlockingQueue<String> told = new LinkedBlockingQueue<>();
            cache.listenable().addListener(CuratorCacheListener.builder()
                .forCreates(node -> told.add("create " + node.getPath()))
                .forChanges((before, after) -> told.add("change " + after.getPath() + " " + text(after.getData())))
                .forDeletes(node -> told.add("delete " + node.getPath())).build());
            cache.start();
            assertEquals("create /top", told.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            write("/top/a", "1");
            assertEquals("create /top/a", told.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            write("/top/a", "2");
            assertEquals("change /top/a 2", told.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            delete("/top/a");
            assertEquals("delete /top/a", told.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            write("/top/b/c", "old");
            Support.await("old known", () -> cache.get("/top/b/c").filter(node -> text(node.getData()).equals("old")).isPresent());
            behindItsBack(() -> {
                write("/top/b/c", "new");
                write("/top/d", "born");
            });
            Support.await("changes behind its back", () -> cache.get("/top/d").isPresent()
                && cache.get("/top/b/c").filter(node -> text(node.getData()).equals("new")).isPresent());
        }
    }

    @Test
    void treeCacheFollows() throws Exception {
        try (TreeCache cache = new TreeCache(watcher, "/top")) {
            cache.start();
            write("/top/a/b", "1");
            Support.await("created", () -> cache.getCurrentData("/top/a/b") != null);
            behindItsBack(() -> {
                write("/top/a/b", "2");
                delete("/top/a/b");
                write("/top/a/c", "3");
            });
            Support.await("changes behind its back", () -> cache.getCurrentData("/top/a/b") == null && cache.getCurrentData("/top/a/c") != null);
            assertEquals("3", text(cache.getCurrentData("/top/a/c").getData()));
            assertEquals(Set.of("c"), cache.getCurrentChildren("/top/a").keySet());
        }
    }

    @Test
    void pathChildrenCacheFollows() throws Exception {
        write("/top/first", "1");
        try (PathChildrenCache cache = new PathChildrenCache(watcher, "/top", true)) {
            cache.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
            assertEquals("1", text(cache.getCurrentData("/top/first").getData()));
            for (int i = 0; i < 20; i++) {
                write("/top/n" + i, "x");
            }
            Support.await("all children", () -> cache.getCurrentData().size() == 21);
            write("/top/first", "2");
            Support.await("new data", () -> text(cache.getCurrentData("/top/first").getData()).equals("2"));
            delete("/top/first");
            Support.await("deleted", () -> cache.getCurrentData("/top/first") == null);
        }
    }

    @Test
    void nodeCacheFollows() throws Exception {
        try (NodeCache cache = new NodeCache(watcher, "/top/node")) {
            cache.start(true);
            assertEquals(null, cache.getCurrentData());
            for (int i = 0; i < 5; i++) {
                String value = "v" + i;
                write("/top/node", value);
                Support.await(value, () -> cache.getCurrentData() != null && text(cache.getCurrentData().getData()).equals(value));
            }
            delete("/top/node");
            Support.await("gone", () -> cache.getCurrentData() == null);
        }
    }

    @Test
    void persistentWatcherSurvivesReconnect() throws Exception {
        BlockingQueue<String> told = new LinkedBlockingQueue<>();
        BlockingQueue<Boolean> resets = new LinkedBlockingQueue<>();
        try (PersistentWatcher watch = new PersistentWatcher(watcher, "/top", true)) {
            watch.getListenable().addListener(event -> {
                if (event.getType() != EventType.None) {
                    told.add(event.getType() + " " + event.getPath());
                }
            });
            watch.getResetListenable().addListener(() -> resets.add(true));
            watch.start();
            assertNotNull(resets.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            write("/top/a", "1");
            assertEquals("NodeCreated /top/a", told.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            behindItsBack(() -> write("/top/unseen", "x"));
            assertNotNull(resets.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            write("/top/a", "2");
            assertEquals("NodeDataChanged /top/a", told.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
        }
    }

    @Test
    void transactionsAreAllOrNothing() throws Exception {
        List<CuratorTransactionResult> results = watcher.transaction().forOperations(
            watcher.transactionOp().create().forPath("/top/t", bytes("1")),
            watcher.transactionOp().setData().withVersion(0).forPath("/top/t", bytes("2")),
            watcher.transactionOp().check().withVersion(1).forPath("/top/t"));
        assertEquals("/top/t", results.get(0).getForPath());
        assertThrows(KeeperException.BadVersionException.class, () -> watcher.transaction().forOperations(
            watcher.transactionOp().delete().forPath("/top/t"), watcher.transactionOp().check().withVersion(9).forPath("/top")));
        assertEquals("2", text(writer.getData().forPath("/top/t")));
    }
}
