//! The settings of the process.

use serde::Serialize;

use crate::config::Config;
use crate::proxy::Proxy;

/// One setting.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SettingView {
    /// Its name as the configuration file writes it.
    pub name: &'static str,
    /// Its value; secrets are left out.
    pub value: String,
}

/// Returns the settings that the process started with.
pub fn config(proxy: &Proxy) -> Vec<SettingView> {
    settings(&proxy.config)
}

fn settings(config: &Config) -> Vec<SettingView> {
    let users: Vec<&str> = config.users.iter().map(|user| user.name.as_str()).collect();
    let pairs = [
        ("listen.address", config.listen.address.to_string()),
        ("listen.workers", config.listen.workers.to_string()),
        ("admin.address", config.admin.address.to_string()),
        ("admin.token", if config.admin.token.is_some() { "set" } else { "not set" }.to_owned()),
        ("rules", config.rules.display().to_string()),
        ("users", users.join(", ")),
        ("service.user", config.service.user.clone()),
        ("pool", format!("{:?}", config.pool)),
        ("limits", format!("{:?}", config.limits)),
        ("relay", format!("{:?}", config.relay)),
        ("passthrough", format!("{:?}", config.passthrough)),
        ("telemetry", format!("{:?}", config.telemetry)),
    ];
    pairs.into_iter().map(|(name, value)| SettingView { name, value }).collect()
}
