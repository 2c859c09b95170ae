package compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.retry.RetryNTimes;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Curator recipes that let processes wait for each other. */
class CuratorLocksTest {
    private static final int SECONDS = Support.PATIENCE_SECONDS;
    private final ExecutorService pool = Executors.newCachedThreadPool();
    private final List<CuratorFramework> clients = new ArrayList<>();

    @BeforeEach
    void connect() {
        String namespace = Support.freshNamespace();
        for (int i = 0; i < 3; i++) {
            clients.add(Support.curator(namespace));
        }
    }

    @AfterEach
    void close() {
        pool.shutdownNow();
        clients.forEach(CuratorFramework::close);
    }

    private interface Work {
        void with(CuratorFramework client) throws Exception;
    }

    /** Runs the work once per client, all at the same time, and waits for all. */
    private void everywhere(Work work) throws Exception {
        List<Future<Void>> running = new ArrayList<>();
        for (CuratorFramework client : clients) {
            running.add(inBackground(() -> {
                work.with(client);
                return null;
            }));
        }
        for (Future<Void> each : running) {
            each.get(2 * SECONDS, TimeUnit.SECONDS);
        }
    }

    private <T> Future<T> inBackground(Callable<T> work) {
        return pool.submit(work);
    }

    @Test
    void mutexExcludes() throws Exception {
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger rounds = new AtomicInteger();
        everywhere(client -> {
            InterProcessMutex mutex = new InterProcessMutex(client, "/mutex");
            for (int i = 0; i < 10; i++) {
                assertTrue(mutex.acquire(SECONDS, TimeUnit.SECONDS));
                assertEquals(1, inside.incrementAndGet());
                rounds.incrementAndGet();
                inside.decrementAndGet();
                mutex.release();
            }
        });
        assertEquals(30, rounds.get());
    }

    @Test
    void mutexOfADeadHolderIsFree() throws Exception {
        InterProcessMutex held = new InterProcessMutex(clients.get(0), "/mutex");
        held.acquire();
        InterProcessMutex waiting = new InterProcessMutex(clients.get(1), "/mutex");
        assertFalse(waiting.acquire(50, TimeUnit.MILLISECONDS));
        Future<Boolean> got = inBackground(() -> waiting.acquire(SECONDS, TimeUnit.SECONDS));
        Support.expire(clients.get(0));
        assertTrue(got.get(SECONDS, TimeUnit.SECONDS));
    }

    @Test
    void readersShareWritersDoNot() throws Exception {
        InterProcessReadWriteLock one = new InterProcessReadWriteLock(clients.get(0), "/rw");
        InterProcessReadWriteLock two = new InterProcessReadWriteLock(clients.get(1), "/rw");
        InterProcessReadWriteLock three = new InterProcessReadWriteLock(clients.get(2), "/rw");
        one.readLock().acquire();
        assertTrue(two.readLock().acquire(SECONDS, TimeUnit.SECONDS));
        assertFalse(three.writeLock().acquire(50, TimeUnit.MILLISECONDS));
        Future<Boolean> writer = inBackground(() -> three.writeLock().acquire(SECONDS, TimeUnit.SECONDS));
        one.readLock().release();
        two.readLock().release();
        assertTrue(writer.get(SECONDS, TimeUnit.SECONDS));
        assertFalse(one.readLock().acquire(50, TimeUnit.MILLISECONDS));
    }

    @Test
    void semaphoreCounts() throws Exception {
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        everywhere(client -> {
            InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(client, "/semaphore", 2);
            for (int i = 0; i < 8; i++) {
                Lease lease = semaphore.acquire(SECONDS, TimeUnit.SECONDS);
                assertNotNull(lease);
                int now = inside.incrementAndGet();
                assertTrue(now <= 2, "more holders than leases");
                most.accumulateAndGet(now, Math::max);
                inside.decrementAndGet();
                semaphore.returnLease(lease);
            }
        });
        assertTrue(most.get() >= 1);
        InterProcessSemaphoreV2 first = new InterProcessSemaphoreV2(clients.get(0), "/full", 2);
        InterProcessSemaphoreV2 second = new InterProcessSemaphoreV2(clients.get(1), "/full", 2);
        Lease held = first.acquire();
        assertNotNull(second.acquire(SECONDS, TimeUnit.SECONDS));
        assertNull(second.acquire(50, TimeUnit.MILLISECONDS));
        first.returnLease(held);
        assertNotNull(second.acquire(SECONDS, TimeUnit.SECONDS));
    }

    @Test
    void barrierHoldsUntilRemoved() throws Exception {
        DistributedBarrier barrier = new DistributedBarrier(clients.get(0), "/barrier");
        barrier.setBarrier();
        assertFalse(new DistributedBarrier(clients.get(1), "/barrier").waitOnBarrier(50, TimeUnit.MILLISECONDS));
        List<Future<Boolean>> waiting = new ArrayList<>();
        for (CuratorFramework client : clients.subList(1, 3)) {
            waiting.add(inBackground(() -> new DistributedBarrier(client, "/barrier").waitOnBarrier(SECONDS, TimeUnit.SECONDS)));
        }
        barrier.removeBarrier();
        for (Future<Boolean> each : waiting) {
            assertTrue(each.get(SECONDS, TimeUnit.SECONDS));
        }
    }

    @Test
    void doubleBarrierEntersAndLeavesTogether() throws Exception {
        AtomicInteger entered = new AtomicInteger();
        AtomicInteger leaving = new AtomicInteger();
        everywhere(client -> {
            DistributedDoubleBarrier barrier = new DistributedDoubleBarrier(client, "/double", clients.size());
            entered.incrementAndGet();
            assertTrue(barrier.enter(SECONDS, TimeUnit.SECONDS));
            assertEquals(clients.size(), entered.get());
            leaving.incrementAndGet();
            assertTrue(barrier.leave(SECONDS, TimeUnit.SECONDS));
            assertEquals(clients.size(), leaving.get());
        });
    }

    @Test
    void atomicLongCountsEveryIncrement() throws Exception {
        everywhere(client -> {
            DistributedAtomicLong counter = new DistributedAtomicLong(client, "/long", new RetryNTimes(1_000, 1));
            for (int i = 0; i < 20; i++) {
                assertTrue(counter.increment().succeeded());
            }
        });
        AtomicValue<Long> value = new DistributedAtomicLong(clients.get(0), "/long", new RetryNTimes(10, 1)).get();
        assertEquals(60L, value.postValue());
    }
}
