//! The log thread: takes all waiting appends, writes them with one write and one fdatasync, and tells the replica.

use std::sync::Arc;
use std::time::Instant;

use super::node::Node;
use super::snapshots::Snapshots;
use crate::replica::Input;
use crate::storage::{StorageError, TxnLog};

/// Runs until the node stops. An error of the disk is final.
pub(super) fn run(node: &Arc<Node>, log: &mut TxnLog, snapshots: &mut Snapshots, warning_threshold_ms: u64) -> Result<(), StorageError> {
    loop {
        let batch = {
            let mut queue = node.log.lock();
            while queue.waiting.is_empty() {
                if queue.is_stopping {
                    return Ok(());
                }
                queue.is_idle = true;
                node.log_wakes.wait(&mut queue);
                queue.is_idle = false;
            }
            std::mem::take(&mut queue.waiting)
        };
        let Some(&(last, _)) = batch.last() else { continue };
        for (zxid, payload) in &batch {
            log.append(*zxid, payload)?;
        }
        let started = Instant::now();
        let written = log.commit()?;
        let took_ms = started.elapsed().as_millis() as u64;
        if took_ms > warning_threshold_ms {
            tracing::warn!(took_ms, "fsync-ing the write ahead log took long, which will adversely affect operation latency");
        }
        node.submit(vec![Input::Persisted(last)]);
        if snapshots.is_due(written.record_count, written.bytes, || node.shared.tree.read().snapshot_bytes()) {
            log.roll()?;
            snapshots.start(node);
        }
    }
}
