//! `listen`, `admin`, `passthrough` and `telemetry`: where the proxy is reached and what it says about itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::secret::{self, Secret, Sources};
use super::tls::{Side, TLS, read_tls};
use crate::tls;
use crate::yaml::{Field, Findings, Format, Node, Record, Shape, Value};

/// The port for PostgreSQL clients when none is given.
const PORT: u16 = 6432;

/// The port of the admin API when none is given.
const ADMIN_PORT: u16 = 6433;

/// Worker threads when none are given. One carries some 20,000 transactions a second and is the cheapest per
/// transaction; more are for machines that have cores to spare beside the servers.
const WORKERS: usize = 1;

/// The most worker threads.
const WORKERS_MAX: u64 = 256;

/// Where PostgreSQL clients connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The address; 127.0.0.1:6432 by default, port 0 takes a free one.
    pub address: SocketAddr,
    /// Worker threads, each with its own listener and pools; 1 by default.
    pub workers: usize,
    /// The directory of a UNIX socket; none by default.
    pub unix_socket: Option<PathBuf>,
    /// TLS to clients.
    pub tls: tls::Settings,
}

/// Where the console and the admin API are.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The address; 127.0.0.1:6433 by default.
    pub address: SocketAddr,
    /// The token that requests must show; there is one for every address beyond loopback.
    pub token: Option<Secret>,
}

/// Other databases of home that are served unsharded under their own names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Passthrough {
    /// None, the default.
    #[default]
    None,
    /// Any.
    Any,
    /// These.
    Only(Vec<String>),
}

/// What the proxy says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Telemetry {
    /// The form of the log.
    pub log: LogFormat,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people, the default.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

const SOCKET_ADDRESS: Format = Format {
    expected: "an IP address and a port such as 127.0.0.1:6432 or [::1]:6432",
    pattern: "^(\\[[0-9a-fA-F:.]+\\]|[0-9.]+):[0-9]{1,5}$",
    bare_number: false,
    holds: |text| text.parse::<SocketAddr>().is_ok(),
};

pub(super) const LISTEN: Record = Record {
    what: "listen",
    fields: &[
        Field::optional("address", Shape::Format(&SOCKET_ADDRESS), "Where clients connect; default 127.0.0.1:6432."),
        Field::optional("workers", Shape::Integer { min: 1, max: WORKERS_MAX }, "Worker threads; default 1."),
        Field::optional("tls", Shape::Record(&TLS), "TLS to clients."),
        Field::optional(
            "unix_socket",
            Shape::Nullable(&Shape::Text),
            "Directory of a UNIX socket for clients of this machine; default null, none.",
        ),
    ],
};

pub(super) const ADMIN: Record = Record {
    what: "admin",
    fields: &[
        Field::optional("address", Shape::Format(&SOCKET_ADDRESS), "Console and API; default 127.0.0.1:6433."),
        Field::optional("token", Shape::Nullable(&Shape::Text), "Token for requests, or env:NAME or file:PATH of it."),
    ],
};

pub(super) const PASSTHROUGH: Shape =
    Shape::ListOr { items: &Shape::Name, other: &Shape::Choice { words: &["none", "any"], later: &[] } };

pub(super) const TELEMETRY: Record = Record {
    what: "telemetry",
    fields: &[
        Field::optional(
            "log",
            Shape::Choice { words: &["text", "json"], later: &[] },
            "Form of the log; default text.",
        ),
        Field::optional("otlp", Shape::Nullable(&Shape::Text), "Trace collector; only null, not available yet."),
    ],
};

impl Default for Listen {
    fn default() -> Self {
        Self { address: loopback(PORT), workers: WORKERS, unix_socket: None, tls: tls::Settings::default() }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self { address: loopback(ADMIN_PORT), token: None }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn socket_address(node: Option<&Node>) -> Option<SocketAddr> {
    node?.get("address")?.text()?.parse().ok()
}

impl Listen {
    pub(super) fn read(node: Option<&Node>, findings: &mut Findings) -> Self {
        let field = |key| node.and_then(|node| node.get(key));
        let unix_socket = field("unix_socket").and_then(Node::text).map(PathBuf::from);
        let tls = read_tls(field("tls"), Side::Clients, findings);
        let default = Self::default();
        let workers = field("workers").and_then(Node::integer).and_then(|count| usize::try_from(count).ok());
        Self {
            address: socket_address(node).unwrap_or(default.address),
            workers: workers.unwrap_or(default.workers),
            unix_socket,
            tls,
        }
    }
}

impl Admin {
    pub(super) fn read(node: Option<&Node>, sources: Sources<'_>, findings: &mut Findings) -> Self {
        let Some(node) = node else { return Self::default() };
        let address = socket_address(Some(node)).unwrap_or(Self::default().address);
        let token = node.get("token");
        if let (false, None, Some(place)) = (address.ip().is_loopback(), token, node.get("address")) {
            let message = format!("the admin address {address} is beyond loopback: it needs a \"token\"");
            findings.report(&place.place, message);
        }
        Self { address, token: token.and_then(|token| secret::read(token, sources, findings)) }
    }
}

impl Passthrough {
    /// Tells whether a database of home is served unsharded under its own name.
    pub fn serves(&self, database: &str) -> bool {
        match self {
            Self::None => false,
            Self::Any => true,
            Self::Only(names) => names.iter().any(|name| name == database),
        }
    }

    pub(super) fn read(node: Option<&Node>) -> Self {
        let Some(node) = node else { return Self::None };
        match &node.value {
            Value::List(names) => Self::Only(names.iter().filter_map(Node::text).map(str::to_owned).collect()),
            Value::Null | Value::Scalar { .. } | Value::Map(_) => match node.text() {
                Some("any") => Self::Any,
                Some(_) | None => Self::None,
            },
        }
    }
}

impl Telemetry {
    pub(super) fn read(node: Option<&Node>, findings: &mut Findings) -> Self {
        let field = |key| node.and_then(|node| node.get(key));
        if let Some(otlp) = field("otlp") {
            findings.report(&otlp.place, "\"otlp\" is not available yet: leave it null");
        }
        match field("log").and_then(Node::text) {
            Some("json") => Self { log: LogFormat::Json },
            Some(_) | None => Self { log: LogFormat::Text },
        }
    }
}
