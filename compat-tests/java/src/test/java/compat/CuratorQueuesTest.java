package compat;

import static compat.Support.bytes;
import static compat.Support.text;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.queue.DistributedDelayQueue;
import org.apache.curator.framework.recipes.queue.DistributedIdQueue;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.state.ConnectionState;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Curator's queues: sequential nodes that one client puts and another takes. */
@SuppressWarnings("deprecation")
class CuratorQueuesTest {
    private static final String QUEUE = "/queue";
    private CuratorFramework one;
    private CuratorFramework two;

    @BeforeEach
    void connect() {
        String namespace = Support.freshNamespace();
        one = Support.curator(namespace);
        two = Support.curator(namespace);
    }

    @AfterEach
    void close() {
        one.close();
        two.close();
    }

    private static final class Consumer implements QueueConsumer<String> {
        final BlockingQueue<String> taken = new LinkedBlockingQueue<>();

        @Override
        public void consumeMessage(String message) {
            taken.add(message);
        }

        @Override
        public void stateChanged(CuratorFramework client, ConnectionState state) {
            // The tests count messages only.
        }

        String next() throws InterruptedException {
            return taken.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS);
        }
    }

    private static final QueueSerializer<String> TEXT = new QueueSerializer<>() {
        @Override
        public byte[] serialize(String item) {
            return bytes(item);
        }

        @Override
        public String deserialize(byte[] data) {
            return text(data);
        }
    };

    private static QueueBuilder<String> queue(CuratorFramework client, Consumer consumer) {
        return QueueBuilder.builder(client, consumer, TEXT, QUEUE);
    }

    private void awaitEmpty() throws Exception {
        Support.await("the queue is empty", () -> one.getChildren().forPath(QUEUE).isEmpty());
    }

    @Test
    void eachMessageGoesToOneConsumer() throws Exception {
        Consumer left = new Consumer();
        Consumer right = new Consumer();
        try (DistributedQueue<String> first = queue(one, left).lockPath("/locks").buildQueue();
                DistributedQueue<String> second = queue(two, right).lockPath("/locks").buildQueue()) {
            first.start();
            second.start();
            for (int i = 0; i < 40; i++) {
                (i % 2 == 0 ? first : second).put("m" + i);
            }
            Support.await("all taken", () -> left.taken.size() + right.taken.size() >= 40);
            awaitEmpty();
        }
        List<String> all = new ArrayList<>(left.taken);
        all.addAll(right.taken);
        assertEquals(40, all.size(), "a message was given twice");
        assertEquals(40, Set.copyOf(all).size());
    }

    @Test
    void messagesLeaveInTheirOrder() throws Exception {
        Consumer consumer = new Consumer();
        try (DistributedQueue<String> put = queue(one, null).buildQueue(); DistributedQueue<String> take = queue(two, consumer).buildQueue()) {
            put.start();
            for (int i = 0; i < 30; i++) {
                put.put("m" + i);
            }
            assertTrue(put.flushPuts(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            take.start();
            for (int i = 0; i < 30; i++) {
                assertEquals("m" + i, consumer.next());
            }
        }
    }

    @Test
    void prioritiesComeFirst() throws Exception {
        Consumer consumer = new Consumer();
        try (DistributedPriorityQueue<String> put = queue(one, null).buildPriorityQueue(0);
                DistributedPriorityQueue<String> take = queue(two, consumer).buildPriorityQueue(0)) {
            put.start();
            put.put("low", 900);
            put.put("high", -5);
            put.put("middle", 7);
            assertTrue(put.flushPuts(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            take.start();
            assertEquals(List.of("high", "middle", "low"), List.of(consumer.next(), consumer.next(), consumer.next()));
            awaitEmpty();
        }
    }

    @Test
    void delayedMessagesWait() throws Exception {
        Consumer consumer = new Consumer();
        try (DistributedDelayQueue<String> delayed = queue(one, consumer).buildDelayQueue()) {
            delayed.start();
            long now = System.currentTimeMillis();
            delayed.put("late", now + 600);
            delayed.put("early", now + 300);
            assertEquals("early", consumer.next());
            assertTrue(System.currentTimeMillis() >= now + 300, "given before its time");
            assertEquals("late", consumer.next());
            assertTrue(System.currentTimeMillis() >= now + 600, "given before its time");
            awaitEmpty();
        }
    }

    @Test
    void messagesAreTakenBackByName() throws Exception {
        Consumer consumer = new Consumer();
        try (DistributedIdQueue<String> put = queue(one, null).buildIdQueue(); DistributedIdQueue<String> take = queue(two, consumer).buildIdQueue()) {
            put.start();
            put.put("kept", "k");
            put.put("taken back", "t");
            assertTrue(put.flushPuts(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
            assertEquals(1, put.remove("t"));
            assertEquals(0, put.remove("t"));
            take.start();
            assertEquals("kept", consumer.next());
            awaitEmpty();
            assertTrue(consumer.taken.isEmpty());
        }
    }

    @Test
    void simpleQueueIsFirstInFirstOut() throws Exception {
        SimpleDistributedQueue put = new SimpleDistributedQueue(one, QUEUE);
        SimpleDistributedQueue take = new SimpleDistributedQueue(two, QUEUE);
        for (String message : List.of("a", "b", "c")) {
            assertTrue(put.offer(bytes(message)));
        }
        assertEquals("a", text(take.peek()));
        assertEquals("a", text(take.take()));
        assertEquals("b", text(put.remove()));
        assertEquals("c", text(take.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS)));
        assertNull(take.poll());
        put.offer(bytes("d"));
        assertEquals("d", text(take.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS)));
    }
}
