//! Structured logs on standard error, as text or JSON. The level comes from `RUST_LOG`, `info` without it.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Libraries that would log whole statements, values included, at debug; whatever `RUST_LOG` says.
const QUIET: [&str; 2] = ["sqlparser=off", "tokio_postgres=warn"];

/// Sets the process's logs up; a second call changes nothing.
pub fn start(format: LogFormat) {
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    for quiet in QUIET {
        filter = filter.add_directive(quiet.parse().expect("it is a directive"));
    }
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error here means that logs are set up already, as they are in tests.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
