//! The settings of the process.

use serde::Serialize;

use crate::config::{Config, LogFormat, Passthrough};
use crate::proxy::Proxy;

/// One setting.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SettingView {
    /// Its name as the configuration file writes it.
    pub name: &'static str,
    /// Its value; secrets are left out.
    pub value: String,
}

/// Returns the settings in force: those of the start, and what RELOAD changed since.
pub fn config(proxy: &Proxy) -> Vec<SettingView> {
    settings(&proxy.config, &proxy.live.load())
}

/// `config` is that of the start, `live` that of the last RELOAD.
fn settings(config: &Config, live: &Config) -> Vec<SettingView> {
    let users: Vec<&str> = live.users.iter().map(|user| user.name.as_str()).collect();
    let pairs = [
        ("listen.address", config.listen.address.to_string()),
        ("listen.workers", config.listen.workers.to_string()),
        ("admin.address", config.admin.address.to_string()),
        ("admin.token", if config.admin.token.is_some() { "set" } else { "not set" }.to_owned()),
        ("rules", config.rules.display().to_string()),
        ("users", users.join(", ")),
        ("service.user", config.service.user.clone()),
        ("pool.mode", live.pool_mode.word().to_owned()),
        ("pool.reset", live.pool_reset.clone()),
        ("passthrough", passthrough(&live.passthrough)),
        ("telemetry.log", log(config.telemetry.log).to_owned()),
    ];
    let numbers = [live.pool.pairs(), live.limits.pairs(), config.relay.pairs(), config.ids.pairs()];
    let all = pairs.into_iter().chain(numbers.into_iter().flatten());
    all.map(|(name, value)| SettingView { name, value }).collect()
}

fn passthrough(databases: &Passthrough) -> String {
    match databases {
        Passthrough::None => "none".to_owned(),
        Passthrough::Any => "any".to_owned(),
        Passthrough::Only(names) => names.join(", "),
    }
}

fn log(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
}
