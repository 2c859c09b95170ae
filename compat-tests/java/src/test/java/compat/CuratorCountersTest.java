package compat;

import static compat.Support.bytes;
import static compat.Support.text;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.CachedAtomicLong;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicInteger;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicValue;
import org.apache.curator.framework.recipes.atomic.PromotedToLock;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedCountListener;
import org.apache.curator.framework.recipes.shared.SharedCountReader;
import org.apache.curator.framework.recipes.shared.SharedValue;
import org.apache.curator.framework.recipes.shared.VersionedValue;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Curator's counters and values, which many clients change at once. */
class CuratorCountersTest {
    private static final RetryNTimes STUBBORN = new RetryNTimes(1_000, 1);
    private Crowd crowd;

    @BeforeEach
    void connect() throws InterruptedException {
        crowd = new Crowd(3);
    }

    @AfterEach
    void close() {
        crowd.close();
    }

    @Test
    void atomicLongCountsEveryIncrement() throws Exception {
        List<Long> given = Collections.synchronizedList(new ArrayList<>());
        crowd.everywhere(client -> {
            DistributedAtomicLong counter = new DistributedAtomicLong(client, "/long", STUBBORN);
            for (int i = 0; i < 20; i++) {
                AtomicValue<Long> value = counter.increment();
                assertTrue(value.succeeded());
                given.add(value.postValue());
            }
        });
        assertEquals(60L, new DistributedAtomicLong(crowd.client(0), "/long", STUBBORN).get().postValue());
        assertEquals(60, new HashSet<>(given).size(), "two got the same number");
    }

    @Test
    void atomicIntegerUnderALock() throws Exception {
        // The holder of the lock still competes with those who try once without it.
        PromotedToLock lock = PromotedToLock.builder().lockPath("/lock").timeout(Support.PATIENCE_SECONDS, TimeUnit.SECONDS)
            .retryPolicy(STUBBORN).build();
        crowd.everywhere(client -> {
            DistributedAtomicInteger counter = new DistributedAtomicInteger(client, "/integer", new RetryNTimes(0, 0), lock);
            for (int i = 0; i < 10; i++) {
                assertTrue(counter.subtract(2).succeeded());
            }
        });
        assertEquals(-60, new DistributedAtomicInteger(crowd.client(0), "/integer", STUBBORN).get().postValue());
    }

    @Test
    void cachedNumbersAreUnique() throws Exception {
        Set<Long> given = Collections.synchronizedSet(new HashSet<>());
        crowd.everywhere(client -> {
            CachedAtomicLong numbers = new CachedAtomicLong(new DistributedAtomicLong(client, "/cached", STUBBORN), 7);
            for (int i = 0; i < 30; i++) {
                assertTrue(given.add(numbers.next().postValue()), "given twice");
            }
        });
        assertEquals(90, given.size());
    }

    @Test
    void compareAndSetOfAValue() throws Exception {
        DistributedAtomicValue one = new DistributedAtomicValue(crowd.client(0), "/value", STUBBORN);
        DistributedAtomicValue two = new DistributedAtomicValue(crowd.client(1), "/value", STUBBORN);
        assertTrue(one.initialize(bytes("a")));
        assertFalse(two.initialize(bytes("b")));
        assertFalse(two.compareAndSet(bytes("b"), bytes("c")).succeeded());
        assertTrue(two.compareAndSet(bytes("a"), bytes("c")).succeeded());
        assertEquals("c", text(one.get().postValue()));
    }

    @Test
    void sharedCountIsToldToAll() throws Exception {
        BlockingQueue<Integer> told = new LinkedBlockingQueue<>();
        try (SharedCount one = new SharedCount(crowd.client(0), "/count", 10); SharedCount two = new SharedCount(crowd.client(1), "/count", 99)) {
            one.start();
            two.start();
            assertEquals(10, two.getCount());
            two.addListener(new SharedCountListener() {
                @Override
                public void countHasChanged(SharedCountReader count, int value) {
                    told.add(value);
                }

                @Override
                public void stateChanged(CuratorFramework client, ConnectionState state) {
                    // The test follows the count only.
                }
            });
            for (int value = 11; value < 16; value++) {
                one.setCount(value);
                assertEquals(value, told.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            }
            VersionedValue<Integer> known = two.getVersionedValue();
            one.setCount(20);
            assertFalse(two.trySetCount(known, 30), "set over a change not seen");
            Support.await("the change is seen", () -> two.getCount() == 20);
            assertTrue(two.trySetCount(two.getVersionedValue(), 30));
            Support.await("and goes back", () -> one.getCount() == 30);
        }
    }

    @Test
    void sharedValueCountsUnderContention() throws Exception {
        crowd.everywhere(client -> {
            try (SharedValue value = new SharedValue(client, "/shared", bytes("0"))) {
                value.start();
                for (int done = 0; done < 10; ) {
                    VersionedValue<byte[]> known = value.getVersionedValue();
                    int next = Integer.parseInt(text(known.getValue())) + 1;
                    done += value.trySetValue(known, bytes(Integer.toString(next))) ? 1 : 0;
                }
            }
        });
        assertEquals("30", text(crowd.client(0).getData().forPath("/shared")));
    }
}
