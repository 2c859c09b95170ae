//! The purge of old snapshots and logs by the clock (`autopurge.*`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::interval;

use crate::storage::{FileSystem, purge};

/// Purges at once and then every so many hours.
pub(super) async fn run(fs: Arc<dyn FileSystem>, snap_dir: PathBuf, log_dir: PathBuf, retain: usize, hours: u32) {
    let mut timer = interval(Duration::from_secs(u64::from(hours) * 3600));
    loop {
        timer.tick().await;
        let (fs, snap_dir, log_dir) = (Arc::clone(&fs), snap_dir.clone(), log_dir.clone());
        let purged = tokio::task::spawn_blocking(move || purge(fs.as_ref(), &snap_dir, &log_dir, retain)).await;
        match purged {
            Ok(Ok(removed)) => {
                for path in removed {
                    tracing::info!(path = %path.display(), "purged");
                }
            }
            Ok(Err(error)) => tracing::error!(%error, "purge failed"),
            Err(error) => tracing::error!(%error, "purge did not run"),
        }
    }
}
