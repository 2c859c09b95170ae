package compat.moving;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.Lock;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryUntilElapsed;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.data.Stat;

/** One session and what it was told. */
final class Client extends Thread {
    static final String ROOT = "/curator";
    static final String WRITES = ROOT + "/writes";
    static final String COUNTERS = ROOT + "/counters";
    static final String SERVICES = ROOT + "/services";
    static final String LATCH = ROOT + "/latch";
    private static final int CONNECTION_MS = 5_000;
    private static final int RETRY_MS = 20;
    /** A request that Curator's retries do not bring through within this time is an error. */
    private static final int PATIENCE_MS = 60_000;
    private static final int LOCK_EVERY = 5;
    private static final int ERRORS_TOLD = 5;

    private final Lock turnLock;
    private final CuratorFramework curator;
    private final PersistentNode registration;
    private final LeaderLatch latch;
    private final Locker locker;
    private final Mirror mirror;
    private final AtomicInteger losses = new AtomicInteger();
    private final AtomicInteger sessionsLost = new AtomicInteger();
    private final List<String> errors = new CopyOnWriteArrayList<>();
    private final long session;
    private final long registered;
    private volatile boolean ends;
    private volatile int acknowledged;
    private volatile int set;
    private volatile double longestSilence;
    private long last = System.nanoTime();

    Client(String hosts, String name, int sessionMs, Lock turnLock) throws Exception {
        super(name);
        this.turnLock = turnLock;
        curator = connect(hosts, sessionMs);
        curator.getConnectionStateListenable().addListener((source, state) -> note(state));
        session = currentSession();
        registration = new PersistentNode(curator, CreateMode.EPHEMERAL, false, SERVICES + "/" + name, name.getBytes(UTF_8));
        registration.start();
        if (!registration.waitForInitialCreate(PATIENCE_MS, TimeUnit.MILLISECONDS)) {
            throw new IllegalStateException(name + " is not registered");
        }
        registered = curator.checkExists().forPath(registration.getActualPath()).getCzxid();
        latch = new LeaderLatch(curator, LATCH, name);
        latch.start();
        locker = new Locker(curator, name);
        mirror = new Mirror(curator, name);
        curator.create().idempotent().forPath(WRITES + "/" + name, new byte[0]);
        curator.create().idempotent().forPath(COUNTERS + "/" + name, "0".getBytes(UTF_8));
    }

    static CuratorFramework connect(String hosts, int sessionMs) throws InterruptedException {
        CuratorFramework curator = CuratorFrameworkFactory.builder()
            .connectString(hosts).sessionTimeoutMs(sessionMs).connectionTimeoutMs(CONNECTION_MS)
            .retryPolicy(new RetryUntilElapsed(PATIENCE_MS, RETRY_MS)).build();
        curator.start();
        if (!curator.blockUntilConnected(PATIENCE_MS, TimeUnit.MILLISECONDS)) {
            throw new IllegalStateException("no connection to " + hosts);
        }
        return curator;
    }

    private void note(ConnectionState state) {
        if (state == ConnectionState.SUSPENDED) {
            losses.incrementAndGet();
        }
        if (state == ConnectionState.LOST) {
            sessionsLost.incrementAndGet();
        }
    }

    private long currentSession() {
        try {
            return curator.getZookeeperClient().getZooKeeper().getSessionId();
        } catch (Exception none) {
            // The client of the registry's package has a handle whenever it is asked for one, unless it was closed.
            return 0;
        }
    }

    @Override
    public void run() {
        try {
            for (int turn = 1; !ends; turn++) {
                turnLock.lock();
                try {
                    turn(turn);
                } finally {
                    turnLock.unlock();
                }
            }
        } catch (Exception error) {
            errors.add(error.toString());
        }
    }

    private void turn(int turn) throws Exception {
        write();
        mirror.change();
        spoke();
        if (turn % LOCK_EVERY == 0) {
            locker.addOne(errors);
            lookAtRegistration();
            spoke();
        }
    }

    /** A znode that was created and a number that was set; both are counted when they are acknowledged. */
    private void write() throws Exception {
        int number = acknowledged + 1;
        byte[] data = Integer.toString(number).getBytes(UTF_8);
        curator.create().idempotent().forPath(String.format("%s/%s/%08d", WRITES, getName(), number), data);
        acknowledged = number;
        spoke();
        curator.setData().forPath(COUNTERS + "/" + getName(), data);
        set = number;
    }

    private void spoke() {
        long now = System.nanoTime();
        longestSilence = Math.max(longestSilence, (now - last) / 1e9);
        last = now;
    }

    /** A PersistentNode that was lost is made again: only the zxid of its creation tells. */
    private void lookAtRegistration() throws Exception {
        Stat stat = curator.checkExists().forPath(SERVICES + "/" + getName());
        if (stat == null || stat.getEphemeralOwner() != session || stat.getCzxid() != registered) {
            errors.add("the registration is " + stat);
        }
    }

    void endWrites() throws InterruptedException {
        ends = true;
        join(PATIENCE_MS);
    }

    /** Only while no client writes. */
    void compareCache() throws Exception {
        mirror.compare(errors);
    }

    Map<String, Object> report() {
        Map<String, Object> told = new HashMap<>();
        told.put("root", ROOT);
        told.put("name", getName());
        told.put("acknowledged", acknowledged);
        told.put("set", set);
        told.put("locked", locker.locked());
        told.put("losses", losses.get());
        told.put("errors", errors.stream().limit(ERRORS_TOLD).toList());
        told.put("sessions_lost", sessionsLost.get() + (currentSession() == session ? 0 : 1));
        told.put("session", session);
        told.put("connected", curator.getZookeeperClient().isConnected());
        told.put("longest_silence", Math.round(longestSilence * 100) / 100.0);
        told.put("alive", isAlive());
        told.put("leads", latch.hasLeadership());
        told.put("compared", mirror.compared());
        return told;
    }

    void close() throws Exception {
        mirror.close();
        latch.close();
        registration.close();
        curator.close();
    }
}
