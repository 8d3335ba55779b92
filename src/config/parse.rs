//! The whole of `shardloom.yaml`: sections, required keys, and what holds between them.

use std::path::PathBuf;

use serde_json::json;

use super::auth::AUTH;
use super::hba::LINE;
use super::ids::{IDS, Ids};
use super::limits::LIMITS;
use super::listen::{ADMIN, LISTEN, PASSTHROUGH, TELEMETRY};
use super::pool::POOL_NUMBERS;
use super::pooling::{DATABASE, MODE, RESET, RESET_FIELD, read_databases};
use super::relay::RELAY;
use super::tls::{Side, TLS, read_tls};
use super::users::{SERVICE, USER, read_service, read_users};
use super::{
    Admin, Auth, Database, Hba, Limits, Listen, Passthrough, Pool, PoolMode, Relay, Service, Sources, Telemetry, User,
};
use crate::tls;
use crate::types::Diagnostic;
use crate::yaml::{self, Field, Findings, Node, Place, Record, Shape};

/// Where the rule files are when the file does not say.
const RULES: &str = "shard-rules/";

/// The proxy's configuration, always right.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where PostgreSQL clients connect.
    pub listen: Listen,
    /// Where the console and the admin API are.
    pub admin: Admin,
    /// The directory of the rule files, as written; `shard-rules/` by default.
    pub rules: PathBuf,
    /// Who may connect, at least one.
    pub users: Vec<User>,
    /// How they prove who they are, by where they come from.
    pub hba: Hba,
    /// Which methods are allowed, and where other users are known.
    pub auth: Auth,
    /// The proxy's own role on the shards.
    pub service: Service,
    /// Server connections.
    pub pool: Pool,
    /// How long they are lent where neither user nor database says otherwise.
    pub pool_mode: PoolMode,
    /// What cleans one that a session has kept; empty closes it instead.
    pub pool_reset: String,
    /// Databases with settings of their own.
    pub databases: Vec<Database>,
    /// Bounds of sessions and statements.
    pub limits: Limits,
    /// Bounds of the relay.
    pub relay: Relay,
    /// The lease of the worker id.
    pub ids: Ids,
    /// Databases that are served unsharded.
    pub passthrough: Passthrough,
    /// What the proxy says about itself.
    pub telemetry: Telemetry,
    /// TLS to servers.
    pub server_tls: tls::Settings,
}

/// `pool` has `mode` and `reset` beside its numbers.
const POOL_FIELDS: [Field; POOL_NUMBERS.fields.len() + 2] = {
    let mut fields = [MODE; POOL_NUMBERS.fields.len() + 2];
    fields[1] = RESET_FIELD;
    let mut index = 0;
    while index < POOL_NUMBERS.fields.len() {
        fields[index + 2] = POOL_NUMBERS.fields[index];
        index += 1;
    }
    fields
};

const POOL: Record = Record { what: POOL_NUMBERS.what, fields: &POOL_FIELDS };

const CONFIG: Record = Record {
    what: "the configuration",
    fields: &[
        Field::optional("listen", Shape::Record(&LISTEN), "Where PostgreSQL clients connect."),
        Field::optional("admin", Shape::Record(&ADMIN), "Where the console and the admin API are."),
        Field::optional("rules", Shape::Text, "Directory of the rule files; default shard-rules/."),
        Field::required("users", Shape::List(&Shape::Record(&USER)), "Who may connect, and as whom."),
        Field::optional(
            "hba",
            Shape::List(&Shape::Record(&LINE)),
            "Who may come in from where and how they prove who they are; the first line that matches decides.",
        ),
        Field::optional("auth", Shape::Record(&AUTH), "Weak methods of hba, and users who are looked up on home."),
        Field::required("service", Shape::Record(&SERVICE), "The proxy's own role on the shards."),
        Field::optional("pool", Shape::Record(&POOL), "Server connections."),
        Field::optional(
            "databases",
            Shape::List(&Shape::Record(&DATABASE)),
            "Databases with a pool mode, size or limits of their own.",
        ),
        Field::optional("limits", Shape::Record(&LIMITS), "Bounds of sessions and statements."),
        Field::optional("relay", Shape::Record(&RELAY), "Bounds of the relay."),
        Field::optional("ids", Shape::Record(&IDS), "The lease of the worker id of generated ids."),
        Field::optional("passthrough", PASSTHROUGH, "Databases of home served unsharded: none, any or a list."),
        Field::optional("server_tls", Shape::Record(&TLS), "TLS to servers."),
        Field::optional("telemetry", Shape::Record(&TELEMETRY), "What the proxy says about itself."),
    ],
};

