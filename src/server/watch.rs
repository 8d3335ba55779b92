//! The rules directory under watch: a burst of changes becomes one reload.

use std::path::Path;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::warn;

/// How long the directory must be quiet before it is read: an editor writes, renames and removes within that.
const QUIET: Duration = Duration::from_millis(200);

/// The most rounds of waiting for quiet, so that a directory that never rests is read all the same.
const ROUNDS_MAX: usize = 25;

/// Tells when the directory changed. Dropping it ends the watch.
#[derive(Debug)]
pub struct RuleWatch {
    changes: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl RuleWatch {
    /// Watches `directory` itself, nothing below it.
    pub fn start(directory: &Path) -> notify::Result<Self> {
        let (sender, changes) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
            // One place is enough: a full channel means that a change is noted already.
            Ok(event) if is_change(&event.kind) => drop(sender.try_send(())),
            Ok(_) => {}
            Err(error) => warn!(%error, "the rules directory cannot be watched; SIGHUP and RELOAD still work"),
        })?;
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
        Ok(Self { changes, _watcher: watcher })
    }

    /// Waits for a change and then for quiet; never returns once the watcher is gone. Cancel-safe.
    pub async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        for _ in 0..ROUNDS_MAX {
            if timeout(QUIET, self.changes.recv()).await.is_err() {
                return;
            }
        }
    }
}

/// Reading the files is an event too, and must not lead to reading them again.
fn is_change(kind: &EventKind) -> bool {
    !matches!(kind, EventKind::Access(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn several_writes_are_one_change_and_reading_is_none() {
        let directory = std::env::temp_dir().join(format!("shardloom-watch-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let mut watch = RuleWatch::start(&directory).unwrap();
        for text in ["a", "b"] {
            std::fs::write(directory.join("x.yaml"), text).unwrap();
        }
        timeout(Duration::from_secs(10), watch.changed()).await.expect("a change is seen");
        std::fs::read(directory.join("x.yaml")).unwrap();
        assert!(timeout(QUIET * 2, watch.changed()).await.is_err());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
