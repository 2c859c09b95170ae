package compat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;

/** Several Curator clients, each with a session of its own, in one namespace that nobody else uses; and threads for them. */
final class Crowd implements AutoCloseable {
    private final ExecutorService pool = Executors.newCachedThreadPool();
    private final List<CuratorFramework> clients = new ArrayList<>();

    /** What one client does; called by all at the same time. */
    interface Work {
        void with(CuratorFramework client) throws Exception;
    }

    Crowd(int size) throws InterruptedException {
        String namespace = Support.freshNamespace();
        for (int i = 0; i < size; i++) {
            clients.add(Support.connectedCurator(namespace));
        }
    }

    CuratorFramework client(int number) {
        return clients.get(number);
    }

    int size() {
        return clients.size();
    }

    /** Runs the work once per client, all at the same time, and waits for all. */
    void everywhere(Work work) throws Exception {
        List<Future<Void>> running = new ArrayList<>();
        for (CuratorFramework client : clients) {
            running.add(inBackground(() -> {
                work.with(client);
                return null;
            }));
        }
        for (Future<Void> each : running) {
            each.get(2L * Support.PATIENCE_SECONDS, TimeUnit.SECONDS);
        }
    }

    <T> Future<T> inBackground(Callable<T> work) {
        return pool.submit(work);
    }

    @Override
    public void close() {
        pool.shutdownNow();
        clients.forEach(CuratorFramework::close);
    }
}
