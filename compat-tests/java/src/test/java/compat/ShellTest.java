package compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The shell of 3.9.6 (zkCli), as a process of its own that is fed with commands. */
class ShellTest {
    private static final String MAIN = "org.apache.zookeeper.ZooKeeperMain";
    private final String root = "/shell-" + UUID.randomUUID();
    private final BlockingQueue<String> output = new LinkedBlockingQueue<>();
    private Process shell;
    private BufferedWriter input;
    private int marks;

    @BeforeEach
    void start() throws Exception {
        shell = launch("-server", Support.ADDRESS, "-waitforconnection");
        input = new BufferedWriter(new OutputStreamWriter(shell.getOutputStream(), StandardCharsets.UTF_8));
        BufferedReader reader = new BufferedReader(new InputStreamReader(shell.getInputStream(), StandardCharsets.UTF_8));
        Thread pump = new Thread(() -> reader.lines().forEach(output::add), "shell output");
        pump.setDaemon(true);
        pump.start();
        run("create " + root + " shell");
    }

    @AfterEach
    void stop() throws Exception {
        shell.destroy();
        shell.waitFor();
    }

    /** Starts the shell without its line editor, which would draw prompts between the answers. */
    private static Process launch(String... arguments) throws IOException {
        File[] jars = new File(Support.JARS).listFiles((folder, name) -> name.endsWith(".jar") && !name.startsWith("jline"));
        String path = String.join(File.pathSeparator, Stream.of(jars).map(File::getPath).toList());
        String java = System.getProperty("java.home") + "/bin/java";
        List<String> command = new ArrayList<>(List.of(java, "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            "-Dlogback.configurationFile=" + Support.JARS + "/../../lib/logback.xml", "-Dcompat.log=OFF", "-Dfile.encoding=UTF-8",
            "-cp", path, MAIN));
        command.addAll(List.of(arguments));
        return new ProcessBuilder(command).redirectErrorStream(true).start();
    }

