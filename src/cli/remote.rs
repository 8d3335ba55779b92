//! Talking to a running proxy over its admin address.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

use super::arguments::AdminTarget;
use super::failure::Failure;

/// The longest that one request may take; the proxy bounds its own database calls below that.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The most of an answer that is read; `ledger ls` is bounded far below.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A running proxy.
pub struct Remote {
    agent: Agent,
    base: String,
    token: Option<String>,
}

impl Remote {
    /// Names the proxy; connects to nothing yet.
    pub fn new(target: &AdminTarget) -> Self {
        let base = target.admin.clone().unwrap_or_else(|| format!("http://127.0.0.1:{}", target.admin_port));
        let token = target.token.clone().or_else(|| std::env::var("SHARDLOOM_ADMIN_TOKEN").ok());
        let config = Agent::config_builder().timeout_global(Some(REQUEST_TIMEOUT)).http_status_as_error(false).build();
        Self { agent: config.into(), base: base.trim_end_matches('/').to_owned(), token }
    }

    /// Asks for `path` below `/api/v1`.
    pub fn get(&self, path: &str) -> Result<Value, Failure> {
        let mut request = self.agent.get(self.address(path));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        self.read(request.call())
    }

    /// Posts `body` to `path` below `/api/v1`.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let mut request = self.agent.post(self.address(path)).header("Content-Type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        self.read(request.send(body.to_string()))
    }

    fn address(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.base)
    }

    fn read(&self, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, Failure> {
        let mut answer = answer.map_err(|error| self.unreachable(&error.to_string()))?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        let body = body.map_err(|error| self.unreachable(&error.to_string()))?;
        let value: Value = serde_json::from_str(&body)
            .map_err(|_| Failure::Problem(format!("{} did not answer as a Shardloom proxy ({status})", self.base)))?;
        if status.is_success() { Ok(value) } else { Err(refused(&value)) }
    }

    fn unreachable(&self, error: &str) -> Failure {
        Failure::Problem(format!(
            "no proxy answers at {}: {error}; start one with `shardloom serve` or `shardloom dev`, or give --admin-port",
            self.base
        ))
    }
}

/// Turns the API's error object into words.
fn refused(value: &Value) -> Failure {
    let field = |name| value.get(name).and_then(Value::as_str);
    let message = field("message").unwrap_or("the proxy refused without a reason");
    let state = field("sqlstate").map(|state| format!(" ({state})")).unwrap_or_default();
    let hint = field("hint").map(|hint| format!("; {hint}")).unwrap_or_default();
    Failure::Problem(format!("{message}{state}{hint}"))
}

/// Writes `text` so that it is one segment of a path or one value of a query.
pub fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_object_becomes_one_line() {
        let value = json!({"sqlstate": "22023", "message": "no such tag", "hint": "See SHOW IDS."});
        assert_eq!(refused(&value), Failure::Problem("no such tag (22023); See SHOW IDS.".into()));
    }

    #[test]
    fn text_that_would_change_the_path_is_escaped() {
        assert_eq!(escape("order-1_x.y"), "order-1_x.y");
        assert_eq!(escape("a/b?c é"), "a%2Fb%3Fc%20%C3%A9");
    }

    #[test]
    fn the_whole_address_wins_over_the_port() {
        let target = AdminTarget { admin_port: 7, admin: Some("http://h:1/".into()), token: None };
        assert_eq!(Remote::new(&target).address("/status"), "http://h:1/api/v1/status");
        let target = AdminTarget { admin: None, ..target };
        assert_eq!(Remote::new(&target).address("/status"), "http://127.0.0.1:7/api/v1/status");
    }
}
