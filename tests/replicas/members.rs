//! Who belongs to the simulated ensemble, as its operators and its clients write it.

use paddock::config::Members;
use paddock::replica::configuration;
use paddock::zab::Configuration;

use crate::random::Random;
use crate::requests::Part;

/// The text of a membership: some servers vote, some observe.
fn text(voters: &[usize], observers: &[usize]) -> String {
    let line = |id: &usize, role| format!("server.{id}=10.0.0.{id}:2888:3888:{role};10.0.0.{id}:2181");
    let voters = voters.iter().map(|id| line(id, "participant"));
    voters.chain(observers.iter().map(|id| line(id, "observer"))).collect::<Vec<_>>().join("\n")
}

/// What the operators wrote: the first servers vote, the others observe.
pub fn first(voters: usize, count: usize) -> Configuration {
    let ids: Vec<usize> = (1..=count).collect();
    let (members, _) = Members::parse(text(&ids[..voters], &ids[voters..]).as_bytes()).expect("a membership");
    configuration(&members, 0)
}

/// A client asks for any other members.
pub fn change(count: usize, random: &mut Random) -> Part {
    let mut ids: Vec<usize> = (1..=count).collect();
    for index in (1..count).rev() {
        ids.swap(index, random.between(0, index as i64) as usize);
    }
    let voters = random.between(2, count.min(5) as i64) as usize;
    let members = voters + random.between(0, (count - voters) as i64) as usize;
    Part::Reconfig { members: text(&ids[..voters], &ids[voters..members]) }
}
