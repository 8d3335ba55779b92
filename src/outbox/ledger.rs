//! The ledger row of a transaction and the SQL texts that the client path sends on its own connections. Pure.

use serde::{Deserialize, Serialize};

use super::literal::{literal, optional, text_array};
use crate::rules::OnDead;
use crate::types::WriteMode;

/// The prefix of every prepared transaction of ours; no other is ever touched.
pub(super) const GID_PREFIX: &str = "shardloom_";

/// One transaction over several shards, as its home records it.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerEntry {
    /// The transaction's id, a snowflake.
    pub txid: i64,
    /// How it commits. A deferred sharded write is `Eventual`, with its parts as commands.
    pub mode: WriteMode,
    /// What it did, in a word or two (`insert`, `reference`, `update`); for people.
    pub kind: String,
    /// Names of the shards that get the row images captured on home; empty without a write to a reference table.
    pub copies: Vec<String>,
    /// The other shards and what to run there if they must be redone (none of it in `TwoPhase`).
    pub targets: Vec<LedgerTarget>,
    /// The session settings under which the commands mean what they meant.
    pub environment: Environment,
    /// Rows affected on home.
    pub home_rows: i64,
    /// The proxy's name.
    pub proxy: String,
    /// The client's user name.
    pub user: String,
    /// `RuleSet::version`.
    pub rule_version: String,
    /// What becomes of commands that a target refuses.
    pub on_dead: OnDead,
    /// The key that orders commands: later commands of the same key wait behind a dead one.
    pub business_key: Option<String>,
    /// The client's idempotency key.
    pub idempotency_key: Option<String>,
    /// The client's trace id.
    pub trace_id: Option<String>,
}

/// One target's share of a [`LedgerEntry`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerTarget {
    /// The shard's name.
    pub shard: String,
    /// Rows that the commands affected, or are to affect, in all.
    pub expected_rows: i64,
    /// What to run, in order.
    pub commands: Vec<RedoCommand>,
}

/// A frozen statement: text and raw parameters as they go over the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RedoCommand {
    /// The text, with `$n` for parameters.
    pub sql: String,
    /// Type oids as declared in Parse; 0 or missing lets the server infer.
    pub types: Vec<u32>,
    /// Values in order.
    pub parameters: Vec<RedoParameter>,
    /// Rows it affected, or is to affect.
    pub expected_rows: i64,
}

/// One raw parameter value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RedoParameter {
    /// 0 text, 1 binary.
    pub format: i16,
    /// The bytes; `None` is NULL. Written as base64.
    #[serde(with = "base64_bytes")]
    pub value: Option<Vec<u8>>,
}

/// Session settings that change what a statement means; `None` is what home's session has when it commits: the
/// relay's own sessions have others than the server's defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Environment {
    /// `TimeZone`
    pub time_zone: Option<String>,
    /// `DateStyle`
    pub date_style: Option<String>,
    /// `IntervalStyle`
    pub interval_style: Option<String>,
    /// `search_path`, as `SHOW` prints it.
    pub search_path: Option<String>,
    /// `standard_conforming_strings`
    #[serde(default)]
    pub standard_conforming_strings: Option<String>,
}

/// Returns the first statement of a target's transaction: it says on the target that `txid` was applied there.
/// Fails with 23505 where a redo was faster.
pub fn inbox_insert(txid: i64, home: &str) -> String {
    format!("INSERT INTO shardloom.inbox (txid, home) VALUES ({txid}, {})", literal(home))
}

/// Returns the INSERT that records `entry` on home; it draws the commit sequence, so it goes right before COMMIT, in
/// the same write. A transaction that turns out to have captured nothing and has no targets is DONE at once.
///
/// Fails with 23505 where a recovery fenced the transaction: it must then roll back.
pub fn ledger_insert(entry: &LedgerEntry) -> String {
    let mut shards: Vec<&str> = entry.targets.iter().map(|target| target.shard.as_str()).collect();
    shards.extend(
        entry.copies.iter().map(String::as_str).filter(|copy| !entry.targets.iter().any(|t| t.shard == **copy)),
    );
    let payload = serde_json::to_string(&entry.targets).expect("strings and numbers always serialise");
    let environment = in_force(entry);
    let captured = if entry.copies.is_empty() { "0::pg_catalog.int8" } else { "shardloom.captured_rows()" };
    let state = if entry.targets.is_empty() {
        "CASE WHEN x.captured OPERATOR(pg_catalog.>) 0 THEN 'OPEN' ELSE 'DONE' END"
    } else {
        "'OPEN'"
    };
    format!(
        "INSERT INTO shardloom.ledger (txid, xid, state, mode, kind, targets, copies, payload, environment, home_rows, \
         captured_rows, proxy, username, rule_version, on_dead, business_key, idempotency_key, trace_id, commit_seq) \
         SELECT {txid}, x.xid, {state}, {mode}, {kind}, {targets}, {copies}, {payload}::pg_catalog.json, \
         {environment}, {home_rows}, x.captured, {proxy}, {user}, {rules}, {on_dead}, {key}, {idem}, \
         {trace}, pg_catalog.nextval('shardloom.commit_seq'::pg_catalog.regclass) \
         FROM (SELECT pg_catalog.pg_current_xact_id() AS xid, {captured} AS captured) x",
        txid = entry.txid,
        mode = literal(entry.mode.name()),
        kind = literal(&entry.kind),
        targets = text_array(shards),
        copies = text_array(entry.copies.iter().map(String::as_str)),
        payload = literal(&payload),
        home_rows = entry.home_rows,
        proxy = literal(&entry.proxy),
        user = literal(&entry.user),
        rules = literal(&entry.rule_version),
        on_dead = literal(on_dead_name(entry.on_dead)),
        key = optional(entry.business_key.as_deref()),
        idem = optional(entry.idempotency_key.as_deref()),
        trace = optional(entry.trace_id.as_deref()),
    )
}

