package compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Curator's barriers: all wait until one says go, or until all are there. */
class CuratorBarriersTest {
    private static final int SECONDS = Support.PATIENCE_SECONDS;
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
    void barrierHoldsUntilRemoved() throws Exception {
        DistributedBarrier barrier = new DistributedBarrier(crowd.client(0), "/barrier");
        barrier.setBarrier();
        assertFalse(new DistributedBarrier(crowd.client(1), "/barrier").waitOnBarrier(50, TimeUnit.MILLISECONDS));
        List<Future<Boolean>> waiting = new ArrayList<>();
        for (int i = 1; i < crowd.size(); i++) {
            DistributedBarrier same = new DistributedBarrier(crowd.client(i), "/barrier");
            waiting.add(crowd.inBackground(() -> same.waitOnBarrier(SECONDS, TimeUnit.SECONDS)));
        }
        barrier.removeBarrier();
        for (Future<Boolean> each : waiting) {
            assertTrue(each.get(SECONDS, TimeUnit.SECONDS));
        }
        assertTrue(barrier.waitOnBarrier(SECONDS, TimeUnit.SECONDS), "no barrier holds nobody");
    }

    @Test
    void doubleBarrierEntersAndLeavesTogether() throws Exception {
        AtomicInteger entered = new AtomicInteger();
        AtomicInteger leaving = new AtomicInteger();
        crowd.everywhere(client -> {
            DistributedDoubleBarrier barrier = new DistributedDoubleBarrier(client, "/double", crowd.size());
            entered.incrementAndGet();
            assertTrue(barrier.enter(SECONDS, TimeUnit.SECONDS));
            assertEquals(crowd.size(), entered.get(), "entered before all were there");
            leaving.incrementAndGet();
            assertTrue(barrier.leave(SECONDS, TimeUnit.SECONDS));
            assertEquals(crowd.size(), leaving.get(), "left before all were done");
        });
        assertNull(crowd.client(0).checkExists().forPath("/double/ready"));
    }

    @Test
    void doubleBarrierOpensOnlyWhenFull() throws Exception {
        DistributedDoubleBarrier alone = new DistributedDoubleBarrier(crowd.client(0), "/double", 2);
        assertFalse(alone.enter(50, TimeUnit.MILLISECONDS));
        DistributedDoubleBarrier first = new DistributedDoubleBarrier(crowd.client(0), "/double", 2);
        Future<Boolean> inside = crowd.inBackground(() -> first.enter(SECONDS, TimeUnit.SECONDS));
        DistributedDoubleBarrier second = new DistributedDoubleBarrier(crowd.client(1), "/double", 2);
        assertTrue(second.enter(SECONDS, TimeUnit.SECONDS));
        assertTrue(inside.get(SECONDS, TimeUnit.SECONDS));
    }
}
