//! Rules and a catalog for tests: each table shows one thing.

use std::collections::{BTreeMap, HashMap};

use crate::plan::catalog::{Catalog, Column, ForeignKey, Table, TableKind};
use crate::rules::{
    Algorithm, AssumedCount, Distribution, GroupId, IdRule, IdRules, IdSource, MissingKey, MultiShardRule, OnDead,
    OnKeyUpdate, OnMissingKey, Placement, RuleMode, RuleSet, Shard, TableGroup, TableRule, UnlistedTables,
    WhenTargetDown, standard_layout,
};
use crate::types::{KeyType, ShardId};

fn multi_shard(mode: RuleMode) -> MultiShardRule {
    MultiShardRule {
        mode,
        on_dead: OnDead::ParkKey,
        when_target_down: WhenTargetDown::Defer,
        assumed_count: AssumedCount::None,
    }
}

fn group(name: &str, key_type: KeyType, mode: RuleMode, write: OnMissingKey) -> TableGroup {
    let missing_key = MissingKey { read: OnMissingKey::Scatter, write };
    TableGroup {
        name: name.into(),
        key_type,
        algorithm: Algorithm::Hash,
        key_update: OnKeyUpdate::Reject,
        missing_key,
        multi_shard: multi_shard(mode),
    }
}

fn id(column: &str, tag: &str, tag_code: u16) -> Option<IdRule> {
    let source = IdSource::Snowflake { layout: standard_layout(), tag_code };
    let (column, layout, tag) = (column.into(), "standard".into(), tag.into());
    Some(IdRule { column, layout, tag, tag_code, source, route: false, check_tag: false })
}

fn sharded(group: u16, key: &str) -> Distribution {
    Distribution::Sharded { group: GroupId(group), key: key.into(), more: Vec::new() }
}

/// Rules over four shards; each table shows one thing.
pub(in crate::plan) fn rules() -> RuleSet {
    let shard = |name: &str| Shard { name: name.into(), host: "h".into(), port: 1, database: "d".into() };
    let reference = |mode| Distribution::Reference { home: ShardId(0), multi_shard: multi_shard(mode) };
    let tables = [
        ("orders", sharded(0, "user_id"), id("order_id", "order", 1)),
        ("order_items", sharded(0, "user_id"), id("item_id", "item", 2)),
        ("carts", sharded(0, "user_id"), None),
        ("events", sharded(1, "user_id"), id("event_id", "event", 3)),
        ("event_log", sharded(1, "user_id"), None),
        ("accounts", sharded(2, "account_id"), id("account_id", "account", 4)),
        ("single_shard_only", sharded(2, "k"), None),
        ("names", sharded(3, "name"), None),
        ("documents", sharded(4, "id"), None),
        ("app.visits", sharded(0, "user_id"), None),
        ("regions", reference(RuleMode::Auto), None),
        ("rates", reference(RuleMode::Reject), None),
        ("settings", Distribution::Single { shard: ShardId(2) }, None),
        ("tickets", Distribution::Single { shard: ShardId(1) }, id("ticket_id", "ticket", 5)),
    ];
    let rule = |(name, distribution, id): (&str, Distribution, Option<IdRule>)| {
        (name.to_owned(), TableRule { name: name.to_owned(), distribution, id, split: None, undo: None })
    };
    let tags = ["order", "item", "event", "account", "ticket"];
    let tags: BTreeMap<String, u16> = tags.iter().zip(1..).map(|(name, code)| ((*name).to_owned(), code)).collect();
    RuleSet {
        version: "v".into(),
        database: "d".into(),
        shards: ["s0", "s1", "s2", "s3"].map(shard).into(),
        home: ShardId(0),
        placement: Placement::new((0..16).map(|bucket| ShardId(bucket % 4)).collect()),
        groups: vec![
            group("orders", KeyType::BigInt, RuleMode::Auto, OnMissingKey::Reject),
            group("events", KeyType::BigInt, RuleMode::Eventual, OnMissingKey::Scatter),
            group("accounts", KeyType::BigInt, RuleMode::Reject, OnMissingKey::Reject),
            group("names", KeyType::Text, RuleMode::TwoPhase, OnMissingKey::Reject),
            group("documents", KeyType::Uuid, RuleMode::Eager, OnMissingKey::Reject),
        ],
        tables: tables.into_iter().map(rule).collect(),
        physical: HashMap::new(),
        ids: IdRules { tags, layouts: BTreeMap::new(), segments: BTreeMap::new(), of_columns: BTreeMap::new() },
        unlisted: UnlistedTables::Home,
        tests: Vec::new(),
    }
}

