//! What a proxy starts from: the configuration file, read, and where its rules are.

use std::fs;
use std::path::{Path, PathBuf};

use super::rule_files::RuleSource;
use crate::config::{Config, Sources};
use crate::types::Diagnostic;

/// The most that a configuration file may hold.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The most that a secret's file may hold.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// What `start` is given.
#[derive(Debug, Clone)]
pub struct Options {
    /// The configuration, checked.
    pub config: Config,
    /// Where rules come from.
    pub rules: RuleSource,
    /// The configuration's file, which RELOAD reads again.
    pub path: Option<PathBuf>,
    /// Whether to take the sockets of a process that serves them already.
    pub takeover: bool,
    /// What is appended to the proxy's name: a process beside another one on the same port must not inherit its leases.
    pub name_suffix: String,
}

impl Options {
    /// Reads a configuration file; the rules' directory in it counts from the file's own. Fails with every mistake.
    pub fn read(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let name = path.display().to_string();
        let text = read_bounded(path, FILE_BYTES_MAX).map_err(|reason| {
            let message = format!("cannot be read: {reason}");
            vec![Diagnostic { file: name.clone(), line: 1, column: 1, message, suggestion: None }]
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let environment = |name: &str| std::env::var(name).ok();
        let file = |name: &str| read_bounded(&folder.join(name), SECRET_BYTES_MAX);
        let sources = Sources { environment: &environment, file: &file };
        let config = Config::parse_with(&name, &text, sources)?;
        let rules = RuleSource::directory(folder.join(&config.rules));
        Ok(Self { config, rules, path: Some(path.to_owned()), takeover: false, name_suffix: String::new() })
    }

    /// Returns the proxy's name in leases: machine and port, the same after a restart.
    pub fn name(&self) -> String {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = match host.trim() {
            "" => "proxy",
            host => host,
        };
        format!("{host}:{}{}", self.config.listen.address.port(), self.name_suffix)
    }
}

fn read_bounded(path: &Path, bytes_max: u64) -> Result<String, String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > bytes_max {
        return Err(format!("it is larger than {bytes_max} bytes"));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}
