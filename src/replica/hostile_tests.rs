//! Riders that mean nothing: whatever a learner or a leader sends of sessions, the others serve their clients and agree.

use bytes::Bytes;

use super::Input;
use super::pump::{Pump, TICK_MS, Told};
use super::riders::{self, Forwarded};
use crate::ids::{SessionId, Zxid};
use crate::proto::op_code::OpCode;
use crate::zab::{self, LinkId, Packet, Rider, RiderKind};

/// splitmix64: the same seed gives the same attack.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn bytes(&mut self, length: u64) -> Bytes {
        (0..length).map(|_| self.below(256) as u8).collect()
    }

    fn int(&mut self) -> i32 {
        let any = self.below(1 << 32) as i32;
        [0, -1, i32::MIN, i32::MAX, 4000, any][self.below(6) as usize]
    }
}

/// Requests of `own` and of sessions that nobody knows, of any operation; PINGs and REVALIDATEs with any timeouts; or no more than noise.
fn rider(random: &mut Random, own: SessionId) -> Rider {
    let session = if random.below(2) == 0 { own } else { SessionId(random.below(u64::MAX) as i64) };
    let length = random.below(60);
    let noise = random.bytes(length);
    let op = OpCode([-11, -10, 1, 2, 5, 7, 9, 13, 14, 16, 100, random.int()][random.below(12) as usize]);
    match random.below(5) {
        0 => Forwarded { session, cxid: random.int(), op, body: noise }.rider(&[]),
        1 => {
            let data = Some(riders::touches([(session, random.int()), (own, random.int())].into_iter()));
            Rider { kind: RiderKind::Ping, zxid: Zxid(-1), data, authinfo: None }
        }
        2 => riders::revalidate(session, random.int()),
        3 => riders::validity(session, random.below(2) == 0),
        _ => {
            let kind = [RiderKind::Request, RiderKind::Ping, RiderKind::Revalidate, RiderKind::Sync][random.below(4) as usize];
            Rider { kind, zxid: Zxid(random.below(u64::MAX) as i64), data: (length > 5).then_some(noise), authinfo: None }
        }
    }
}

/// The names of a leader's links, and of a learner's.
fn links(of_leader: bool) -> impl Iterator<Item = LinkId> {
    let first = if of_leader { 1_000_001 } else { 1 };
    (first..first + 4).map(LinkId)
}

#[test]
fn riders_that_mean_nothing_do_no_harm() {
    for seed in 0..60 {
        println!("seed {seed}");
        let (mut random, mut pump) = (Random(seed), Pump::serving(3, 1));
        let attacks_leader = seed % 2 == 0;
        let victim = if attacks_leader { pump.leader() } else { pump.learners()[seed as usize / 2 % 3] };
        let own = pump.open(victim, 1, 4000).id();
        let witness = (0..4).find(|index| ![victim, pump.leader()].contains(index)).expect("there are four");
        pump.open(witness, 2, 4000);
        for _ in 0..20 {
            let packet = Packet::Rider(rider(&mut random, own));
            for link in links(attacks_leader) {
                let packet = packet.clone();
                let input = if attacks_leader { zab::Input::LearnerPacket(link, packet) } else { zab::Input::LeaderPacket(link, packet) };
                pump.give(victim, Input::Zab(input));
            }
        }
        pump.advance(3 * TICK_MS);
        pump.request(witness, 2, 1, OpCode::DELETE, vec![0, 0, 0, 2, b'/', b'x', 0, 0, 0, 0]);
        assert!(matches!(pump.told(witness, 2), [Told::Failed(1, _)]), "{:?}", pump.told(witness, 2));
        pump.agree();
    }
}
