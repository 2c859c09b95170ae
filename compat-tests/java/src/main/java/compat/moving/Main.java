package compat.moving;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.apache.curator.framework.CuratorFramework;

/**
 * Clients of Curator that live through a migration: Main HOSTS COUNT SESSION_MS.
 *
 * <p>Each registers by a PersistentNode, takes part in a LeaderLatch, keeps a CuratorCache, writes, and takes a lock now and then. A line on
 * standard input is answered by one line of JSON with a report of each client. "rest" lets nobody write while the caches are compared with
 * the tree, "end" stops the writes first and then does so. The sessions live until standard input ends.
 */
final class Main {
    /** Those of the latch and the lock too: the recipes would make containers, which may be swept while the trees are compared. */
    private static final List<String> ROOTS = List.of(
        Client.ROOT, Client.WRITES, Client.COUNTERS, Client.SERVICES, Client.LATCH, Locker.LOCK, Mirror.ROOT);

    private Main() {}

    public static void main(String[] arguments) throws Exception {
        // Only reports go to standard output.
        PrintStream reports = System.out;
        System.setOut(System.err);
        String hosts = arguments[0];
        int sessionMs = Integer.parseInt(arguments[2]);
        makeRoots(hosts, sessionMs);
        // Held for reading in each turn of a client, for writing while they rest.
        ReadWriteLock turns = new ReentrantReadWriteLock(true);
        List<Client> clients = new ArrayList<>();
        for (int number = 0; number < Integer.parseInt(arguments[1]); number++) {
            clients.add(new Client(hosts, "k" + number, sessionMs, turns.readLock()));
        }
        clients.forEach(Thread::start);
        answer(clients, turns, reports);
        for (Client client : clients) {
            client.close();
        }
    }

    private static void makeRoots(String hosts, int sessionMs) throws Exception {
        try (CuratorFramework maker = Client.connect(hosts, sessionMs)) {
            for (String root : ROOTS) {
                maker.create().idempotent().forPath(root, new byte[0]);
            }
            maker.create().idempotent().forPath(Locker.SHARED, "0 nobody".getBytes());
        }
    }

    private static void answer(List<Client> clients, ReadWriteLock turns, PrintStream reports) throws Exception {
        ObjectMapper mapper = new ObjectMapper();
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            if (line.equals("end")) {
                for (Client client : clients) {
                    client.endWrites();
                }
            }
            List<Map<String, Object>> answers = line.equals("report") ? report(clients) : whileAtRest(clients, turns);
            reports.println(mapper.writeValueAsString(answers));
            reports.flush();
        }
    }

    private static List<Map<String, Object>> whileAtRest(List<Client> clients, ReadWriteLock turns) throws Exception {
        turns.writeLock().lock();
        try {
            for (Client client : clients) {
                client.compareCache();
            }
            return report(clients);
        } finally {
            turns.writeLock().unlock();
        }
    }

    private static List<Map<String, Object>> report(List<Client> clients) {
        return clients.stream().map(Client::report).toList();
    }
}
