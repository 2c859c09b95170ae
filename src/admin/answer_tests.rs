//! The text of every word, against outputs of a genuine 3.9.6 in the same states.

use proptest::prelude::*;

use super::super::fake::{A, B, FakeServer, expiring};
use super::super::view::{GlobalSessionsView, ProposalSizes, SessionsView};
use super::super::word::recognise;
use super::*;

fn ask(word: &str, server: &FakeServer) -> String {
    let bytes = word.as_bytes().try_into().expect("four letters");
    let word = recognise(bytes).expect("a known word");
    let all = Whitelist::parse(Some("*"), false);
    String::from_utf8(answer(word, server, &all, None)).expect("answers are text")
}

#[test]
fn small_words() {
    let server = FakeServer::empty();
    assert_eq!(ask("ruok", &server), "imok");
    assert_eq!(ask("isro", &server), "rw");
    assert_eq!(ask("dirs", &server), "datadir_size: 478\nlogdir_size: 67109358\n");
    assert_eq!(ask("envi", &server), "Environment:\nzookeeper.version=3.9.6-test, built on never\nhost.name=localhost\njava.home=\n");
    assert_eq!(ask("hash", &server), "");
    assert_eq!(ask("hash", &FakeServer::busy()), "80: 202411509674\n100: -1\n");
}

#[test]
fn srvr_of_a_fresh_and_of_a_busy_server() {
    assert_eq!(
        ask("srvr", &FakeServer::empty()),
        "Zookeeper version: 3.9.6-test, built on never\nLatency min/avg/max: 0/0.0/0\nReceived: 0\nSent: 0\nConnections: 1\n\
         Outstanding: 0\nZxid: 0x0\nMode: standalone\nNode count: 5\n"
    );
    assert_eq!(
        ask("srvr", &FakeServer::busy()),
        "Zookeeper version: 3.9.6-test, built on never\nLatency min/avg/max: 0/2.0625/16\nReceived: 41\nSent: 43\n\
         Connections: 3\nOutstanding: 0\nZxid: 0x1a\nMode: standalone\nNode count: 9\n"
    );
}

#[test]
fn srvr_of_a_leader_shows_proposal_sizes() {
    let mut server = FakeServer::empty();
    server.proposal_sizes = Some(ProposalSizes { last: 48, min: 36, max: 1024 });
    assert!(!ask("srvr", &server).contains("Proposal"));
    server.mode = Mode::Leader;
    assert!(ask("srvr", &server).ends_with("Mode: leader\nNode count: 5\nProposal sizes last/min/max: 48/36/1024\n"));
}

#[test]
fn read_only_mode_shows() {
    let mut server = FakeServer::empty();
    server.mode = Mode::ReadOnly;
    assert_eq!(ask("isro", &server), "ro");
    let head = "Zookeeper version: 3.9.6-test, built on never\nREAD-ONLY mode; serving only read-only clients\nLatency";
    assert!(ask("srvr", &server).starts_with(head));
    assert!(ask("srvr", &server).contains("\nMode: read-only\n"));
}

#[test]
fn stat_lists_connections_briefly() {
    assert_eq!(
        ask("stat", &FakeServer::busy()),
        "Zookeeper version: 3.9.6-test, built on never\nClients:\n /127.0.0.1:45056[1](queued=0,recved=27,sent=27)\n \
         /127.0.0.1:45124[0](queued=0,recved=1,sent=0)\n /127.0.0.1:45064[1](queued=2,recved=5,sent=6)\n\n\
         Latency min/avg/max: 0/2.0625/16\nReceived: 41\nSent: 43\nConnections: 3\nOutstanding: 0\nZxid: 0x1a\n\
         Mode: standalone\nNode count: 9\n"
    );
}

