//! Observers that come to followers: what their clients see, and what becomes of it when a follower goes.

use super::Input;
use super::ensemble_tests::{create, delete, sync};
use super::pump::{Pump, TICK_MS, Told, connection};
use super::riders;
use crate::ids::{ConnectionId, SessionId, Zxid};
use crate::proto::error_code::ErrorCode;
use crate::proto::op_code::OpCode;
use crate::zab::{self, Packet, Rider, RiderKind, ServerState};

/// Three that vote, and observers behind the followers.
fn observed(observers: usize) -> Pump {
    let mut pump = Pump::with_observer_masters(3, observers);
    for observer in 3..3 + observers {
        assert_eq!(pump.nodes[pump.master_of(observer)].outside.serving, Some(ServerState::Following), "it came to a follower");
    }
    pump.advance(TICK_MS);
    pump
}

#[test]
fn clients_of_an_observer_are_served_through_its_master() {
    let mut pump = observed(2);
    for index in 0..5 {
        pump.open(index, 1, 4000);
        pump.request(index, 1, 1, OpCode::CREATE, create(&format!("/{index}"), 0));
        pump.request(index, 1, 2, OpCode::CREATE, create(&format!("/{index}"), 0));
        pump.request(index, 1, 3, OpCode::SYNC, sync("/"));
        pump.request(index, 1, 4, OpCode::CREATE, vec![0, 0]);
        pump.request(index, 1, 5, OpCode::CREATE, create(&format!("/{index}/e"), 1));
        let told = [
            Told::Done(1),
            Told::Failed(2, ErrorCode::NODE_EXISTS),
            Told::Synced(3, Some("/".to_owned())),
            Told::Failed(4, ErrorCode::MARSHALLING_ERROR),
            Told::Done(5),
        ];
        assert_eq!(pump.told(index, 1), told, "server index {index}");
        assert_eq!(pump.has(&format!("/{index}/e")), [true; 5]);
    }
    pump.agree();
    let masters = [3, 4].map(|observer| pump.master_of(observer));
    for master in masters {
        let served = masters.iter().filter(|&&other| other == master).count();
        let counts = pump.nodes[master].replica.observer_counts().expect("it serves observers");
        assert_eq!((counts.learners, counts.synced_observers), (served, served));
    }
    assert_eq!(pump.nodes[pump.leader()].replica.learner_counts().synced_observers, 0, "the leader has nothing to do with it");
}

/// What observers heard of reaches the leader, through the answers of their masters.
#[test]
fn a_session_lives_while_an_observer_hears_of_it() {
    let mut pump = observed(1);
    let heard = pump.open(3, 1, 10 * TICK_MS as i32);
    let silent = pump.open(3, 2, 10 * TICK_MS as i32);
    for _ in 0..40 {
        heard.touch(pump.now_ms);
        pump.advance(TICK_MS);
    }
    assert!(pump.nodes[0].replica.sessions().get(heard.id()).is_some());
    assert!(pump.nodes[0].replica.sessions().get(silent.id()).is_none(), "nothing was heard of it");
}

#[test]
fn a_master_that_goes_is_replaced_by_another_and_the_last_by_the_leader() {
    let mut pump = observed(1);
    let leader = pump.leader();
    let first = pump.master_of(3);
    pump.isolated.insert(first);
    pump.cut_off(first);
    pump.advance(5 * TICK_MS);
    let second = pump.master_of(3);
    assert!(second != first && second != leader, "{first}, {second}");
    pump.open(3, 1, 40_000);
    pump.request(3, 1, 1, OpCode::CREATE, create("/a", 0));
    assert_eq!(pump.told(3, 1), [Told::Done(1)]);
    pump.heal();
    pump.advance(20 * TICK_MS);
    assert_eq!(pump.has("/a"), [true; 4]);
    assert_eq!(pump.master_of(3), second, "it stays where it is");
    let mut alone = Pump::with_observer_masters(1, 1);
    alone.advance(20 * TICK_MS);
    assert_eq!((alone.leader(), alone.master_of(1)), (0, 0), "there is no follower");
}

/// A client goes from one observer to another, from there to their master, and back. Only its last server may write for it.
#[test]
fn a_session_speaks_through_one_server_behind_a_master() {
    let mut pump = observed(2);
    while pump.master_of(3) != pump.master_of(4) {
        let other = pump.master_of(4);
        pump.cut_off(other);
        pump.advance(30 * TICK_MS);
    }
    let master = pump.master_of(3);
    let session = pump.open(3, 1, 40_000);
    let mut last = 3;
    for (slot, (next, path)) in [(4, "/a"), (master, "/b"), (3, "/c"), (4, "/d")].into_iter().enumerate() {
        let slot = slot as u32 + 10;
        pump.resume(next, slot, session.id(), 40_000);
        assert!(pump.nodes[next].outside.open.contains_key(&connection(slot)), "it may go on at {next}");
        let before = if slot == 10 { 1 } else { slot - 1 };
        if last == master {
            assert!(pump.nodes[master].outside.closed.contains(&connection(before)), "the old connection is closed");
        } else {
            pump.request(last, before, 100, OpCode::CREATE, create(&format!("{path}-late"), 0));
            assert_eq!(pump.told(last, before).last(), Some(&Told::Failed(100, ErrorCode::BAD_ARGUMENTS)), "{path}");
        }
        pump.request(next, slot, 200, OpCode::CREATE, create(path, 0));
        assert_eq!(pump.told(next, slot), [Told::Done(200)]);
        assert_eq!((pump.has(path), pump.has(&format!("{path}-late"))), (vec![true; 5], vec![false; 5]));
        last = next;
    }
    pump.agree();
}

