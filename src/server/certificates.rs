//! Certificates under watch: renewed files are in force within seconds, without a restart and without a reload.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::sleep;
use tracing::{info, warn};

use crate::proxy::Proxy;
use crate::tls::Settings;

/// How often the files are looked at; certificates are renewed days before their end.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What tells that a file is another one: its time and its length; none if it is not there.
type Stamp = Option<(SystemTime, u64)>;

/// Looks at the files for ever. What cannot be read leaves in force what was; the next change is tried again.
pub async fn keep_certificates(proxy: Arc<Proxy>) {
    let mut known = stamps(&proxy);
    loop {
        sleep(LOOK_EVERY).await;
        let found = stamps(&proxy);
        if found == known {
            continue;
        }
        known = found;
        let config = proxy.live.load();
        let accepts = proxy.acceptor.load(&config.listen.tls).map_err(|error| format!("listen.tls: {error}"));
        let connects = proxy.connector.load(&config.server_tls).map_err(|error| format!("server_tls: {error}"));
        match accepts.and(connects) {
            Ok(()) => info!("changed certificates are in force"),
            Err(error) => warn!(error, "changed certificates cannot be used, the last good ones stay in force"),
        }
    }
}

fn stamps(proxy: &Proxy) -> Vec<(PathBuf, Stamp)> {
    let config = proxy.live.load();
    let files = |settings: &Settings| [&settings.certificate, &settings.key, &settings.ca].map(Clone::clone);
    let files = files(&config.listen.tls).into_iter().chain(files(&config.server_tls)).flatten();
    files.map(|file| (file.clone(), stamp(&file))).collect()
}

fn stamp(file: &PathBuf) -> Stamp {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
