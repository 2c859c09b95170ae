package compat.moving;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;

/** A cache of what all clients create, set and delete below one znode, and this client's part of that. */
final class Mirror {
    static final String ROOT = Client.ROOT + "/cached";
    private static final int PATIENCE_SECONDS = 20;
    private static final int POLL_MS = 20;
    /** Each client has at most so many znodes there at a time. */
    private static final int PLACES = 8;

    private final CuratorFramework curator;
    private final CuratorCache cache;
    private final String mine;
    private int changes;
    private volatile int compared;

    Mirror(CuratorFramework curator, String name) throws Exception {
        this.curator = curator;
        mine = ROOT + "/" + name;
        curator.create().idempotent().forPath(mine, new byte[0]);
        cache = CuratorCache.build(curator, ROOT);
        cache.start();
    }

    /** Each place is taken in one turn and freed in another, so that what a cache misses stays wrong until it is looked for. */
    void change() throws Exception {
        changes++;
        String place = mine + "/" + changes * 3 % PLACES;
        if (changes / PLACES % 2 == 0) {
            curator.create().idempotent().forPath(place, "taken".getBytes(UTF_8));
            curator.setData().forPath(place, Integer.toString(changes).getBytes(UTF_8));
        } else {
            curator.delete().idempotent().forPath(place);
        }
    }

    /** The cache has to become what the tree is, while nobody writes. */
    void compare(List<String> errors) throws Exception {
        curator.sync().forPath(ROOT);
        Map<String, String> tree = new TreeMap<>();
        read(ROOT, tree);
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
        while (!cached().equals(tree)) {
            if (System.nanoTime() > deadline) {
                errors.add("the cache is " + cached() + ", the tree is " + tree);
                break;
            }
            TimeUnit.MILLISECONDS.sleep(POLL_MS);
        }
        compared += tree.size();
    }

    private Map<String, String> cached() {
        return cache.stream().collect(Collectors.toMap(ChildData::getPath, entry -> describe(entry.getData()), (a, b) -> b, TreeMap::new));
    }

    private void read(String path, Map<String, String> tree) throws Exception {
        tree.put(path, describe(curator.getData().forPath(path)));
        for (String child : curator.getChildren().forPath(path)) {
            read(path + "/" + child, tree);
        }
    }

    private static String describe(byte[] data) {
        return new String(data, UTF_8);
    }

    /** Znodes in all comparisons. */
    int compared() {
        return compared;
    }

    void close() {
        cache.close();
    }
}
