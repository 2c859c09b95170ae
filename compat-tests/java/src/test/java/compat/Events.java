package compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;

/** A watcher that keeps what it is told, in order; node events and connection states apart. */
final class Events implements Watcher {
    private final BlockingQueue<WatchedEvent> nodes = new LinkedBlockingQueue<>();
    private final BlockingQueue<KeeperState> states = new LinkedBlockingQueue<>();

    @Override
    public void process(WatchedEvent event) {
        if (event.getType() == EventType.None) {
            states.add(event.getState());
        } else {
            nodes.add(event);
        }
    }

    /** Waits for the next node event, which must be this one. */
    void expect(EventType type, String path) throws InterruptedException {
        WatchedEvent event = nodes.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS);
        assertNotNull(event, "no event; expected " + type + " " + path);
        assertEquals(type + " " + path, event.getType() + " " + event.getPath());
    }

    /** Waits until this connection state comes; others before it are passed over. */
    void awaitState(KeeperState wanted) throws InterruptedException {
        KeeperState state;
        do {
            state = states.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS);
            assertNotNull(state, "state " + wanted + " did not come");
        } while (state != wanted);
    }

    /** The node events that have come and were not expected yet, as "type path". */
    List<String> rest() {
        List<WatchedEvent> left = new ArrayList<>();
        nodes.drainTo(left);
        return left.stream().map(event -> event.getType() + " " + event.getPath()).toList();
    }
}