/// Returns the expression of the settings under which the commands mean what they meant.
fn in_force(entry: &LedgerEntry) -> String {
    if entry.targets.is_empty() {
        return "NULL".to_owned();
    }
    let environment = &entry.environment;
    let settings = [
        ("time_zone", "TimeZone", &environment.time_zone),
        ("date_style", "DateStyle", &environment.date_style),
        ("interval_style", "IntervalStyle", &environment.interval_style),
        ("search_path", "search_path", &environment.search_path),
        ("standard_conforming_strings", "standard_conforming_strings", &environment.standard_conforming_strings),
    ];
    let pairs = settings.map(|(key, name, value)| match value {
        Some(value) => format!("'{key}', {}::pg_catalog.text", literal(value)),
        None => format!("'{key}', pg_catalog.current_setting('{name}')"),
    });
    format!("pg_catalog.json_build_object({})", pairs.join(", "))
}

/// The name of a prepared transaction: who decides it, which transaction, and which run of which proxy made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gid {
    /// The transaction.
    pub txid: i64,
    /// The run of the proxy that prepared it.
    pub epoch: i64,
    /// Name of the home shard.
    pub home: String,
}

impl Gid {
    /// Writes the name.
    pub fn text(&self) -> String {
        format!("{GID_PREFIX}{}_{}_{}", self.txid, self.epoch, self.home)
    }

    /// Reads a name; `None` for what is not ours.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(GID_PREFIX)?.splitn(3, '_');
        let txid = parts.next()?.parse().ok()?;
        let epoch = parts.next()?.parse().ok()?;
        Some(Self { txid, epoch, home: parts.next()?.to_owned() })
    }
}

/// Returns the name used in the ledger and in rule files.
pub(super) fn on_dead_name(on_dead: OnDead) -> &'static str {
    match on_dead {
        OnDead::ParkKey => "park_key",
        OnDead::StopLane => "stop_lane",
        OnDead::Skip => "skip",
        OnDead::Resync => "resync",
    }
}

/// Reads what [`on_dead_name`] wrote; anything else is `park_key`, the one that loses nothing and stops nothing.
pub(super) fn on_dead_from(name: &str) -> OnDead {
    match name {
        "stop_lane" => OnDead::StopLane,
        "skip" => OnDead::Skip,
        "resync" => OnDead::Resync,
        _ => OnDead::ParkKey,
    }
}

mod base64_bytes {
    //! Bytes as base64 in JSON.
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(value: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(|bytes| BASE64.encode(bytes)).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| BASE64.decode(text).map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> LedgerEntry {
        LedgerEntry {
            txid: 7,
            mode: WriteMode::Eager,
            kind: "update".into(),
            copies: vec!["s1".into(), "s2".into()],
            targets: vec![LedgerTarget { shard: "s1".into(), expected_rows: 1, commands: vec![] }],
            environment: Environment::default(),
            home_rows: 1,
            proxy: "p".into(),
            user: "o'neill".into(),
            rule_version: "v".into(),
            on_dead: OnDead::ParkKey,
            business_key: None,
            idempotency_key: None,
            trace_id: None,
        }
    }

    #[test]
    fn every_target_is_named_once() {
        assert!(ledger_insert(&entry()).contains("ARRAY[E's1',E's2']::pg_catalog.text[]"));
    }

    #[test]
    fn settings_left_alone_are_those_of_homes_session() {
        let environment = Environment { time_zone: Some("Asia/Tokyo".into()), ..Environment::default() };
        let text = ledger_insert(&LedgerEntry { environment, ..entry() });
        assert!(text.contains("'time_zone', E'Asia/Tokyo'::pg_catalog.text"), "{text}");
        assert!(text.contains("'search_path', pg_catalog.current_setting('search_path')"), "{text}");
        let copies_only = ledger_insert(&LedgerEntry { targets: vec![], ..entry() });
        assert!(!copies_only.contains("current_setting"));
    }

    #[test]
    fn the_commit_sequence_is_drawn_last() {
        let text = ledger_insert(&entry());
        assert!(text.find("nextval").unwrap() > text.find("E'o''neill'").unwrap());
    }

    #[test]
    fn parameters_survive_the_round_trip() {
        let command = RedoCommand {
            sql: "update t set v = $1".into(),
            types: vec![17],
            parameters: vec![
                RedoParameter { format: 1, value: Some(vec![0, 255, 7]) },
                RedoParameter { format: 0, value: None },
            ],
            expected_rows: 1,
        };
        let text = serde_json::to_string(&command).unwrap();
        assert_eq!(serde_json::from_str::<RedoCommand>(&text).unwrap(), command);
    }

    #[test]
    fn a_gid_reads_back_and_foreign_names_do_not() {
        let gid = Gid { txid: 5, epoch: 9, home: "s_0".into() };
        assert_eq!(Gid::parse(&gid.text()), Some(gid));
        assert_eq!(Gid::parse("other_5_9_s0"), None);
        assert_eq!(Gid::parse("shardloom_x_9_s0"), None);
    }

    #[test]
    fn every_policy_reads_back() {
        for policy in [OnDead::ParkKey, OnDead::StopLane, OnDead::Skip, OnDead::Resync] {
            assert_eq!(on_dead_from(on_dead_name(policy)), policy);
        }
    }
}
