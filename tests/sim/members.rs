//! Configurations of the simulated ensemble: a txn that proposes one carries both lists in its number, as bits.

use std::collections::BTreeSet;

use bytes::Bytes;
use paddock::ids::{ServerId, Zxid};
use paddock::zab::{Configuration, ConfigurationReader, QuorumVerifier};

use crate::disk::{State, id_of};
use crate::random::Random;

/// Set in the numbers of such txns.
const TAG: u64 = 1 << 63;
/// Servers that the lists have room for.
const SERVERS_MAX: u64 = 12;
/// Bytes of the payload: the number, and the zxid.
const PAYLOAD_BYTES: usize = 16;

pub const READER: ConfigurationReader = ConfigurationReader { parse, proposed_by };

fn bits(sids: impl Iterator<Item = u64>) -> u64 {
    sids.fold(0, |bits, sid| bits | 1 << (sid - 1))
}

fn sids(bits: u64) -> impl Iterator<Item = ServerId> {
    (0..SERVERS_MAX).filter(move |bit| bits >> bit & 1 == 1).map(|bit| ServerId(bit as i64 + 1))
}

fn text(voters: u64, observers: u64, version: i64) -> Bytes {
    format!("{voters:x} {observers:x}\nversion={version:x}").into()
}

fn parse(text: &[u8]) -> Option<Configuration> {
    let text = std::str::from_utf8(text).ok()?;
    let (lists, version) = text.split_once("\nversion=")?;
    let (voters, observers) = lists.split_once(' ')?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    Some(configuration(number(voters)?, number(observers)?, i64::from_str_radix(version, 16).ok()?))
}

fn configuration(voters: u64, observers: u64, version: i64) -> Configuration {
    let observers_set: BTreeSet<ServerId> = sids(observers).collect();
    let addresses = sids(voters | observers).map(|sid| (sid, sid.to_string())).collect();
    let text = text(voters, observers, version);
    Configuration { text, observers: observers_set, addresses, ..Configuration::of(version, QuorumVerifier::majority(sids(voters))) }
}

fn lists(id: u64) -> Option<(u64, u64)> {
    let list = (1 << SERVERS_MAX) - 1;
    (id & TAG != 0).then_some((id & list, id >> SERVERS_MAX & list))
}

fn proposed_by(payload: &Bytes) -> Option<Bytes> {
    let (voters, observers) = lists(id_of(payload))?;
    let version = i64::from_be_bytes(*payload.get(8..)?.first_chunk()?);
    Some(text(voters, observers, version))
}

/// What the operators wrote: the first servers vote, the next ones observe, the rest is in no list.
pub fn first(voters: usize, observers: usize) -> Configuration {
    let (voters, observers) = (voters as u64, observers as u64);
    configuration(bits(1..=voters), bits(voters + 1..=voters + observers), 0)
}

/// The number of a txn that is unlike every other.
pub fn number(counter: u64, count: usize, random: &mut Random) -> u64 {
    let mut order: Vec<u64> = (1..=count as u64).collect();
    for index in (1..order.len()).rev() {
        order.swap(index, random.between(0, index as i64) as usize);
    }
    let voters = random.between(1, count.min(5) as i64) as usize;
    let observers = random.between(0, (count - voters).min(2) as i64) as usize;
    let lists = bits(order[..voters].iter().copied()) | bits(order[voters..voters + observers].iter().copied()) << SERVERS_MAX;
    TAG | counter << (2 * SERVERS_MAX) | lists
}

/// The payload of the txn.
pub fn payload(number: u64, zxid: Zxid) -> Bytes {
    let payload = [number.to_be_bytes(), zxid.0.to_be_bytes()].concat();
    assert_eq!(payload.len(), PAYLOAD_BYTES);
    payload.into()
}

/// What a txn would make of the ensemble.
pub fn proposed(number: u64, zxid: Zxid) -> Option<Configuration> {
    lists(number).map(|(voters, observers)| configuration(voters, observers, zxid.0))
}

/// The newest configuration in a history.
pub fn newest(state: &State) -> Option<Configuration> {
    state.iter().rev().find_map(|&(zxid, id)| proposed(id, zxid))
}