impl Config {
    /// Reads `shardloom.yaml`; fails with every mistake found. `environment` answers `env:NAME`; `file:PATH` is refused,
    /// see [`Config::parse_with`].
    pub fn parse(
        path: &str,
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let file = |_: &str| Err("secret files are not read here".to_owned());
        Self::parse_with(path, text, Sources { environment, file: &file })
    }

    /// Reads `shardloom.yaml` with both sources of secrets; fails with every mistake found.
    pub fn parse_with(path: &str, text: &str, sources: Sources<'_>) -> Result<Self, Vec<Diagnostic>> {
        let mut findings = Findings::new();
        let config = document(path, text, &mut findings).and_then(|node| {
            yaml::check(&node, &Shape::Record(&CONFIG), &mut findings);
            Self::read(&node, sources, &mut findings)
        });
        match config {
            Some(config) if findings.is_empty() => Ok(config),
            Some(_) | None => Err(findings.into_sorted([path])),
        }
    }

    /// Reads the sections of a document whose shape was checked, all of them, so that each reports what it finds.
    fn read(node: &Node, sources: Sources<'_>, findings: &mut Findings) -> Option<Self> {
        let admin = Admin::read(node.get("admin"), sources, findings);
        let users = node.get("users").map(|list| read_users(list, sources, findings));
        let service = node.get("service").and_then(|service| read_service(service, sources, findings));
        let telemetry = Telemetry::read(node.get("telemetry"), findings);
        let listen = Listen::read(node.get("listen"), findings);
        if let Some(place) = node.get("admin").filter(|_| listen.address == admin.address && admin.address.port() != 0)
        {
            findings.report(&place.place, format!("\"admin\" and \"listen\" have one address, {}", admin.address));
        }
        let auth = Auth::read(node.get("auth"), findings);
        let pool = node.get("pool");
        let relay = Relay::read(node.get("relay"));
        if let Some(place) = node.get("relay").filter(|_| relay.retry_min > relay.retry_max) {
            findings.report(&place.place, "\"retry_min\" is longer than \"retry_max\"");
        }
        Some(Self {
            listen,
            admin,
            rules: PathBuf::from(node.get("rules").and_then(Node::text).unwrap_or(RULES)),
            users: users?,
            hba: Hba::read(node.get("hba"), &auth, findings),
            auth,
            service: service?,
            pool: Pool::read(pool),
            pool_mode: PoolMode::read(pool.and_then(|pool| pool.get("mode"))).unwrap_or_default(),
            pool_reset: pool.and_then(|pool| pool.get("reset")?.text()).unwrap_or(RESET).to_owned(),
            databases: read_databases(node.get("databases"), findings),
            limits: Limits::read(node.get("limits")),
            relay,
            ids: Ids::read(node.get("ids")),
            passthrough: Passthrough::read(node.get("passthrough")),
            telemetry,
            server_tls: read_tls(node.get("server_tls"), Side::Servers, findings),
        })
    }
}

/// Returns the only document of the file.
fn document(path: &str, text: &str, findings: &mut Findings) -> Option<Node> {
    let mut documents = yaml::read(path, text, findings).into_iter();
    let first = documents.next();
    if first.is_none() && findings.is_empty() {
        findings.report(&Place { file: path.into(), line: 1, column: 1 }, "the file is empty");
    }
    for other in documents {
        findings.report(&other.place, "a second document: the configuration is one");
    }
    first
}

/// Returns the JSON Schema of `shardloom.yaml`, published as `docs/schema/shardloom.schema.json`.
pub fn json_schema() -> String {
    let mut schema = yaml::json_schema(&Shape::Record(&CONFIG));
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Shardloom configuration (shardloom.yaml)");
    format!("{schema:#}\n")
}
