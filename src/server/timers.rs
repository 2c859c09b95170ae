//! What happens by the clock: ticks for session expiry, and the sweep for containers and TTL znodes (client-protocol.md §3.5).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, sleep};

use super::node::Node;
use crate::config::TreeSettings;
use crate::replica::Input;

/// Ticks on every boundary of the tick time, which is when buckets of sessions end.
pub(super) async fn tick(node: Arc<Node>, tick_time_ms: i64) {
    loop {
        let now_ms = node.clock.now().monotonic_ms;
        let wait_ms = tick_time_ms - now_ms.rem_euclid(tick_time_ms);
        sleep(Duration::from_millis(wait_ms as u64)).await;
        node.submit(vec![Input::Tick]);
    }
}

/// Paths that one sweep may hold.
const SWEPT_MAX: u128 = 100_000;

/// Sweeps for ever; candidates go to the replica one by one, no faster than the limit.
pub(super) async fn sweep(node: Arc<Node>, settings: TreeSettings) {
    let period = Duration::from_millis(settings.container_check_interval_ms.max(1));
    let gap = Duration::from_millis(60_000 / u64::from(settings.container_max_per_minute.max(1)));
    let never_used_ms = settings.container_max_never_used_interval_ms.map_or(0, |ms| ms as i64);
    // What one sweep finds beyond this it could not remove before the next.
    let most = (period.as_millis() / gap.as_millis().max(1)).clamp(1, SWEPT_MAX) as usize;
    let mut timer = interval(period);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    timer.tick().await;
    loop {
        timer.tick().await;
        let due = node.shared.tree.read().reapable(node.clock.now().wall_ms, never_used_ms, most);
        for path in due {
            node.submit(vec![Input::Reap { path }]);
            sleep(gap).await;
        }
    }
}
