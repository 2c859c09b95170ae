//! What reads share with the replica: the applied tree and the watches.

use parking_lot::{Mutex, RwLock};

use crate::tree::data_tree::DataTree;
use crate::tree::watch::WatchTable;

/// The tree under one lock, the watches under another. Whoever takes the watches holds the tree's lock: a watch is registered
/// under the lock under which its read was made.
pub struct Shared {
    /// The applied tree: read by connections, written by the replica alone.
    pub tree: RwLock<DataTree>,
    /// Who watches what.
    pub watches: Mutex<WatchTable>,
}

impl Shared {
    /// Shares a recovered tree. `seed` keys the hash of watched paths.
    #[must_use]
    pub fn new(tree: DataTree, seed: u64) -> Self {
        Self { tree: RwLock::new(tree), watches: Mutex::new(WatchTable::new(seed)) }
    }
}
