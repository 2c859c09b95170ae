//! When the ordering core wants to be woken, and the task that does it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::node::Node;
use crate::replica::Input;
use crate::zab;

/// Nothing waits for the time.
const NEVER: i64 = i64::MAX;

/// When the core is due for longer than this, ms, it may be long: the process was stopped, and the ensemble may have gone on without it.
const LATE_MS: i64 = 100;

/// The time at which the core is due, ms of the monotonic clock.
pub(super) struct Wake {
    at_ms: AtomicI64,
    changed: Notify,
}

impl Default for Wake {
    fn default() -> Self {
        Self { at_ms: AtomicI64::new(NEVER), changed: Notify::new() }
    }
}

impl Wake {
    /// The core is due then. Called at the end of every turn.
    pub(super) fn set(&self, at_ms: Option<i64>) {
        let at_ms = at_ms.unwrap_or(NEVER);
        // A later time needs no message: the task looks again when it wakes.
        if self.at_ms.swap(at_ms, Ordering::AcqRel) > at_ms {
            self.changed.notify_one();
        }
    }

    /// Whether the core should have been told the time before.
    pub(super) fn is_late(&self, now_ms: i64) -> bool {
        now_ms > self.at_ms.load(Ordering::Acquire).saturating_add(LATE_MS)
    }
}

/// Gives the core its ticks, for ever.
pub(super) async fn run(node: Arc<Node>) {
    let Some(ensemble) = node.ensemble.get() else { return };
    loop {
        let wait_ms = ensemble.wake.at_ms.load(Ordering::Acquire).saturating_sub(node.clock.now().monotonic_ms);
        if wait_ms <= 0 {
            node.submit(vec![Input::Zab(zab::Input::Tick)]);
            // A core that is due still has what it waits for done by somebody else.
            tokio::task::yield_now().await;
            continue;
        }
        let _ = timeout(Duration::from_millis(wait_ms as u64), ensemble.wake.changed.notified()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_was_not_told_the_time_is_late() {
        let wake = Wake::default();
        assert!(!wake.is_late(i64::MAX), "nothing waits for the time");
        wake.set(Some(1000));
        assert!(!wake.is_late(1000 + LATE_MS));
        assert!(wake.is_late(1001 + LATE_MS));
        wake.set(Some(5000));
        assert!(!wake.is_late(1001 + LATE_MS));
    }
}
