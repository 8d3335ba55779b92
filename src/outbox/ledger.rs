//! The ledger row of a transaction and the SQL texts that the client path sends on its own connections. Pure.

use serde::{Deserialize, Serialize};

use super::compensate::COMPENSATE;
use super::literal::{array_text, literal};
use crate::rules::OnDead;
use crate::types::WriteMode;

/// The prefix of every prepared transaction of ours; no other is ever touched.
pub(super) const GID_PREFIX: &str = "shardloom_";

/// One transaction over several shards, as its home records it.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerEntry {
    /// The transaction's id, a snowflake.
    pub txid: i64,
    /// Name of its home.
    pub home: String,
    /// How it commits. A deferred sharded write is `Eventual`, with its parts as commands.
    pub mode: WriteMode,
    /// What it did, in a word or two (`insert`, `reference`, `update`); for people.
    pub kind: String,
    /// Names of the shards that get the row images captured on home; empty without a write to a reference table.
    pub copies: Vec<String>,
    /// The other shards and what to run there if they must be redone (none of it in `TwoPhase`).
    pub targets: Vec<LedgerTarget>,
    /// What takes the part of home back; empty where nothing was declared.
    pub home_undo: Vec<RedoCommand>,
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
    /// What takes it back, in the order of what it takes back; empty where nothing was declared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<RedoCommand>,
    /// The transaction that `undo` takes back here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensates: Option<Compensates>,
}

/// A transaction that is to be taken back on one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compensates {
    /// The transaction.
    pub txid: i64,
    /// Whether home knew that it was applied there; else the target's inbox tells.
    pub applied: bool,
}

impl LedgerTarget {
    /// Makes a share that nothing takes back.
    pub fn new(shard: String, expected_rows: i64, commands: Vec<RedoCommand>) -> Self {
        Self { shard, expected_rows, commands, undo: Vec::new(), compensates: None }
    }
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

/// An expression that makes the transaction's COMMIT wait for the disk: what several shards have to agree on must not be
/// lost by one of them in a crash, whatever the session or the server say of `synchronous_commit`.
macro_rules! flushed {
    () => {
        "CASE WHEN pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off' \
         THEN pg_catalog.set_config('synchronous_commit', 'on', true) END"
    };
}

/// Returns the first statement of a target's transaction: it says on the target that `txid` was applied there.
/// Fails with 23505 where a redo was faster.
pub fn inbox_insert(txid: i64, home: &str) -> String {
    format!(
        "INSERT INTO shardloom.inbox (txid, home) SELECT x.txid, x.home FROM (SELECT {txid}::pg_catalog.int8 AS txid, \
         {}::pg_catalog.text AS home, {} AS flushed) x",
        literal(home),
        flushed!()
    )
}

/// Records an entry on home, with the values of [`ledger_values`] as its parameters: a text that is always the same, so
/// that a connection prepares it once. It draws the commit sequence, so it goes right before COMMIT, in the same write. A
/// transaction that turns out to have captured nothing and has no targets is DONE at once. Settings that are NULL are those
/// that home's session has.
///
/// Fails with 23505 where a recovery fenced the transaction: it must then roll back.
pub const LEDGER_INSERT: &str = concat!(
    "INSERT INTO shardloom.ledger (txid, xid, state, mode, kind, targets, copies, payload, \
     environment, home_rows, captured_rows, proxy, username, rule_version, on_dead, business_key, idempotency_key, trace_id, \
     commit_seq) SELECT $1::pg_catalog.int8, x.xid, \
     CASE WHEN $2::pg_catalog.bool OR x.captured OPERATOR(pg_catalog.>) 0 THEN 'OPEN' ELSE 'DONE' END, \
     $3::pg_catalog.text, $4::pg_catalog.text, $5::pg_catalog.text[], $6::pg_catalog.text[], $7::pg_catalog.json, \
     CASE WHEN $2::pg_catalog.bool THEN pg_catalog.json_build_object(\
     'time_zone', coalesce($8::pg_catalog.text, pg_catalog.current_setting('TimeZone')), \
     'date_style', coalesce($9::pg_catalog.text, pg_catalog.current_setting('DateStyle')), \
     'interval_style', coalesce($10::pg_catalog.text, pg_catalog.current_setting('IntervalStyle')), \
     'search_path', coalesce($11::pg_catalog.text, pg_catalog.current_setting('search_path')), \
     'standard_conforming_strings', \
     coalesce($12::pg_catalog.text, pg_catalog.current_setting('standard_conforming_strings'))) END, \
     $13::pg_catalog.int8, x.captured, $14::pg_catalog.text, $15::pg_catalog.text, $16::pg_catalog.text, \
     $17::pg_catalog.text, $18::pg_catalog.text, $19::pg_catalog.text, $20::pg_catalog.text, \
     pg_catalog.nextval('shardloom.commit_seq'::pg_catalog.regclass) \
     FROM (SELECT pg_catalog.pg_current_xact_id() AS xid, \
     CASE WHEN pg_catalog.cardinality($6::pg_catalog.text[]) OPERATOR(pg_catalog.=) 0 THEN 0::pg_catalog.int8 \
     ELSE (SELECT coalesce(pg_catalog.sum(o.row_count), 0)::pg_catalog.int8 FROM shardloom.outbox o \
     WHERE o.xid OPERATOR(pg_catalog.=) pg_catalog.pg_current_xact_id()) END AS captured, ",
    flushed!(),
    " AS flushed) x"
);

/// Returns the parameters of [`LEDGER_INSERT`] as text.
pub fn ledger_values(entry: &LedgerEntry) -> Vec<Option<String>> {
    let mut shards: Vec<&str> = entry.targets.iter().map(|target| target.shard.as_str()).collect();
    shards.extend(
        entry.copies.iter().map(String::as_str).filter(|copy| !entry.targets.iter().any(|t| t.shard == **copy)),
    );
    let mut shares: Vec<&LedgerTarget> = entry.targets.iter().collect();
    let home = LedgerTarget {
        undo: entry.home_undo.clone(),
        ..LedgerTarget::new(entry.home.clone(), entry.home_rows, Vec::new())
    };
    shares.extend((!entry.home_undo.is_empty()).then_some(&home));
    let payload = serde_json::to_string(&shares).expect("strings and numbers always serialise");
    let environment = &entry.environment;
    vec![
        Some(entry.txid.to_string()),
        Some(if entry.targets.is_empty() { "f" } else { "t" }.to_owned()),
        Some(entry.mode.name().to_owned()),
        Some(entry.kind.clone()),
        Some(array_text(shards)),
        Some(array_text(entry.copies.iter().map(String::as_str))),
        Some(payload),
        environment.time_zone.clone(),
        environment.date_style.clone(),
        environment.interval_style.clone(),
        environment.search_path.clone(),
        environment.standard_conforming_strings.clone(),
        Some(entry.home_rows.to_string()),
        Some(entry.proxy.clone()),
        Some(entry.user.clone()),
        Some(entry.rule_version.clone()),
        Some(on_dead_name(entry.on_dead).to_owned()),
        entry.business_key.clone(),
        entry.idempotency_key.clone(),
        entry.trace_id.clone(),
    ]
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
        OnDead::Compensate => COMPENSATE,
    }
}

