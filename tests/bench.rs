//! `paddock bench` as a process against a real server as a process: every workload, comparison, interrupt, a server that dies, errors.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const PADDOCK: &str = env!("CARGO_BIN_EXE_paddock");
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with a data directory of its own, killed when dropped.
struct Server {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl Server {
    fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
        let text = format!(
            "dataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\ntickTime=2000\nadmin.enableServer=false\n",
            folder.path().join("data").display()
        );
        fs::write(folder.path().join("zoo.cfg"), text).expect("the folder can be written");
        let process = Self::launch(folder.path());
        let server = Self { folder, port, process };
        server.await_serving();
        server
    }

    fn launch(folder: &Path) -> Child {
        let log = fs::File::create(folder.join("log")).expect("the folder can be written");
        Command::new(PADDOCK).arg("server").arg(folder.join("zoo.cfg")).stderr(log).spawn().expect("the server starts")
    }

    fn restart(&mut self) {
        self.process = Self::launch(self.folder.path());
        self.await_serving();
    }

    fn kill(&mut self) {
        self.process.kill().expect("the server runs");
        self.process.wait().expect("it ends");
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn srvr(&self) -> Option<String> {
        let mut socket = TcpStream::connect(self.address()).ok()?;
        let mut answer = String::new();
        socket.write_all(b"srvr").and_then(|()| socket.read_to_string(&mut answer)).ok()?;
        Some(answer)
    }

    fn await_serving(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.srvr().is_some_and(|answer| answer.contains("Mode: ")) {
            assert!(
                Instant::now() < deadline,
                "the server serves: {}",
                fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// How many znodes there are: what a run has made, it must have removed.
    fn node_count(&self) -> u64 {
        let answer = self.srvr().expect("the server answers");
        let count = answer.lines().find_map(|line| line.strip_prefix("Node count: ")).expect("srvr counts znodes");
        count.parse().expect("a number")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn bench(arguments: &[&str]) -> Output {
    Command::new(PADDOCK).arg("bench").args(arguments).stdin(Stdio::null()).output().expect("the binary runs")
}

fn json(output: &Output) -> Value {
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}\n{errors}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Checks what holds for every sound result, and that it has these kinds of operations.
fn assert_sound(result: &Value, kinds: &[&str]) {
    assert!(result["operations"].as_u64() > Some(0), "{result:#}");
    assert_eq!((&result["failures"], &result["disorder"]), (&0.into(), &0.into()), "{result:#}");
    let rows = result["kinds"].as_object().expect("kinds are a map");
    assert_eq!(rows.keys().collect::<Vec<_>>(), kinds, "{result:#}");
    for row in rows.values() {
        let latency = |name: &str| row["latency_us"][name].as_f64().expect("a latency");
        assert!(latency("min") > 0.0 && latency("min") <= latency("p50") * 1.002, "{result:#}");
        assert!(latency("p50") <= latency("p99") && latency("p99") <= latency("p99.9") && latency("p99.9") <= latency("max"), "{result:#}");
        assert!(row["per_second"].as_f64() > Some(0.0) && row["count"].as_u64() > Some(0), "{result:#}");
    }
}

#[test]
fn every_workload_measures_and_leaves_nothing_behind() {
    let server = Server::start();
    let (before, address) = (server.node_count(), server.address());
    let cases: [(&[&str], &[&str]); 11] = [
        (&["get"], &["get"]),
        (&["exists", "--spread", "zipf"], &["exists"]),
        (&["children:3", "-k", "20"], &["children"]),
        (&["set"], &["set"]),
        (&["create"], &["create"]),
        (&["delete"], &["create", "delete"]),
        (&["mixed:50"], &["get", "set"]),
        (&["multi:4"], &["multi"]),
        (&["watch", "-c", "20"], &["event", "last-event", "set"]),
        (&["sessions", "-c", "50"], &["close", "open"]),
        (&["failover"], &["set"]),
    ];
    thread::scope(|scope| {
        for (workload, kinds) in cases {
            let common = ["-d", "1s", "-w", "100ms", "--json"];
            let arguments: Vec<&str> = workload.iter().copied().chain([address.as_str()]).chain(common).collect();
            scope.spawn(move || assert_sound(&json(&bench(&arguments)), kinds));
        }
    });
    assert_eq!(server.node_count(), before);
}

#[test]
fn a_fixed_rate_and_a_number_of_operations_are_kept() {
    let server = Server::start();
    let pid = server.process.id().to_string();
    let arguments = ["set", &server.address(), "-c", "4", "-r", "2000", "-n", "1000", "-w", "0s", "--json", "--pids", &pid];
    let result = json(&bench(&arguments));
    assert_sound(&result, &["set"]);
    assert_eq!(result["operations"], 1_000);
    let seconds = result["seconds"].as_f64().expect("a time");
    assert!(seconds >= 0.499, "a thousand at two thousand per second take half a second: {result:#}");
    assert!(result["client_cpu_seconds"].as_f64() > Some(0.0), "{result:#}");
}

#[test]
fn two_targets_are_compared_in_turns() {
    let (one, two) = (Server::start(), Server::start());
    let result =
        json(&bench(&["get", &one.address(), "--compare", &two.address(), "--rounds", "2", "-d", "200ms", "-w", "50ms", "--json"]));
    assert_sound(&result["a"], &["get"]);
    assert_sound(&result["b"], &["get"]);
    assert_eq!((&result["rounds"], &result["b"]["target"]), (&2.into(), &two.address().into()));
    let ratio = result["b_to_a"]["ops/s"].as_f64().expect("a ratio");
    let rate = |side: &str| result[side]["operations_per_second"].as_f64().expect("a rate");
    assert!((ratio - rate("b") / rate("a")).abs() < 1e-6, "{result:#}");
}

/// Starts a long run and waits until its first progress line says that the load is on.
fn start_long(address: &str, workload: &str) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut command = Command::new(PADDOCK);
    command.args(["bench", workload, address, "-d", "1h", "-w", "0s", "--json", "--progress"]);
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let mut lines = BufReader::new(process.stderr.take().expect("stderr is a pipe"));
    let mut line = String::new();
    while !line.contains("ops/s") {
        line.clear();
        assert!(lines.read_line(&mut line).expect("stderr is text") > 0, "the run goes on");
    }
    (process, lines)
}

fn interrupt(process: Child) -> Output {
    kill_process(Pid::from_child(&process), Signal::INT).expect("the process runs");
    process.wait_with_output().expect("it ends")
}

#[test]
fn an_interrupt_gives_the_result_so_far_and_cleans_up() {
    let server = Server::start();
    let before = server.node_count();
    let (process, _stderr) = start_long(&server.address(), "create");
    assert!(server.node_count() > before, "there is something to clean up");
    let result = json(&interrupt(process));
    assert_sound(&result, &["create"]);
    assert_eq!(server.node_count(), before);
}

#[test]
fn a_server_that_dies_costs_silence_and_reconnects_but_not_the_run() {
    let mut server = Server::start();
    let before = server.node_count();
    let (process, _stderr) = start_long(&server.address(), "failover");
    server.kill();
    let died = Instant::now();
    server.restart();
    let down = died.elapsed();
    let zxid = |server: &Server| server.srvr().and_then(|answer| answer.lines().find(|line| line.starts_with("Zxid")).map(str::to_owned));
    // The load is back when the zxid moves beyond what reopening the sessions brings.
    let deadline = Instant::now() + PATIENCE;
    let (mut moves, mut last) = (0, zxid(&server));
    while moves < 50 {
        assert!(Instant::now() < deadline, "the load comes back");
        let now = zxid(&server);
        moves += u32::from(now != last);
        last = now;
    }
    let result = json(&interrupt(process));
    assert_eq!(result["disorder"], 0, "{result:#}");
    assert!(result["reconnects"].as_u64() > Some(0), "{result:#}");
    assert!(result["errors"]["set"]["CONNECTION_LOSS"].as_u64() > Some(0), "{result:#}");
    assert!(result["longest_silence_ms"].as_f64() >= Some(down.as_secs_f64() * 900.0), "{down:?}: {result:#}");
    assert_eq!(server.node_count(), before);
}

#[test]
fn errors_say_what_to_do() {
    let server = Server::start();
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").to_string();
    let chroot = format!("{}/nowhere", server.address());
    let cases: [(&[&str], i32, &str); 5] = [
        (&["get", &closed], 1, "cannot connect to any server"),
        (&["get", &chroot], 1, "the chroot of the connection string does not exist"),
        (&["get", &server.address(), "--auth", "nosuch:thing"], 1, "the server refused the credentials"),
        (&["get", "host:port"], 2, "\"port\" is not a port"),
        (&["fly"], 2, "not one of get"),
    ];
    for (arguments, code, part) in cases {
        let output = bench(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(part), "{arguments:?}: {text}");
    }
}