/// `name type [!] [= default]` per column; `!` is NOT NULL.
fn table(columns: &[&str], unique: &[&[&str]]) -> Table {
    Table {
        columns: columns.iter().map(|text| column(text)).collect(),
        unique: unique.iter().map(|columns| columns.iter().map(|&name| name.to_owned()).collect()).collect(),
        indexes: Vec::new(),
        constraint_columns: HashMap::new(),
        exclusion: false,
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        user_triggers: false,
        computed_indexes: false,
        kind: TableKind::Table,
        reads: Vec::new(),
        calls: Vec::new(),
        parents: Vec::new(),
        definition: None,
    }
}

fn oid_of(type_name: &str) -> u32 {
    match type_name {
        "bigint" => 20,
        "smallint" => 21,
        "integer" => 23,
        "text" => 25,
        "uuid" => 2950,
        "timestamp with time zone" => 1184,
        _ => 0,
    }
}

fn column(text: &str) -> Column {
    let (head, default) = text.split_once(" = ").map_or((text, None), |(head, default)| (head, Some(default)));
    let (name, kind) = head.split_once(' ').unwrap();
    let type_name = kind.trim_end_matches(" !").trim_end_matches('!');
    Column {
        name: name.into(),
        type_oid: oid_of(type_name),
        type_name: type_name.into(),
        nullable: !kind.ends_with('!'),
        default: default.map(str::to_owned),
        generated: false,
        identity: false,
        identity_always: false,
        collation_is_default: true,
        equal_by_bytes: true,
    }
}

pub(in crate::plan) fn catalog() -> Catalog {
    let mut orders = table(
        &["order_id bigint !", "user_id bigint !", "note text", "created timestamp with time zone = now()"],
        &[&["order_id"]],
    );
    orders.constraint_columns.insert("orders_pkey".into(), vec!["order_id".into()]);
    let mut event_log = table(&["user_id bigint !", "n integer", "note text"], &[&["user_id", "n"]]);
    event_log.foreign_keys.push(ForeignKey {
        name: "key".into(),
        columns: vec![],
        table: "regions".into(),
        referenced: vec![],
        strict: true,
    });
    let mut visits = table(&["user_id bigint !"], &[]);
    visits.user_triggers = true;
    let tables = [
        ("orders", orders),
        (
            "order_items",
            table(&["user_id bigint !", "item_id bigint !", "order_id bigint"], &[&["item_id"], &["order_id"]]),
        ),
        ("carts", table(&["user_id bigint !", "item text", "n integer = 1"], &[&["user_id", "item"]])),
        ("events", table(&["event_id bigint !", "user_id bigint !", "n integer"], &[&["event_id"]])),
        ("event_log", event_log),
        ("accounts", table(&["account_id bigint !", "owner text"], &[&["account_id"]])),
        ("names", table(&["name text !", "n integer"], &[&["name"]])),
        ("documents", table(&["id uuid !", "body text"], &[&["id"]])),
        ("app.visits", visits),
        ("regions", table(&["id integer !", "name text"], &[&["id"]])),
        ("settings", table(&["name text !", "value text"], &[&["name"]])),
        ("tickets", table(&["ticket_id bigint !", "title text"], &[&["ticket_id"]])),
    ];
    let tables = tables.into_iter().map(|(name, table)| (name.to_owned(), table)).collect();
    Catalog { tables, ..Catalog::default() }
}
