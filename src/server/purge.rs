//! The purge of old snapshots and logs by the clock (`autopurge.*`).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::interval;

use crate::storage::{Directories, FileSystem, purge};

/// Purges at once and then every so many hours.
pub(super) async fn run(fs: Arc<dyn FileSystem>, directories: Arc<Directories>, retain: usize, hours: u32) {
    let mut timer = interval(Duration::from_secs(u64::from(hours) * 3600));
    loop {
        timer.tick().await;
        let (fs, directories) = (Arc::clone(&fs), Arc::clone(&directories));
        let purge_now = move || purge(fs.as_ref(), directories.snap_dir(), directories.log_dir(), retain, directories.files());
        let purged = tokio::task::spawn_blocking(purge_now).await;
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