#[test]
fn cons_lists_connections_in_full() {
    assert_eq!(
        ask("cons", &FakeServer::busy()),
        " /127.0.0.1:45056[1](queued=0,recved=27,sent=27,sid=0x100000e605f0000,lop=SETD,est=1795479884150,to=10000,lcxid=0x1a,\
         lzxid=0x1a,lresp=1201029,llat=1,minlat=0,avglat=3,maxlat=16)\n /127.0.0.1:45124[0](queued=0,recved=1,sent=0)\n \
         /127.0.0.1:45064[1](queued=2,recved=5,sent=6,sid=0x100000e605f0001,lop=null,est=1795479884178,to=20000,\
         lcxid=0x0,lzxid=0x0,lresp=0,llat=0,minlat=0,avglat=0,maxlat=0)\n\n"
    );
    let mut nobody = FakeServer::empty();
    nobody.connections.clear();
    assert_eq!(ask("cons", &nobody), "\n");
}

#[test]
fn conf_prints_every_setting() {
    assert_eq!(
        ask("conf", &FakeServer::empty()),
        "clientPort=30200\nsecureClientPort=-1\ndataDir=/data/version-2\ndataDirSize=478\ndataLogDir=/log/version-2\n\
         dataLogSize=67109358\ntickTime=2000\nmaxClientCnxns=0\nminSessionTimeout=4000\nmaxSessionTimeout=40000\n\
         clientPortListenBacklog=-1\nserverId=0\n"
    );
}

#[test]
fn watch_words() {
    let (empty, busy) = (FakeServer::empty(), FakeServer::busy());
    assert_eq!(ask("wchs", &empty), "0 connections watching 0 paths\nTotal watches:0\n");
    assert_eq!((ask("wchc", &empty), ask("wchp", &empty)), ("\n".to_owned(), "\n".to_owned()));
    assert_eq!(ask("wchs", &busy), "2 connections watching 3 paths\nTotal watches:4\n");
    assert_eq!(ask("wchc", &busy), "0x100000e605f0000\n\t/w\n\t/nope\n0x100000e605f0001\n\t/w\n\t/e3\n\n");
    assert_eq!(
        ask("wchp", &busy),
        "/w\n\t0x100000e605f0001\n\t0x100000e605f0000\n/e3\n\t0x100000e605f0001\n/nope\n\t0x100000e605f0000\n\n"
    );
}

#[test]
fn dump_of_a_busy_server() {
    assert_eq!(
        ask("dump", &FakeServer::busy()),
        "SessionTracker dump:\nSession Sets (2)/(2):\n1 expire at Tue Nov 24 00:24:55 UTC 2026:\n\t0x100000e605f0000\n\
         1 expire at Tue Nov 24 00:25:05 UTC 2026:\n\t0x100000e605f0001\nephemeral nodes dump:\nSessions with Ephemerals (2):\n\
         0x100000e605f0001:\n\t/e3\n0x100000e605f0000:\n\t/w/e2\n\t/w/e1\nConnections dump:\nConnections Sets (2)/(3):\n\
         3 expire at Tue Nov 24 00:25:03 UTC 2026:\n\tip: /127.0.0.1:45056 sessionId: 0x100000e605f0000\n\
         \tip: /127.0.0.1:45124 sessionId: 0x0\n\tip: /127.0.0.1:45064 sessionId: 0x100000e605f0001\n\
         0 expire at Tue Nov 24 00:25:13 UTC 2026:\n"
    );
}

/// `LeaderSessionTracker.dumpSessions`, `LearnerSessionTracker.dumpSessions`.
#[test]
fn dump_of_local_sessions() {
    let mut server = FakeServer::empty();
    let mut sessions = |local, global| {
        server.sessions = SessionsView { local, global };
        let answer = ask("dump", &server);
        answer.split("ephemeral nodes").next().unwrap_or_default().to_owned()
    };
    let (known, local) = (|| GlobalSessionsView::ById(vec![(B, 20_000)]), || Some(vec![expiring(1_795_479_895_000, A)]));
    assert_eq!(sessions(None, known()), "SessionTracker dump:\nGlobal Sessions(1):\n0x100000e605f0001\t20000ms\n");
    let locals = "Local Session Sets (1)/(1):\n1 expire at Tue Nov 24 00:24:55 UTC 2026:\n\t0x100000e605f0000\n";
    assert_eq!(sessions(local(), known()), format!("SessionTracker dump:\n{locals}Global Sessions(1):\n0x100000e605f0001\t20000ms\n"));
    assert_eq!(
        sessions(local(), GlobalSessionsView::ByExpiry(Vec::new())),
        format!("SessionTracker dump:\n{locals}Global Session Sets (0)/(0):\n")
    );
}