/// Reads what [`on_dead_name`] wrote; anything else is `park_key`, the one that loses nothing and stops nothing.
pub(super) fn on_dead_from(name: &str) -> OnDead {
    match name {
        "stop_lane" => OnDead::StopLane,
        "skip" => OnDead::Skip,
        "resync" => OnDead::Resync,
        COMPENSATE => OnDead::Compensate,
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
            home: "s0".into(),
            mode: WriteMode::Eager,
            kind: "update".into(),
            copies: vec!["s1".into(), "s2".into()],
            targets: vec![LedgerTarget::new("s1".into(), 1, vec![])],
            home_undo: vec![],
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
        let values = ledger_values(&entry());
        assert_eq!(values[4].as_deref(), Some(r#"{"s1","s2"}"#));
        assert_eq!(values[1].as_deref(), Some("t"), "it has targets");
    }

    #[test]
    fn settings_left_alone_are_those_of_homes_session() {
        let environment = Environment { time_zone: Some("Asia/Tokyo".into()), ..Environment::default() };
        let values = ledger_values(&LedgerEntry { environment, ..entry() });
        assert_eq!((values[7].as_deref(), &values[10]), (Some("Asia/Tokyo"), &None));
        let copies_only = ledger_values(&LedgerEntry { targets: vec![], ..entry() });
        assert_eq!(copies_only[1].as_deref(), Some("f"));
    }

    #[test]
    fn there_is_a_value_for_each_parameter_and_the_commit_sequence_is_drawn_last() {
        let count = ledger_values(&entry()).len();
        assert!(LEDGER_INSERT.contains(&format!("${count}::")) && !LEDGER_INSERT.contains(&format!("${}", count + 1)));
        assert!(LEDGER_INSERT.find("nextval").unwrap() > LEDGER_INSERT.find(&format!("${count}")).unwrap());
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
        for policy in [OnDead::ParkKey, OnDead::StopLane, OnDead::Skip, OnDead::Resync, OnDead::Compensate] {
            assert_eq!(on_dead_from(on_dead_name(policy)), policy);
        }
    }
}
