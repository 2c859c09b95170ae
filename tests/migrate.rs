//! `paddock migrate` as a process against a server that stands alone: verdicts, exit codes, both forms of output. Ensembles with Java members
//! are moved by `compat-tests/migration`.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

const PADDOCK: &str = env!("CARGO_BIN_EXE_paddock");
const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    process: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let data = folder.path().join("data");
        let config = format!("dataDir={}\nclientPort={}\n4lw.commands.whitelist=*\n", data.display(), address.port());
        fs::write(folder.path().join("zoo.cfg"), config).expect("the folder takes a file");
        let mut command = Command::new(PADDOCK);
        command.arg("server").arg(folder.path().join("zoo.cfg")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self { process: command.spawn().expect("the binary runs"), address, folder };
        let deadline = Instant::now() + PATIENCE;
        while !server.serves() {
            assert!(Instant::now() < deadline, "the server serves");
            thread::sleep(Duration::from_millis(5));
        }
        server
    }

    fn serves(&self) -> bool {
        let asked = TcpStream::connect(self.address).and_then(|mut socket| {
            let mut answer = String::new();
            socket.write_all(b"srvr").and_then(|()| socket.read_to_string(&mut answer))?;
            Ok(answer)
        });
        asked.is_ok_and(|answer| answer.contains("Mode: standalone"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn migrate(arguments: &[&str]) -> Output {
    Command::new(PADDOCK).arg("migrate").args(arguments).stdin(Stdio::null()).output().expect("the binary runs")
}

#[track_caller]
fn assert_ends(output: &Output, code: i32, parts: &[&str]) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_server_that_stands_alone_is_whole_and_has_no_spare() {
    let server = Server::start();
    let address = server.address.to_string();
    let config = server.folder.path().join("zoo.cfg");
    let config = config.to_str().expect("a path of text");
    let lines = [
        "standalone, Paddock",
        "ok    zoo.cfg: every setting",
        "care  ensemble: all 1 voters are needed",
        "nothing: every member is Paddock",
    ];
    assert_ends(&migrate(&["check", &address, "--config", config]), 0, &lines);
    let lines = ["opened a session, synced it, read, and closed it", "back  ", "zkServer.sh start"];
    assert_ends(&migrate(&["verify", &address, "--member", &address]), 0, &lines);
    let lines = ["next  on ", "zkServer.sh start"];
    assert_ends(&migrate(&["check", &address, "--to", "java"]), 0, &lines);
}

#[test]
fn what_is_not_so_is_not_now() {
    let server = Server::start();
    let address = server.address.to_string();
    let lines = ["runs Paddock", "not now: 1 in the way"];
    assert_ends(&migrate(&["verify", &address, "--member", &address, "--to", "java", "--patience", "0"]), 1, &lines);
    let both = format!("{address},127.0.0.1:1");
    assert_ends(&migrate(&["check", &both]), 1, &["stop  127.0.0.1:1: does not answer", "not now"]);
    let output = migrate(&["check", &both, "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).expect("is JSON");
    assert_eq!((output.status.code(), &json["verdict"]), (Some(1), &Value::from("not now")));
    assert!(json["findings"].as_array().is_some_and(|findings| findings.iter().any(|finding| finding["level"] == "stop")));
}

#[test]
fn wrong_arguments_are_told_apart() {
    assert_ends(&migrate(&["check", "host:x"]), 2, &["\"x\" is not a port"]);
    assert_ends(&migrate(&["check"]), 2, &["Usage"]);
    assert_ends(&migrate(&["verify", "127.0.0.1:1", "--member", "127.0.0.1:2", "--patience", "0"]), 2, &["--member 127.0.0.1:2: none of"]);
    assert_ends(&migrate(&["verify", "127.0.0.1:1", "--member", "1", "--patience", "0"]), 1, &["no server that answers is this member"]);
}
