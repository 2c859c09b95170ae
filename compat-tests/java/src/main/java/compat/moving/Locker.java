package compat.moving;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.data.Stat;

/** Adds one to a znode under a lock: nobody else may write meanwhile. */
final class Locker {
    static final String SHARED = Client.ROOT + "/shared";
    static final String LOCK = Client.ROOT + "/lock";
    private static final int PATIENCE_SECONDS = 60;

    private final CuratorFramework curator;
    private final InterProcessMutex mutex;
    private final String name;
    private volatile int locked;

    Locker(CuratorFramework curator, String name) {
        this.curator = curator;
        this.name = name;
        mutex = new InterProcessMutex(curator, LOCK);
    }

    void addOne(List<String> errors) throws Exception {
        if (!mutex.acquire(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
            errors.add("no lock within " + PATIENCE_SECONDS + " s");
            return;
        }
        try {
            Stat stat = new Stat();
            String value = new String(curator.getData().storingStatIn(stat).forPath(SHARED), UTF_8);
            String mine = Integer.parseInt(value.split(" ")[0]) + 1 + " " + name;
            // Idempotent: a retry that finds this very value as the next version was acknowledged late.
            curator.setData().idempotent().withVersion(stat.getVersion()).forPath(SHARED, mine.getBytes(UTF_8));
            locked++;
        } catch (KeeperException.BadVersionException other) {
            errors.add("somebody else wrote while this client had the lock");
        } finally {
            mutex.release();
        }
    }

    /** How often this client has done so. */
    int locked() {
        return locked;
    }
}
