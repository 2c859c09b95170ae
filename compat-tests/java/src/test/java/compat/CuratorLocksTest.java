package compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.locks.InterProcessLock;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.locks.Revoker;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Curator's locks. Holders read once from the server while they hold, so that a second holder would be seen. */
class CuratorLocksTest {
    private static final int SECONDS = Support.PATIENCE_SECONDS;
    private static final int SHORT_MS = 50;
    private final AtomicInteger inside = new AtomicInteger();
    private Crowd crowd;

    @BeforeEach
    void connect() throws InterruptedException {
        crowd = new Crowd(3);
    }

    @AfterEach
    void close() {
        crowd.close();
    }

    /** Holds for one round trip; returns how many held at the start of it. */
    private int hold(CuratorFramework client) throws Exception {
        int holders = inside.incrementAndGet();
        client.checkExists().forPath("/held");
        inside.decrementAndGet();
        return holders;
    }

    private void expectExclusive(CuratorFramework client, InterProcessLock lock) throws Exception {
        for (int i = 0; i < 10; i++) {
            assertTrue(lock.acquire(SECONDS, TimeUnit.SECONDS));
            assertEquals(1, hold(client), "two holders of one lock");
            lock.release();
        }
    }

    private static boolean tryShortly(InterProcessLock lock) throws Exception {
        return lock.acquire(SHORT_MS, TimeUnit.MILLISECONDS);
    }

    @Test
    void mutexExcludes() throws Exception {
        crowd.everywhere(client -> expectExclusive(client, new InterProcessMutex(client, "/mutex")));
        assertEquals(List.of(), crowd.client(0).getChildren().forPath("/mutex"));
    }

    @Test
    void semaphoreMutexExcludes() throws Exception {
        crowd.everywhere(client -> expectExclusive(client, new InterProcessSemaphoreMutex(client, "/mutex")));
    }

    @Test
    void mutexIsReentrant() throws Exception {
        InterProcessMutex mutex = new InterProcessMutex(crowd.client(0), "/mutex");
        InterProcessMutex other = new InterProcessMutex(crowd.client(1), "/mutex");
        mutex.acquire();
        assertTrue(tryShortly(mutex));
        mutex.release();
        assertFalse(tryShortly(other));
        mutex.release();
        assertTrue(other.acquire(SECONDS, TimeUnit.SECONDS));
    }

    @Test
    void mutexOfADeadHolderIsFree() throws Exception {
        InterProcessMutex held = new InterProcessMutex(crowd.client(0), "/mutex");
        held.acquire();
        InterProcessMutex waiting = new InterProcessMutex(crowd.client(1), "/mutex");
        assertFalse(tryShortly(waiting));
        Future<Boolean> got = crowd.inBackground(() -> waiting.acquire(SECONDS, TimeUnit.SECONDS));
        Support.expire(crowd.client(0));
        assertTrue(got.get(SECONDS, TimeUnit.SECONDS));
    }

    @Test
    void holderIsAskedToGiveWay() throws Exception {
        CountDownLatch asked = new CountDownLatch(1);
        InterProcessMutex held = new InterProcessMutex(crowd.client(0), "/mutex");
        held.makeRevocable(lock -> asked.countDown());
        held.acquire();
        InterProcessMutex other = new InterProcessMutex(crowd.client(1), "/mutex");
        Revoker.attemptRevoke(crowd.client(1), other.getParticipantNodes().iterator().next());
        assertTrue(asked.await(SECONDS, TimeUnit.SECONDS));
    }

    @Test
    void readersShareWritersDoNot() throws Exception {
        InterProcessReadWriteLock one = new InterProcessReadWriteLock(crowd.client(0), "/rw");
        InterProcessReadWriteLock two = new InterProcessReadWriteLock(crowd.client(1), "/rw");
        InterProcessReadWriteLock three = new InterProcessReadWriteLock(crowd.client(2), "/rw");
        one.readLock().acquire();
        assertTrue(two.readLock().acquire(SECONDS, TimeUnit.SECONDS));
        assertFalse(tryShortly(three.writeLock()));
        Future<Boolean> writer = crowd.inBackground(() -> three.writeLock().acquire(SECONDS, TimeUnit.SECONDS));
        one.readLock().release();
        two.readLock().release();
        assertTrue(writer.get(SECONDS, TimeUnit.SECONDS));
        assertFalse(tryShortly(one.readLock()));
        assertFalse(tryShortly(two.writeLock()));
    }

    @Test
    void writerMayBecomeReader() throws Exception {
        InterProcessReadWriteLock one = new InterProcessReadWriteLock(crowd.client(0), "/rw");
        InterProcessReadWriteLock two = new InterProcessReadWriteLock(crowd.client(1), "/rw");
        one.writeLock().acquire();
        assertTrue(one.readLock().acquire(SECONDS, TimeUnit.SECONDS));
        assertFalse(tryShortly(two.readLock()));
        one.writeLock().release();
        assertTrue(two.readLock().acquire(SECONDS, TimeUnit.SECONDS));
        assertFalse(tryShortly(two.writeLock()));
    }

    @Test
    void semaphoreCounts() throws Exception {
        crowd.everywhere(client -> {
            InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(client, "/semaphore", 2);
            for (int i = 0; i < 8; i++) {
                Lease lease = semaphore.acquire(SECONDS, TimeUnit.SECONDS);
                assertNotNull(lease);
                assertTrue(hold(client) <= 2, "more holders than leases");
                semaphore.returnLease(lease);
            }
        });
        InterProcessSemaphoreV2 first = new InterProcessSemaphoreV2(crowd.client(0), "/full", 2);
        InterProcessSemaphoreV2 second = new InterProcessSemaphoreV2(crowd.client(1), "/full", 2);
        Lease held = first.acquire();
        assertNotNull(second.acquire(SECONDS, TimeUnit.SECONDS));
        assertNull(second.acquire(SHORT_MS, TimeUnit.MILLISECONDS));
        first.returnLease(held);
        assertNotNull(second.acquire(SECONDS, TimeUnit.SECONDS));
    }

    @Test
    void semaphoreGrowsWithItsSharedCount() throws Exception {
        try (SharedCount mine = new SharedCount(crowd.client(0), "/leases", 1); SharedCount theirs = new SharedCount(crowd.client(1), "/leases", 1)) {
            mine.start();
            theirs.start();
            InterProcessSemaphoreV2 first = new InterProcessSemaphoreV2(crowd.client(0), "/semaphore", mine);
            InterProcessSemaphoreV2 second = new InterProcessSemaphoreV2(crowd.client(1), "/semaphore", theirs);
            assertNotNull(first.acquire(SECONDS, TimeUnit.SECONDS));
            assertNull(second.acquire(SHORT_MS, TimeUnit.MILLISECONDS));
            Future<Lease> waiting = crowd.inBackground(() -> second.acquire(SECONDS, TimeUnit.SECONDS));
            mine.setCount(2);
            assertNotNull(waiting.get(SECONDS, TimeUnit.SECONDS));
        }
    }

    private static InterProcessMultiLock both(CuratorFramework client) {
        return new InterProcessMultiLock(client, List.of("/left", "/right"));
    }

    @Test
    void multiLockTakesAllOrNone() throws Exception {
        crowd.everywhere(client -> expectExclusive(client, both(client)));
        InterProcessMutex right = new InterProcessMutex(crowd.client(0), "/right");
        right.acquire();
        assertFalse(tryShortly(both(crowd.client(1))));
        assertTrue(new InterProcessMutex(crowd.client(2), "/left").acquire(SECONDS, TimeUnit.SECONDS), "a failed multi-lock kept a part");
    }
}
