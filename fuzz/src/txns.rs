//! Payloads of a log, as hostile as a disk can make them: decoded, encoded again, applied to a tree.

use paddock::ids::Zxid;
use paddock::proto::txn::{self, Txn};
use paddock::tree::acl::AclList;
use paddock::tree::apply::Observer;
use paddock::tree::watch::{EventType, WatchTable, modes};

use crate::check::tree;
use crate::choices::Choices;
use crate::requests::small_tree;
use crate::restore::SEED;

/// Fires watches on whatever changes.
struct Watched(WatchTable);

impl Observer for Watched {
    fn changed(&mut self, event: EventType, path: &str, _: Zxid, _: &AclList) {
        self.0.fire(event, path, |_| {});
    }
}

/// A sequence of payloads, each behind its length of two bytes.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut state = small_tree();
    let mut watched = Watched(WatchTable::new(SEED));
    watched.0.add(1, "/a", modes::DATA | modes::CHILD);
    watched.0.add(2, "/", modes::RECURSIVE);
    while !choices.is_empty() {
        let Ok(txn) = Txn::decode(choices.block()) else { continue };
        // Text beyond U+FFFF, and a closeSession that lists nothing but empty paths, come back as something else: once.
        let payload = encode(&txn);
        let again = Txn::decode(&payload).expect("what was encoded decodes");
        let payload = encode(&again);
        let same = Txn::decode(&payload).expect("what was encoded decodes");
        assert_eq!((&same.body, &same.digest), (&again.body, &again.digest));
        state.apply(&txn, &mut watched);
    }
    tree(&state);
}

fn encode(txn: &Txn<'_>) -> Vec<u8> {
    txn::encode(&txn.header, &txn.body, txn.digest)
}
