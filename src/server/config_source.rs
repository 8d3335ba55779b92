//! Where the configuration comes from, and reading it again: RELOAD and SIGHUP put in force what a running process can
//! change, and name what needs a restart.

use std::path::PathBuf;

use tracing::{info, warn};

use super::options::Options;
use crate::config::Config;
use crate::proxy::Proxy;
use crate::tls;
use crate::types::{Refusal, SqlState};

/// The file, if the configuration came from one.
#[derive(Debug, Clone, Default)]
pub struct ConfigSource {
    /// Its path.
    pub path: Option<PathBuf>,
}

impl ConfigSource {
    /// Reads the file again. Fails with all findings, and nothing changes then.
    pub fn reload(&self, proxy: &Proxy) -> Result<(), Refusal> {
        let Some(path) = &self.path else { return Ok(()) };
        let read = Options::read(path).map_err(|findings| {
            let findings: Vec<_> = findings.iter().map(ToString::to_string).collect();
            refuse(&findings)
        })?;
        let certificates = |side: &str, error: tls::Error| refuse(&[format!("{side}: {error}")]);
        proxy.acceptor.load(&read.config.listen.tls).map_err(|error| certificates("listen.tls", error))?;
        proxy.connector.load(&read.config.server_tls).map_err(|error| certificates("server_tls", error))?;
        proxy.logins.replace(&read.config.users).map_err(|finding| refuse(&[finding]))?;
        for section in fixed_for_life(&proxy.config, &read.config) {
            warn!(section, "the configuration changes what needs a restart; the rest is in force");
        }
        proxy.live.replace(read.config);
        proxy.allowance.ring();
        info!("the configuration is in force");
        Ok(())
    }
}

fn refuse(findings: &[String]) -> Refusal {
    for finding in findings {
        warn!(finding, "the configuration is refused, the last good one stays in force");
    }
    let message = "the configuration is refused, the last good one stays in force";
    Refusal::new(SqlState::INVALID_PARAMETER_VALUE, message).with_detail(findings.join("\n"))
}

/// Lists the sections in which a new configuration differs where a running process cannot follow.
fn fixed_for_life(start: &Config, new: &Config) -> Vec<&'static str> {
    let token = |config: &Config| config.admin.token.as_ref().map(|token| token.expose().to_owned());
    let service = |config: &Config| {
        let password = config.service.password.as_ref().map(|password| password.expose().to_owned());
        (config.service.user.clone(), password)
    };
    let sockets = |config: &Config| (config.listen.address, config.listen.workers, config.listen.unix_socket.clone());
    let encrypts = |config: &Config| config.server_tls.mode != tls::Mode::Disable;
    let (of_start, of_new) = (&start.limits, &new.limits);
    let changes = [
        (sockets(start) != sockets(new), "listen"),
        (encrypts(start) != encrypts(new), "server_tls.mode"),
        (start.admin.address != new.admin.address || token(start) != token(new), "admin"),
        (start.rules != new.rules, "rules"),
        (service(start) != service(new), "service"),
        (start.relay != new.relay, "relay"),
        (start.telemetry != new.telemetry, "telemetry"),
        (
            of_start.plan_cache != of_new.plan_cache || of_start.plan_cache_text != of_new.plan_cache_text,
            "limits.plan_cache, limits.plan_cache_text",
        ),
        (
            of_start.group_rows != of_new.group_rows
                || of_start.gather_rows != of_new.gather_rows
                || of_start.cross_shard_lock_timeout != of_new.cross_shard_lock_timeout
                || of_start.wait_timeout != of_new.wait_timeout
                || of_start.probe_interval != of_new.probe_interval,
            "limits.group_rows, limits.gather_rows, limits.cross_shard_lock_timeout, limits.wait_timeout, limits.probe_interval",
        ),
    ];
    changes.into_iter().filter(|(changed, _)| *changed).map(|(_, section)| section).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> Config {
        let text = format!("users: [{{name: app, password: hush}}]\nservice: {{user: s}}\n{more}");
        Config::parse("f", &text, &|_| None).unwrap()
    }

    #[test]
    fn pools_users_and_time_limits_need_no_restart_and_sockets_do() {
        let start = config("");
        for more in ["pool: {size: 1}", "limits: {query_timeout: 1s}", "passthrough: any", "databases: [{name: d}]"] {
            assert!(fixed_for_life(&start, &config(more)).is_empty(), "{more}");
        }
        for (more, section) in [
            ("listen: {workers: 2}", "listen"),
            ("admin: {token: t}", "admin"),
            ("rules: elsewhere/", "rules"),
            ("relay: {batch: 9}", "relay"),
            ("telemetry: {log: json}", "telemetry"),
        ] {
            assert_eq!(fixed_for_life(&start, &config(more)), [section], "{more}");
        }
    }
}
