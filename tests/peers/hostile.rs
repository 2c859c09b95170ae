//! Peers that do not keep to the rules: each loses its connection, and everybody else is served.

use paddock::ids::{ServerId, Zxid};
use paddock::net::peers::limits::{LOBBY_CONNECTIONS_MAX, STRANGERS_MAX};
use paddock::net::peers::notification_frame;
use paddock::zab::{Input, Output, Packet};

use crate::harness::*;

/// A server whose election port still serves.
async fn serves(server: &Server, port: u16) {
    server.inbox.clear();
    let mut raw = Raw::connect(port).await;
    raw.write(&5_i64.to_be_bytes()).await;
    raw.write(&notification_frame(&vote(77))).await;
    server.vote_from(5, 77).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_greetings_lose_their_connection() {
    let members = members([1, 5]);
    let server = start(1, &members).await;
    let port = election_port(&members, 1);
    let head = [&(-65_536_i64).to_be_bytes()[..], &5_i64.to_be_bytes()].concat();
    let with = |tail: &[u8]| [&head[..], tail].concat();
    let greetings = [
        b"\xff\xff\xff\xff\xff\xff\xff\xffGET / HTTP/1.1\r\n\r\n".to_vec(),
        with(&i32::MAX.to_be_bytes()),
        with(&0_i32.to_be_bytes()),
        with(&(-1_i32).to_be_bytes()),
        with(b"\0\0\0\x04\xff\xfe:1"),
        1_i64.to_be_bytes().to_vec(),
    ];
    for greeting in greetings {
        let mut raw = Raw::connect(port).await;
        raw.write(&greeting).await;
        raw.closed().await;
    }
    assert!(!server.inbox.all().contains(&Input::PeerReachable(ServerId(5))));
    serves(&server, port).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_is_hung_up_on() {
    let members = members([1, 5]);
    let mut settings = settings(1, &members);
    (settings.handshake_timeout_ms, settings.silence_limit_ms) = (50, 50);
    let server = start_with(settings).await;
    let mut half = Raw::connect(election_port(&members, 1)).await;
    half.write(&[0xff; 7]).await;
    half.closed().await;
    server.peers.carry_out(&Output::OpenQuorumPort);
    let mut learner = connect_when_open(quorum_port(&members, 1)).await;
    learner.write(&[0; 15]).await;
    learner.closed().await;
    assert!(!server.inbox.all().iter().any(|input| matches!(input, Input::LearnerConnected(_))));
}

/// A port that is about to be opened.
pub async fn connect_when_open(port: u16) -> Raw {
    soon("an open port", async {
        loop {
            match tokio::net::TcpStream::connect(("127.0.0.1", port)).await {
                Ok(stream) => return Raw { stream, bytes: Default::default() },
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_silent_connections_keep_nobody_out() {
    let members = members([1, 5]);
    let server = start(1, &members).await;
    let port = election_port(&members, 1);
    let mut silent = Vec::new();
    for _ in 0..LOBBY_CONNECTIONS_MAX + 10 {
        silent.push(Raw::connect(port).await);
    }
    serves(&server, port).await;
    silent[0].closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_of_an_impossible_length_ends_the_connection() {
    let members = members([1, 5]);
    let server = start(1, &members).await;
    let port = election_port(&members, 1);
    for length in [0, -1, i32::MAX, (512 << 10) + 1] {
        server.inbox.clear();
        let mut raw = Raw::connect(port).await;
        raw.write(&5_i64.to_be_bytes()).await;
        server.reachable(5).await;
        raw.write(&notification_frame(&vote(9))).await;
        raw.write(&length.to_be_bytes()).await;
        raw.closed().await;
        server.vote_from(5, 9).await;
        server.unreachable(5).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_flood_of_votes_the_last_one_counts() {
    let members = members([1, 5]);
    let server = start(1, &members).await;
    let mut raw = Raw::connect(election_port(&members, 1)).await;
    raw.write(&5_i64.to_be_bytes()).await;
    let flood: Vec<u8> = (0..20_000).flat_map(|round| notification_frame(&vote(round)).to_vec()).collect();
    raw.write(&flood).await;
    // Frames that are none are skipped.
    raw.write(b"\0\0\0\x02xx").await;
    server.vote_from(5, 19_999).await;
    let votes = server.inbox.all().into_iter().filter(|input| matches!(input, Input::Notification { .. })).count();
    assert!(votes < 10_000, "{votes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_counted() {
    let members = members([1, 5]);
    let server = start(1, &members).await;
    let port = election_port(&members, 1);
    let mut strangers = Vec::new();
    for sid in 100..100 + STRANGERS_MAX as i64 {
        let mut raw = Raw::connect(port).await;
        raw.write(&sid.to_be_bytes()).await;
        server.reachable(sid).await;
        strangers.push(raw);
    }
    let mut one_more = Raw::connect(port).await;
    one_more.write(&99_i64.to_be_bytes()).await;
    one_more.closed().await;
    serves(&server, port).await;
    drop(strangers.pop());
    server.unreachable(99 + STRANGERS_MAX as i64).await;
    soon("a free place", async {
        while !server.inbox.all().contains(&Input::PeerReachable(ServerId(99))) {
            let mut raw = Raw::connect(port).await;
            raw.write(&99_i64.to_be_bytes()).await;
            strangers.push(raw);
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn learners_that_speak_nonsense_are_hung_up_on() {
    let members = members([1, 5]);
    let server = start(1, &members).await;
    server.peers.carry_out(&Output::OpenQuorumPort);
    let port = quorum_port(&members, 1);
    let mut nonsense = connect_when_open(port).await;
    nonsense.write(b"GET / HTTP/1.1\r\nHost: 0123456789\r\n\r\n").await;
    nonsense.closed().await;
    let mut large = Raw::connect(port).await;
    large.write(&[0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1]).await;
    large.closed().await;
    assert!(!server.inbox.all().iter().any(|input| matches!(input, Input::LearnerConnected(_))));

    // After a good beginning: what came before the nonsense counts.
    let mut raw = Raw::connect(port).await;
    raw.write_packets(&[introduction(), Packet::Ack { zxid: Zxid(1) }]).await;
    let link = server.learner().await;
    server.inbox.expect(Input::LearnerPacket(link, Packet::Ack { zxid: Zxid(1) })).await;
    raw.write(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]).await;
    raw.closed().await;
    server.inbox.expect(Input::LearnerDisconnected(link)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_that_does_not_read_is_given_up() {
    let members = members([1, 5]);
    let mut settings = settings(1, &members);
    settings.queue_bytes_max = 1 << 20;
    let server = start_with(settings).await;
    server.peers.carry_out(&Output::OpenQuorumPort);
    let mut raw = connect_when_open(quorum_port(&members, 1)).await;
    raw.write_packets(&[introduction()]).await;
    let link = server.learner().await;
    let is_told = || server.inbox.all().contains(&Input::LearnerDisconnected(link));
    soon("the end of the link", async {
        while !is_told() {
            (0..1000).for_each(|counter| server.send_to_learner(link, proposal(counter)));
            server.peers.flush();
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// While the inbox is full the sockets are not read: a flood waits at its source.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_inbox_stops_the_reading() {
    use std::sync::atomic::Ordering::SeqCst;
    let members = members([1, 5]);
    let server = start(1, &members).await;
    server.peers.carry_out(&Output::OpenQuorumPort);
    let mut raw = connect_when_open(quorum_port(&members, 1)).await;
    raw.write_packets(&[introduction()]).await;
    server.learner().await;
    server.inbox.is_full.store(true, SeqCst);
    let mut flood = Vec::new();
    (0..1000).for_each(|counter| proposal(counter).encode(&mut flood));
    let mut written = 0;
    // A socket that takes nothing for this long is full.
    let pause = std::time::Duration::from_millis(300);
    while let Ok(result) = tokio::time::timeout(pause, raw.stream.writable()).await {
        result.expect("an open connection");
        match raw.stream.try_write(&flood) {
            Ok(bytes) => written += bytes,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        assert!(written < 64 << 20, "somebody reads on");
    }
    let taken = server.inbox.all().len();
    assert!(taken < 20_000, "{taken}");
    server.inbox.is_full.store(false, SeqCst);
    server.inbox.until("the rest", |inputs| (inputs.len() > taken).then_some(())).await;
}

/// A leader of the test's own, and the link of a learner to it.
async fn false_leader(learner: &Server, listener: &tokio::net::TcpListener) -> Raw {
    learner.inbox.clear();
    learner.peers.carry_out(&Output::ConnectLeader { link: LINK, leader: ServerId(2) });
    let (stream, _) = soon("the learner", listener.accept()).await.expect("a connection");
    learner.inbox.expect(Input::LeaderConnected(LINK)).await;
    Raw { stream, bytes: Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_that_speak_nonsense_are_left() {
    let members = members(1..=2);
    let mut settings = settings(1, &members);
    settings.silence_limit_ms = 5_000;
    let learner = start_with(settings).await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", quorum_port(&members, 2))).await.expect("a free port");
    let head = |length: i32| [&[0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1][..], &length.to_be_bytes()].concat();
    let nonsense = [
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".to_vec(),
        head(i32::MAX),
        head((1 << 20) + 1),
        head(-2),
        // More authentication ids than there can be, and one that is too long.
        [head(-1), i32::MAX.to_be_bytes().to_vec()].concat(),
        [head(-1), 1_i32.to_be_bytes().to_vec(), i32::MAX.to_be_bytes().to_vec()].concat(),
    ];
    for bytes in nonsense {
        let mut raw = false_leader(&learner, &listener).await;
        raw.write_packets(&[proposal(1)]).await;
        raw.write(&bytes).await;
        raw.closed().await;
        learner.inbox.expect(Input::LeaderDisconnected(LINK)).await;
        let of_link = |input: &Input| !matches!(input, Input::PeerReachable(_) | Input::PeerUnreachable(_));
        let inputs: Vec<Input> = learner.inbox.all().into_iter().filter(of_link).collect();
        let expected = [Input::LeaderConnected(LINK), Input::LeaderPacket(LINK, proposal(1)), Input::LeaderDisconnected(LINK)];
        assert_eq!(inputs, expected, "what came before the nonsense counts");
    }
    let mut half = false_leader(&learner, &listener).await;
    half.write(&head(100)).await;
    drop(half);
    learner.inbox.expect(Input::LeaderDisconnected(LINK)).await;
    assert!(!learner.inbox.all().iter().any(|input| matches!(input, Input::LeaderPacket(..))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_says_nothing_is_left() {
    let members = members(1..=2);
    let mut settings = settings(1, &members);
    settings.silence_limit_ms = 50;
    let learner = start_with(settings).await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", quorum_port(&members, 2))).await.expect("a free port");
    for beginning in [&[][..], &[0, 0, 0, 2, 0], b"\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\0\0\x10half"] {
        let mut raw = false_leader(&learner, &listener).await;
        raw.write(beginning).await;
        raw.closed().await;
        learner.inbox.expect(Input::LeaderDisconnected(LINK)).await;
    }
}