#[test]
fn resets_reset_what_they_name() {
    let server = FakeServer::busy();
    server.metrics().counters.response_bytes.add(9);
    assert_eq!(ask("crst", &server), "Connection stats reset.\n");
    assert_eq!(server.connection_resets.get(), 1);
    assert!(ask("srvr", &server).contains("Received: 41\n"));
    assert_eq!(ask("srst", &server), "Server stats reset.\n");
    assert!(ask("srvr", &server).contains("Latency min/avg/max: 0/0.0/0\nReceived: 0\nSent: 0\n"));
    assert_eq!(server.metrics().counters.response_bytes.value(), 0);
    assert_eq!(server.connection_resets.get(), 1);
}

#[test]
fn the_trace_mask_can_be_set_and_shown() {
    let server = FakeServer::empty();
    let all = Whitelist::parse(Some("*"), false);
    assert_eq!(ask("gtmk", &server), "306");
    assert_eq!(answer(Word::Stmk, &server, &all, Some(300_i64.to_be_bytes())), b"300");
    assert_eq!(ask("gtmk", &server), "300");
    assert_eq!(answer(Word::Stmk, &server, &all, Some([0xff; 8])), b"-1");
    assert_eq!(answer(Word::Stmk, &server, &all, None), b"");
    assert_eq!(ask("gtmk", &server), "-1");
}

#[test]
fn a_server_that_does_not_serve_says_so() {
    let mut server = FakeServer::busy();
    server.serving = false;
    for word in ["conf", "cons", "crst", "dirs", "dump", "mntr", "srst", "srvr", "stat", "wchc", "wchp", "wchs"] {
        assert_eq!(ask(word, &server), format!("{NOT_SERVING}\n"), "{word}");
    }
    assert_eq!(ask("hash", &server), NOT_SERVING);
    assert_eq!((ask("ruok", &server), ask("isro", &server), ask("gtmk", &server)), ("imok".into(), "null".into(), "306".into()));
    assert!(ask("envi", &server).starts_with("Environment:\n"));
    assert_eq!(server.connection_resets.get(), 0);
    assert_eq!(server.stats().packets_received.value(), 41);
}

#[test]
fn words_outside_the_whitelist_do_nothing() {
    let server = FakeServer::busy();
    let some = Whitelist::parse(Some("ruok"), false);
    for &word in Word::ALL.iter().filter(|word| !matches!(word, Word::Ruok | Word::Srvr)) {
        let text = answer(word, &server, &some, Some([1; 8]));
        assert_eq!(text, format!("{} is not executed because it is not in the whitelist.\n", word.name()).into_bytes());
    }
    assert_eq!(server.connection_resets.get(), 0);
    assert_eq!(server.stats().packets_received.value(), 41);
    assert_eq!(server.stats().trace_mask.load(Relaxed), 306);
    assert_eq!(answer(Word::Ruok, &server, &some, None), b"imok");
    assert_eq!(answer(Word::TelnetClose, &server, &Whitelist::parse(Some("*"), false), None), b"");
}

proptest! {
    #[test]
    fn any_four_bytes_and_any_state_are_answered(
        random in any::<[u8; 4]>(),
        pick in 0..Word::ALL.len(),
        take_word in any::<bool>(),
        list in ".{0,40}",
        mask in any::<Option<[u8; 8]>>(),
        serving in any::<bool>(),
    ) {
        let bytes = if take_word { Word::ALL[pick].bytes() } else { random };
        let mut server = FakeServer::busy();
        server.serving = serving;
        let Some(word) = recognise(bytes) else { return Ok(()) };
        let whitelist = Whitelist::parse(Some(&list), false);
        let text = answer(word, &server, &whitelist, mask);
        let refusal = text.ends_with(b"is not in the whitelist.\n");
        prop_assert_eq!(refusal, !whitelist.allows(word));
    }
}