#[test]
fn who_does_not_know_the_session_is_refused_as_at_a_leader() {
    let mut pump = observed(1);
    pump.resume(3, 1, SessionId(77), 4000);
    assert!(pump.nodes[3].outside.refused.contains(&connection(1)));
    let master = pump.master_of(3);
    pump.resume(master, 2, SessionId(77), 4000);
    assert!(pump.nodes[master].outside.refused.contains(&connection(2)), "its own clients ask for themselves");
}

/// What a Java observer may forward, and no leader may be given: it gets an error of this number, for it waits for one.
#[test]
fn what_no_leader_can_take_is_answered_and_goes_no_further() {
    let mut pump = observed(1);
    let session = pump.open(3, 1, 40_000);
    let leader = pump.leader();
    for (number, (op, body)) in [(OpCode::CHECK, delete("/")), (OpCode::CREATE, vec![0, 0]), (OpCode(99), vec![])].into_iter().enumerate() {
        let before = pump.nodes[leader].shared.tree.read().last_zxid();
        pump.forward(3, session.id(), 50 + number as i32, op, body);
        assert_eq!(pump.nodes[leader].shared.tree.read().last_zxid(), before.next(), "a txn that failed");
    }
    let cut = Rider { kind: RiderKind::Request, zxid: Zxid(-1), data: Some(bytes::Bytes::from_static(&[1; 15])), authinfo: None };
    let before = pump.nodes[leader].shared.tree.read().last_zxid();
    pump.give(3, Input::Zab(zab::Input::ToLeader(cut)));
    assert_eq!(pump.nodes[leader].shared.tree.read().last_zxid(), before);
    pump.agree();
}

/// Sessions that nobody knows would make the master's own answer longer than its leader takes.
#[test]
fn only_sessions_that_are_known_are_told_to_the_leader() {
    let mut pump = observed(1);
    let known = pump.open(3, 1, 40_000);
    let touches = riders::touches([(known.id(), 40_000), (SessionId(5), 1), (SessionId(6), 1)].into_iter());
    let rider = Rider { kind: RiderKind::Ping, zxid: Zxid(0), data: Some(touches), authinfo: None };
    pump.give(3, Input::Zab(zab::Input::ToLeader(rider)));
    let master = pump.master_of(3);
    pump.touches.clear();
    pump.advance(2 * TICK_MS);
    let told: Vec<_> = pump.touches.iter().filter(|(by, _)| *by == master).flat_map(|(_, told)| told.clone()).collect();
    assert!(told.contains(&(known.id(), 40_000)) && told.iter().all(|(session, _)| *session == known.id()), "{told:?}");
}

/// Java observers match answers with their clients' writes and syncs by their order alone: a commit that came behind the answer to a sync
/// must not be passed on before it, though both are handled in one turn.
#[test]
fn an_answer_to_a_sync_keeps_its_place_between_the_commits() {
    let mut pump = observed(1);
    let session = pump.open(3, 1, 40_000);
    let (leader, master) = (pump.leader(), pump.master_of(3));
    pump.open(leader, 1, 40_000);
    pump.held.insert(master);
    pump.forward(3, session.id(), 1, OpCode::SYNC, sync("/"));
    pump.request(leader, 1, 1, OpCode::CREATE, create("/behind", 0));
    let told = pump.release_in_one_turn(master);
    let order = told.iter().filter_map(|packet| match packet {
        Packet::Rider(rider) if rider.kind == RiderKind::Sync => Some("synced"),
        Packet::Inform { .. } => Some("inform"),
        _ => None,
    });
    assert_eq!(order.collect::<Vec<_>>(), ["synced", "inform"]);
}

#[test]
fn askers_are_answered_in_their_order() {
    let mut askers = super::relay::Askers::default();
    let own = |slot| ConnectionId { slot, generation: 0 };
    assert_eq!(askers.ask(SessionId(1), own(1), 10), []);
    assert_eq!(askers.ask(SessionId(1), own(2), 20), [own(1)], "the older connection is given up");
    assert_eq!(askers.ask(SessionId(1), own(3), 30), [own(2)]);
    let answered: Vec<_> = std::iter::from_fn(|| askers.answered(SessionId(1)))
        .map(|asker| match asker {
            super::relay::Asker::Own(connection, timeout_ms) => (connection, timeout_ms),
            super::relay::Asker::Observer(_) => unreachable!("no observer asked"),
        })
        .collect();
    assert_eq!(answered, [(None, 10), (None, 20), (Some(own(3)), 30)]);
}
