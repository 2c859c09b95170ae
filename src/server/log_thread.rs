//! The log thread: takes all waiting appends, writes them with one write and one fdatasync, and tells the replica.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::node::Node;
use super::persistence::Journal;
use super::snapshots::Snapshots;
use crate::ids::Zxid;
use crate::replica::Input;
use crate::storage::StorageError;
use crate::zab;

/// The mark beside the log is synced this often at most, and this long after the last batch at the latest.
const MARK_INTERVAL: Duration = Duration::from_secs(1);

/// Runs until the node stops. An error of the disk is final.
pub(super) fn run(node: &Arc<Node>, journal: &mut Journal, snapshots: &Snapshots, warning_threshold_ms: u64) -> Result<(), StorageError> {
    let mut mark_synced = Instant::now();
    while let Some((batch, since_ms)) = next_batch(node) {
        let (started, started_ms) = (Instant::now(), node.clock.now().monotonic_ms);
        let written = journal.write(batch.iter().map(|(zxid, payload)| (*zxid, payload)), || node.shared.tree.read().snapshot_bytes())?;
        let took_ms = started.elapsed().as_millis() as u64;
        if !batch.is_empty() {
            node.stats.add_flush(batch.len(), started_ms - since_ms, took_ms as i64);
        }
        if took_ms > warning_threshold_ms {
            tracing::warn!(took_ms, "fsync-ing the write ahead log took long, which will adversely affect operation latency");
        }
        if let Some(written) = written {
            node.submit(vec![Input::Zab(zab::Input::Persisted(written.last))]);
            if written.is_snapshot_due {
                snapshots.start(node);
            }
        }
        if written.is_none() || mark_synced.elapsed() >= MARK_INTERVAL {
            journal.sync_mark()?;
            mark_synced = Instant::now();
        }
    }
    journal.close()
}

/// All that waits, and since when; nothing when nothing came for the mark's interval; `None` when the node stops.
fn next_batch(node: &Node) -> Option<(Vec<(Zxid, Bytes)>, i64)> {
    let mut queue = node.log.lock();
    while queue.waiting.is_empty() {
        if queue.is_stopping {
            return None;
        }
        queue.is_idle = true;
        let waited = node.log_wakes.wait_for(&mut queue, MARK_INTERVAL);
        queue.is_idle = false;
        if waited.timed_out() {
            break;
        }
    }
    Some((std::mem::take(&mut queue.waiting), queue.since_ms))
}
