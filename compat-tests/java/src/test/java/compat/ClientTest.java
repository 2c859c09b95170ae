package compat;

import static compat.Support.bytes;
import static compat.Support.text;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The plain Java client: every kind of request, and the watches that follow. */
class ClientTest {
    private ZooKeeper client;
    private ZooKeeper other;
    private String root;

    @BeforeEach
    void connect() throws Exception {
        client = Support.connect();
        other = Support.connect();
        root = Support.freshRoot(client);
    }

    @AfterEach
    void close() throws Exception {
        client.close();
        other.close();
    }

    @Test
    void createReadSetDelete() throws Exception {
        Stat created = new Stat();
        client.create(root + "/a", bytes("one"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, created);
        assertEquals(created.getCzxid(), created.getMzxid());
        assertEquals(3, created.getDataLength());

        Stat set = client.setData(root + "/a", bytes("two!"), 0);
        assertEquals(1, set.getVersion());
        assertEquals(created.getCzxid(), set.getCzxid());
        assertTrue(set.getMzxid() > created.getMzxid());
        Stat read = new Stat();
        assertEquals("two!", text(other.getData(root + "/a", false, read)));
        assertEquals(set, read);

        assertThrows(KeeperException.BadVersionException.class, () -> client.setData(root + "/a", null, 0));
        assertThrows(KeeperException.NodeExistsException.class, () -> plain(root + "/a"));
        assertThrows(KeeperException.NotEmptyException.class, () -> client.delete(root, -1));
        assertThrows(KeeperException.NoNodeException.class, () -> plain(root + "/x/y"));
        client.delete(root + "/a", 1);
        assertNull(other.exists(root + "/a", false));
        assertEquals(2, client.exists(root, false).getCversion());
    }

    @Test
    void nullEmptyAndLargeData() throws Exception {
        client.create(root + "/null", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        client.create(root + "/empty", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        byte[] large = new byte[1_000_000];
        large[999_999] = 7;
        client.create(root + "/large", large, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        assertNull(other.getData(root + "/null", false, null));
        assertEquals(0, other.getData(root + "/empty", false, null).length);
        assertArrayEquals(large, other.getData(root + "/large", false, null));
    }

    @Test
    void oneShotWatches() throws Exception {
        Events events = new Events();
        String path = root + "/w";
        assertNull(client.exists(path, events));
        client.getChildren(root, events);
        other.create(path, bytes("1"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        events.expect(EventType.NodeCreated, path);
        events.expect(EventType.NodeChildrenChanged, root);

        client.getData(path, events, null);
        other.setData(path, bytes("2"), -1);
        events.expect(EventType.NodeDataChanged, path);
        other.setData(path, bytes("3"), -1);
        assertEquals("3", text(client.getData(path, events, null)));
        assertEquals(List.of(), events.rest(), "a used watch fired again");
        other.delete(path, -1);
        events.expect(EventType.NodeDeleted, path);
    }

    @Test
    void persistentAndRemovedWatches() throws Exception {
        Events below = new Events();
        Events here = new Events();
        client.addWatch(root, below, AddWatchMode.PERSISTENT_RECURSIVE);
        client.addWatch(root, here, AddWatchMode.PERSISTENT);
        for (String name : List.of("/p", "/p/q")) {
            other.create(root + name, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            below.expect(EventType.NodeCreated, root + name);
        }
        here.expect(EventType.NodeChildrenChanged, root);
        other.setData(root, bytes("x"), -1);
        here.expect(EventType.NodeDataChanged, root);
        below.expect(EventType.NodeDataChanged, root);

        client.removeWatches(root, below, WatcherType.Any, false);
        other.setData(root + "/p/q", bytes("unseen"), -1);
        client.getData(root + "/p/q", false, null);
        assertEquals(List.of("PersistentWatchRemoved " + root), below.rest());
        assertThrows(KeeperException.NoWatcherException.class,
            () -> client.removeWatches(root, below, WatcherType.Any, false));
    }

    @Test
    void transactionIsAllOrNothing() throws Exception {
        List<OpResult> results = client.multi(List.of(
            Op.create(root + "/m", bytes("0"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
            Op.setData(root + "/m", bytes("1"), 0),
            Op.check(root + "/m", 1),
            Op.create(root + "/m/c", null, Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER),
            Op.delete(root + "/m/c", 0)));
        assertEquals(root + "/m", ((OpResult.CreateResult) results.get(0)).getPath());
        assertEquals(1, ((OpResult.SetDataResult) results.get(1)).getStat().getVersion());

        KeeperException refused = assertThrows(KeeperException.BadVersionException.class, () -> client.multi(List.of(
            Op.setData(root + "/m", bytes("no"), -1), Op.check(root + "/m", 99), Op.delete(root + "/m", -1))));
        List<Integer> codes = refused.getResults().stream().map(result -> ((OpResult.ErrorResult) result).getErr()).toList();
        assertEquals(List.of(0, Code.BADVERSION.intValue(), Code.RUNTIMEINCONSISTENCY.intValue()), codes);
        assertEquals("1", text(other.getData(root + "/m", false, null)));

        List<OpResult> reads = client.multi(List.of(Op.getData(root + "/m"), Op.getChildren(root), Op.getData(root + "/none")));
        assertEquals("1", text(((OpResult.GetDataResult) reads.get(0)).getData()));
        assertEquals(List.of("m"), ((OpResult.GetChildrenResult) reads.get(1)).getChildren());
        assertEquals(Code.NONODE.intValue(), ((OpResult.ErrorResult) reads.get(2)).getErr());
    }

    @Test
    void asynchronousRepliesComeInOrder() throws Exception {
        int count = 1_000;
        List<Integer> order = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch done = new CountDownLatch(2 * count);
        for (int i = 0; i < count; i++) {
            client.create(root + "/n" + i, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, (code, path, number, name) -> {
                order.add(code == 0 ? (Integer) number : -1);
                done.countDown();
            }, 2 * i);
            client.getData(root + "/n" + i, false, (code, path, number, data, stat) -> {
                order.add(code == 0 ? (Integer) number : -1);
                done.countDown();
            }, 2 * i + 1);
        }
        assertTrue(done.await(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
        for (int i = 0; i < 2 * count; i++) {
            assertEquals(i, order.get(i));
        }
        assertEquals(count, other.getAllChildrenNumber(root));
    }

    @Test
    void accessLists() throws Exception {
        client.addAuthInfo("digest", bytes("ann:secret"));
        String path = client.create(root + "/private", bytes("x"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        assertThrows(KeeperException.NoAuthException.class, () -> other.getData(path, false, null));
        assertThrows(KeeperException.NoAuthException.class, () -> other.setACL(path, Ids.OPEN_ACL_UNSAFE, -1));
        other.addAuthInfo("digest", bytes("ann:wrong"));
        assertThrows(KeeperException.NoAuthException.class, () -> other.getData(path, false, null));
        other.addAuthInfo("digest", bytes("ann:secret"));
        assertEquals("x", text(other.getData(path, false, null)));
        assertTrue(other.whoAmI().stream().anyMatch(who -> who.getAuthScheme().equals("digest") && who.getUser().equals("ann")));

        Stat changed = client.setACL(path, new ArrayList<>(List.of(new ACL(Perms.READ, new Id("ip", "127.0.0.1")))), 0);
        assertEquals(1, changed.getAversion());
        assertEquals("x", text(other.getData(path, false, null)));
        assertThrows(KeeperException.NoAuthException.class, () -> client.setData(path, null, -1));
        assertThrows(KeeperException.InvalidACLException.class, () -> client.setACL(root, new ArrayList<>(), -1));
    }

    @Test
    void kindsOfNodes() throws Exception {
        String first = client.create(root + "/s-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL);
        String second = client.create(root + "/s-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL);
        assertEquals(root + "/s-0000000000", first);
        assertEquals(root + "/s-0000000001", second);
        assertEquals(List.of(second), client.getEphemerals(root));
        assertEquals(client.getSessionId(), other.exists(second, false).getEphemeralOwner());
        assertThrows(KeeperException.NoChildrenForEphemeralsException.class, () -> plain(second + "/x"));

        client.create(root + "/box", null, Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER, new Stat());
        assertEquals(0, other.exists(root + "/box", false).getEphemeralOwner());
        client.create(root + "/ttl", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, new Stat(), 3_600_000);
        assertEquals(0, other.exists(root + "/ttl", false).getEphemeralOwner());
        client.close();
        Support.await("ephemeral nodes end with the session", () -> other.exists(second, false) == null);
        assertNotNull(other.exists(root + "/ttl", false));
    }

    @Test
    void syncShowsWhatOthersWrote() throws Exception {
        for (int i = 0; i < 50; i++) {
            other.setData(root, bytes("v" + i), i);
            CountDownLatch synced = new CountDownLatch(1);
            client.sync(root, (code, path, context) -> synced.countDown(), null);
            assertTrue(synced.await(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            assertEquals("v" + i, text(client.getData(root, false, null)));
        }
    }

    private void plain(String path) throws Exception {
        client.create(path, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
    }
}
