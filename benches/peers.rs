//! The links between servers, over sockets of this machine: what a leader and two learners cost together for each proposal.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use paddock::config::MemberAddress;
use paddock::ids::{Epoch, ServerId, Zxid};
use paddock::net::peers::{Addresses, PeerInbox, PeerSettings, Peers, SnapshotFactory, SnapshotSink};
use paddock::zab::{Input, Introduction, LinkId, Output, Packet};
use tokio::runtime::{Builder, Runtime};

/// Proposals of one measurement, and of one turn of the replica.
const PROPOSALS: usize = 20_000;
const TURN: usize = 100;
/// Bytes of a txn: a small setData.
const PAYLOAD: [u8; 200] = [7; 200];

/// Counts the packets that came from a leader, and keeps the last link of a learner.
#[derive(Default)]
struct Counter {
    packets: AtomicUsize,
    link: AtomicU64,
    is_connected: AtomicU64,
}

impl PeerInbox for Counter {
    fn submit(&self, inputs: Vec<Input>) {
        for input in inputs {
            match input {
                Input::LeaderPacket(..) => drop(self.packets.fetch_add(1, SeqCst)),
                Input::LeaderConnected(_) => self.is_connected.store(1, SeqCst),
                Input::LearnerConnected(link) => self.link.store(link.0, SeqCst),
                _ => {}
            }
        }
    }

    fn is_full(&self) -> bool {
        false
    }
}

struct NoSnapshots;

impl SnapshotFactory for NoSnapshots {
    fn receive(&self, _: Zxid) -> io::Result<Box<dyn SnapshotSink>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

fn members() -> Addresses {
    let port = || TcpListener::bind(("127.0.0.1", 0)).expect("a free port").local_addr().expect("bound").port();
    let address = || MemberAddress { host: "127.0.0.1".to_owned(), quorum_port: port(), election_port: port() };
    (1..=3).map(|sid| (ServerId(sid), vec![address()])).collect::<BTreeMap<_, _>>()
}

fn start(runtime: &Runtime, sid: i64, members: &Addresses) -> (Arc<Peers>, Arc<Counter>) {
    let config = paddock::config::Settings::embedded_default(std::path::Path::new("unused"));
    let mut settings = PeerSettings::new(&config, ServerId(sid));
    (settings.members, settings.silence_limit_ms, settings.leader_connect_timeout_ms) = (members.clone(), 60_000, 10_000);
    let inbox = Arc::new(Counter::default());
    let peers = runtime.block_on(Peers::start(settings, inbox.clone(), Arc::new(NoSnapshots))).expect("the port is free");
    (peers, inbox)
}

fn wait(until: impl Fn() -> bool) {
    while !until() {
        std::thread::yield_now();
    }
}

/// Connects a learner; gives the leader's name of the link.
fn join(learner: &(Arc<Peers>, Arc<Counter>), sid: i64, leader: &Counter) -> LinkId {
    let (peers, inbox) = learner;
    while inbox.is_connected.load(SeqCst) == 0 {
        peers.carry_out(&Output::ConnectLeader { link: LinkId(1), leader: ServerId(3) });
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let before = leader.link.load(SeqCst);
    let info =
        Introduction { accepted_epoch: Epoch(0), sid: Some(ServerId(sid)), config_version: 0, is_paddock: true, serves_observers: false };
    peers.carry_out(&Output::ToLeader(LinkId(1), Packet::FollowerInfo(info)));
    peers.flush();
    wait(|| leader.link.load(SeqCst) != before);
    LinkId(leader.link.load(SeqCst))
}

fn proposals(c: &mut Criterion) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let members = members();
    let (leader, inbox) = start(&runtime, 3, &members);
    let learners = [start(&runtime, 1, &members), start(&runtime, 2, &members)];
    leader.carry_out(&Output::OpenQuorumPort);
    let links = [join(&learners[0], 1, &inbox), join(&learners[1], 2, &inbox)];
    let payload = Bytes::from_static(&PAYLOAD);
    let mut group = c.benchmark_group("peers");
    group.throughput(Throughput::Elements(PROPOSALS as u64));
    group.sample_size(20);
    group.bench_function("proposals to two learners", |b| {
        b.iter(|| {
            let before = learners.each_ref().map(|(_, inbox)| inbox.packets.load(SeqCst));
            for counter in 0..PROPOSALS {
                for link in links {
                    let packet = Packet::Proposal { zxid: Zxid(counter as i64), payload: payload.clone() };
                    leader.carry_out(&Output::ToLearner(link, packet));
                }
                if counter % TURN == TURN - 1 {
                    leader.flush();
                }
            }
            let has_all = |(learner, before): (&(Arc<Peers>, Arc<Counter>), usize)| learner.1.packets.load(SeqCst) >= before + PROPOSALS;
            wait(|| learners.iter().zip(before).all(has_all));
        });
    });
    group.finish();
}

criterion_group!(benches, proposals);
criterion_main!(benches);