    /** Runs one command; returns the lines it printed, up to the answer of a command that follows as a mark. */
    private List<String> run(String command) throws Exception {
        String mark = "/mark-" + marks++;
        input.write(command + "\nls " + mark + "\n");
        input.flush();
        List<String> lines = new ArrayList<>();
        while (true) {
            String line = output.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS);
            assertTrue(line != null, () -> "no answer to '" + command + "' after " + lines);
            if (line.contains("Node does not exist: " + mark)) {
                return lines;
            }
            lines.add(line);
        }
    }

    private void expect(String command, String... lines) throws Exception {
        assertEquals(List.of(lines), run(command), command);
    }

    /** The value of a line like "name = value". */
    private static String field(List<String> lines, String name) {
        return lines.stream().filter(line -> line.startsWith(name + " = ")).map(line -> line.substring(name.length() + 3))
            .findFirst().orElseThrow(() -> new AssertionError(name + " is missing in " + lines));
    }

    @Test
    void nodes() throws Exception {
        expect("create " + root + "/a one", "Created " + root + "/a");
        expect("create -s -e " + root + "/a/x- eph", "Created " + root + "/a/x-0000000000");
        expect("create -s " + root + "/a/x- seq", "Created " + root + "/a/x-0000000001");
        expect("create -e " + root + "/a/e eph", "Created " + root + "/a/e");
        expect("create -c " + root + "/box", "Created " + root + "/box");
        expect("create -t 3600000 " + root + "/ttl data", "Created " + root + "/ttl");
        expect("create " + root + "/a one", "Node already exists: " + root + "/a");
        expect("create " + root + "/no/parent x", "Node does not exist: " + root + "/no/parent");
        expect("create " + root + "/a/e/x x", "Ephemerals cannot have children: " + root + "/a/e/x");
        expect("ls " + root, "[a, box, ttl]");
        expect("ls -R " + root + "/a", root + "/a", root + "/a/e", root + "/a/x-0000000000", root + "/a/x-0000000001");
        expect("getAllChildrenNumber " + root, "6");
        List<String> own = run("getEphemerals " + root);
        assertTrue(own.contains("[" + root + "/a/e, " + root + "/a/x-0000000000]")
            || own.contains("[" + root + "/a/x-0000000000, " + root + "/a/e]"), own.toString());
        expect("get " + root + "/a", "one");

        List<String> got = run("get -s " + root + "/a");
        assertEquals("one", got.get(0));
        assertEquals(List.of("0", "3", "0", "3", "3", "0x0"), Stream.of(
            "dataVersion", "cversion", "aclVersion", "dataLength", "numChildren", "ephemeralOwner").map(name -> field(got, name)).toList());
        assertEquals(field(got, "cZxid"), field(got, "mZxid"));
        expect("set " + root + "/a two-");
        List<String> set = run("set -s " + root + "/a three");
        assertEquals("2", field(set, "dataVersion"));
        assertEquals(set, run("stat " + root + "/a"));
        expect("set -v 7 " + root + "/a four", "version No is not valid : " + root + "/a");
        expect("get " + root + "/a", "three");
        expect("sync " + root, "Sync is OK");

        expect("delete " + root + "/a", "Node not empty: " + root + "/a");
        expect("delete -v 5 " + root + "/a/e", "version No is not valid : " + root + "/a/e");
        expect("delete " + root + "/a/e");
        expect("delete " + root + "/a/e", "Node does not exist: " + root + "/a/e");
        expect("deleteall " + root + "/a");
        expect("ls " + root, "[box, ttl]");
        expect("delete /zookeeper/quota", "Arguments are not valid : /zookeeper/quota");
    }

    @Test
    void watches() throws Exception {
        expect("addWatch -m PERSISTENT " + root);
        List<String> lines = new ArrayList<>(run("create " + root + "/w"));
        awaitEvent(lines, "WatchedEvent state:SyncConnected type:NodeChildrenChanged path:" + root);
        // The shell's other thread prints it, perhaps behind the answer of the next command.
        lines = new ArrayList<>(run("removewatches " + root));
        awaitEvent(lines, "WatchedEvent state:SyncConnected type:PersistentWatchRemoved path:" + root + " zxid: -1");
        lines = new ArrayList<>(run("get -w " + root + "/w"));
        lines.addAll(run("set " + root + "/w x"));
        awaitEvent(lines, "WatchedEvent state:SyncConnected type:NodeDataChanged path:" + root + "/w");
        expect("set " + root + "/w y");
    }

    /** The event is printed by another thread than the answers: before them, between them or after them. */
    private void awaitEvent(List<String> lines, String event) throws Exception {
        while (lines.stream().noneMatch(line -> line.startsWith(event))) {
            String line = output.poll(Support.PATIENCE_SECONDS, TimeUnit.SECONDS);
            assertTrue(line != null, () -> event + " did not come");
            lines.add(line);
        }
    }

    @Test
    void accessLists() throws Exception {
        expect("getAcl " + root, "'world,'anyone", ": cdrwa");
        expect("addauth digest ann:secret");
        List<String> who = run("whoami");
        assertTrue(who.contains("digest: ann") && who.contains("ip: 127.0.0.1"), who.toString());
        String id = "ann:" + sha1("ann:secret");
        expect("create " + root + "/p x digest:" + id + ":cdrwa", "Created " + root + "/p");
        expect("getAcl " + root + "/p", "'digest,'" + id, ": cdrwa");
        expect("setAcl " + root + "/p auth::r,ip:127.0.0.0/8:rwa");
        List<String> acl = run("getAcl -s " + root + "/p");
        assertEquals(List.of("'digest,'" + id, ": r", "'ip,'127.0.0.0/8", ": rwa"), acl.subList(0, 4));
        assertEquals("1", field(acl, "aclVersion"));
        expect("setAcl -R " + root + " world:anyone:r", new String[0]);
        expect("getAcl " + root + "/p", "'world,'anyone", ": r");
        expect("set " + root + "/p y", "Insufficient permission : " + root + "/p");
        expect("setAcl " + root + "/p wrong:x:r", "Acl is not valid : " + root + "/p");
    }

    private static String sha1(String text) throws Exception {
        byte[] hash = java.security.MessageDigest.getInstance("SHA-1").digest(Support.bytes(text));
        return java.util.Base64.getEncoder().encodeToString(hash);
    }

    @Test
    void quotas() throws Exception {
        run("create " + root + "/q 12345");
        run("setquota -n 10 " + root + "/q");
        run("setquota -b 1000 " + root + "/q");
        run("create " + root + "/q/child 123");
        List<String> quota = run("listquota " + root + "/q");
        assertTrue(quota.stream().anyMatch(line -> line.startsWith("Output quota for " + root + "/q") && line.contains("count=10,bytes=1000")), quota.toString());
        assertTrue(quota.stream().anyMatch(line -> line.startsWith("Output stat for " + root + "/q") && line.contains("count=2,bytes=8")), quota.toString());
        run("delquota " + root + "/q");
        expect("listquota " + root + "/q", "absolute path is /zookeeper/quota" + root + "/q/zookeeper_limits",
            "quota for " + root + "/q does not exist.");
    }

    @Test
    void configurationOfTheEnsemble() throws Exception {
        expect("config", "");
        List<String> refused = run("reconfig -remove 1");
        assertTrue(refused.stream().anyMatch(line -> line.contains("dynamic reconfig") || line.contains("Reconfig is disabled")), refused.toString());
        List<String> version = run("version");
        assertTrue(version.stream().anyMatch(line -> line.contains("3.9.6")), version.toString());
    }

    @Test
    void exitCodes() throws Exception {
        assertEquals(0, once("ls", "/"));
        assertEquals(1, once("get", root + "/missing"));
        assertEquals(127, once("no-such-command"));
    }

    private static int once(String... command) throws Exception {
        List<String> arguments = new ArrayList<>(List.of("-server", Support.ADDRESS));
        arguments.addAll(List.of(command));
        Process process = launch(arguments.toArray(String[]::new));
        process.getInputStream().readAllBytes();
        assertTrue(process.waitFor(Support.PATIENCE_SECONDS, TimeUnit.SECONDS));
        return process.exitValue();
    }
}
