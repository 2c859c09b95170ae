//! The election port: who keeps which connection, what is told, and which vote arrives (quorum-protocol.md §1.1 to §1.3).

use paddock::ids::ServerId;
use paddock::net::peers::{ANONYMOUS, Greeting, PeerSettings, PeersError, notification_frame};
use paddock::zab::Input;
use tokio::net::TcpListener;

use crate::harness::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_find_each_other_and_exchange_votes() {
    let members = members(1..=3);
    let servers = [start(1, &members).await, start(2, &members).await, start(3, &members).await];
    for (server, others) in servers.iter().zip([[2, 3], [1, 3], [1, 2]]) {
        for other in others {
            server.reachable(other).await;
            server.notify(other, 5);
        }
    }
    for (server, others) in servers.iter().zip([[2, 3], [1, 3], [1, 2]]) {
        for other in others {
            server.vote_from(other, 5).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_away_is_missed_at_once_and_gets_the_last_vote_when_it_comes_back() {
    let members = members(1..=2);
    let first = start(1, &members).await;
    first.unreachable(2).await;
    let second = start(2, &members).await;
    first.reachable(2).await;
    second.reachable(1).await;
    second.notify(1, 8);
    first.notify(2, 9);
    first.vote_from(2, 8).await;
    second.vote_from(1, 9).await;
    first.inbox.clear();
    drop(second);
    first.unreachable(2).await;
    let second = start(2, &members).await;
    second.vote_from(1, 9).await;
    first.reachable(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_newest_vote_waits_for_a_peer_that_is_not_there() {
    let members = members(1..=2);
    let first = start(1, &members).await;
    (1..=50).for_each(|round| first.notify(2, round));
    first.unreachable(2).await;
    let second = start(2, &members).await;
    second.vote_from(1, 50).await;
    let votes = second.inbox.all().into_iter().filter(|input| matches!(input, Input::Notification { .. })).count();
    assert_eq!(votes, 1);
}

/// Every form of greeting; a larger sid keeps the connection that it made, and a later one takes the place of an earlier one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_larger_sid_keeps_its_connection() {
    let members = members([1, 5]);
    let server = start(1, &members).await;
    let port = election_port(&members, 1);
    server.notify(5, 3);
    let mut greetings = Vec::new();
    for is_multi_address in [false, true] {
        let addresses = members[&ServerId(5)].iter();
        let addresses =
            addresses.map(|member| paddock::config::HostPort { host: member.host.clone(), port: member.election_port }).collect();
        greetings.push(Greeting { sid: ServerId(5), addresses }.encode(is_multi_address));
    }
    greetings.push(5_i64.to_be_bytes().to_vec());
    let mut before: Option<Raw> = None;
    for (round, greeting) in (10..).zip(greetings) {
        server.inbox.clear();
        let mut raw = Raw::connect(port).await;
        raw.write(&greeting).await;
        raw.write(&notification_frame(&vote(round))).await;
        server.reachable(5).await;
        server.vote_from(5, round).await;
        raw.vote(3).await;
        if let Some(mut before) = before.replace(raw) {
            before.closed().await;
            assert!(!server.inbox.all().contains(&Input::PeerUnreachable(ServerId(5))), "it was reachable all the time");
        }
    }
    drop(before);
    server.unreachable(5).await;
}

/// A smaller sid is hung up on and called back, where it says that it is, even when it is in no configuration.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_smaller_sid_is_called_back() {
    let members = members([5]);
    let server = start(5, &members).await;
    for sid in [2, ANONYMOUS.0] {
        let callback = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let own_port = callback.local_addr().expect("bound").port();
        let mut raw = Raw::greet(election_port(&members, 5), sid, own_port).await;
        raw.closed().await;
        let (stream, _) = soon("the call back", callback.accept()).await.expect("accepted");
        let mut raw = Raw { stream, bytes: Default::default() };
        let greeting = raw.greeting().await;
        assert_eq!((greeting.sid, greeting.addresses[0].port), (ServerId(5), election_port(&members, 5)));
        let sid = if sid == ANONYMOUS.0 { anonymous(&server).await } else { sid };
        server.reachable(sid).await;
        server.notify(sid, 4);
        raw.vote(4).await;
        raw.write(&notification_frame(&vote(6))).await;
        server.vote_from(sid, 6).await;
        drop(raw);
        server.unreachable(sid).await;
    }
}

async fn anonymous(server: &Server) -> i64 {
    let negative = |inputs: &[Input]| {
        inputs.iter().find_map(|input| if let Input::PeerReachable(sid) = input { Some(sid.0).filter(|&sid| sid < 0) } else { None })
    };
    server.inbox.until("an anonymous observer", negative).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_and_go() {
    let mut members = members(1..=3);
    let third = members.remove(&ServerId(3)).expect("it is there");
    let first = start(1, &members).await;
    let second = start(2, &members).await;
    first.reachable(2).await;
    members.insert(ServerId(3), third);
    let joined = start(3, &members).await;
    first.peers.set_members(&members);
    second.peers.set_members(&members);
    first.reachable(3).await;
    second.reachable(3).await;
    joined.reachable(1).await;
    joined.reachable(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_leaves_is_hung_up_on() {
    let mut members = members([1, 5]);
    let server = start(1, &members).await;
    let mut raw = Raw::connect(election_port(&members, 1)).await;
    raw.write(&5_i64.to_be_bytes()).await;
    server.reachable(5).await;
    members.remove(&ServerId(5));
    server.peers.set_members(&members);
    raw.closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_moves_to_another_port() {
    let members = members([1, 5]);
    let server = start(1, &members).await;
    let mut moved = members.clone();
    moved.get_mut(&ServerId(1)).expect("it is there")[0].election_port = free_port();
    server.peers.set_members(&moved);
    let mut raw = soon("the new port", async {
        loop {
            match tokio::net::TcpStream::connect(("127.0.0.1", election_port(&moved, 1))).await {
                Ok(stream) => break Raw { stream, bytes: Default::default() },
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    raw.write(&5_i64.to_be_bytes()).await;
    server.reachable(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_an_error_with_its_address() {
    let members = members([1]);
    let _server = start(1, &members).await;
    let inbox = std::sync::Arc::new(Inbox::default());
    let factory = std::sync::Arc::new(Factory(Default::default()));
    let mut settings = settings(1, &members);
    settings.election_bind_attempts = 1;
    let error = paddock::net::peers::Peers::start(settings, inbox, factory).await.err().expect("taken");
    assert!(matches!(error, PeersError::Bind { attempts: 1, .. }));
    assert!(error.to_string().contains(&election_port(&members, 1).to_string()), "{error}");
}

/// Two addresses of one machine, one of them IPv6 where the machine has that; on all IPs one socket serves both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_meet_over_either_kind_of_address() {
    let has_ipv6 = std::net::TcpListener::bind(("::1", 0)).is_ok();
    let mut members = members(1..=2);
    for addresses in members.values_mut() {
        addresses[0].host = if has_ipv6 { "::1" } else { "localhost" }.to_owned();
    }
    let all_ips = |sid| {
        let mut settings = settings(sid, &members);
        (settings.listens_on_all_ips, settings.is_multi_address) = (true, true);
        settings
    };
    let (first, second) = (start(1, &members).await, start_with(all_ips(2)).await);
    first.reachable(2).await;
    second.reachable(1).await;
    first.notify(2, 3);
    second.vote_from(1, 3).await;
    let _by_ipv4 = Raw::connect(election_port(&members, 2)).await;
}

/// A peer whose name nobody knows, and one that takes no connection: those that are there find each other all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zookeeper_3756_3320_peers_that_cannot_be_found_keep_nobody_waiting() {
    let mut members = members(1..=4);
    members.get_mut(&ServerId(3)).expect("a member")[0].host = "nowhere.invalid".to_owned();
    let deaf = std::net::TcpListener::bind(("127.0.0.1", election_port(&members, 4))).expect("a free port");
    let servers = [start(1, &members).await, start(2, &members).await];
    for (server, other) in servers.iter().zip([2, 1]) {
        (2..=4).for_each(|peer| server.notify(peer, 5));
        server.reachable(other).await;
        server.notify(other, 6);
    }
    for (server, other) in servers.iter().zip([2, 1]) {
        server.vote_from(other, 6).await;
    }
    drop(deaf);
}

/// ZOOKEEPER-3188, 3720: a server before 3.6 refuses the form with several addresses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zookeeper_3188_3720_greetings_have_the_form_of_one_address_unless_told_otherwise() {
    let config = paddock::config::Settings::embedded_default(std::path::Path::new("."));
    assert!(!config.peers.multi_address_enabled);
    for (is_multi_address, version) in [(false, -65_536_i64), (true, -65_535)] {
        let members = members([1, 5]);
        let listener = TcpListener::bind(("127.0.0.1", election_port(&members, 1))).await.expect("a free port");
        let _server = start_with(PeerSettings { is_multi_address, ..settings(5, &members) }).await;
        let (mut stream, _) = soon("the greeting", listener.accept()).await.expect("accepted");
        let mut first = [0; 8];
        soon("its version", tokio::io::AsyncReadExt::read_exact(&mut stream, &mut first)).await.expect("it speaks first");
        assert_eq!(i64::from_be_bytes(first), version);
    }
}
