use super::*;
use crate::rules::{
    BUCKETS_MAX, Distribution, GoldenExpectation, GroupId, IdRule, IdSource, OnDead, OnMissingKey, RuleMode, Shard,
    SplitAlgorithm, Topology, UnlistedTables, WhenTargetDown, standard_layout,
};
use crate::types::{BucketId, KeyType, KeyValue, ShardId};

const IDS: &str = "kind: Ids
tags: {order: 1, user: 63}
layouts:
  wide: {epoch: \"2026-01-01T00:00:00Z\", bits: {time: 40, tag: 10, worker: 5, sequence: 8}}
---
";

const ORDERS: &str = "kind: TableGroup
name: orders
key: {type: bigint}
algorithm: hash
tables:
  Orders:      {key: User_Id, id: {column: order_id, layout: wide, tag: order}}
  order_items: {key: user_id, id: {column: item_id, tag: order}}
  '\"Odd Table\"': {key: '\"Key\"'}
missing_key: {read: reject, write: scatter}
multi_shard: {mode: eager, on_dead: stop_lane, when_target_down: error}
tests:
- {sql: \"select * from orders where user_id = $1\", params: [42, null], shards: 1}
- {sql: \"select 1\", shards: [s0, s1]}
- {sql: \"update orders set status = 1\", error: missing_sharding_key}
---
kind: ReferenceTables
tables: [regions, public.tax_rates]
home: s1
multi_shard: {mode: eventual}
---
kind: SingleTables
tables: [settings]
---
kind: SingleTables
tables: [audit.log]
shard: s1
";

fn rules() -> RuleSet {
    parse(&format!("{IDS}{ORDERS}")).expect("the files are right")
}

#[test]
fn a_topology_gives_shards_placement_and_home() {
    let rules = rules();
    let other = Shard { name: "s1".into(), host: "db1".into(), port: 5502, database: "other".into() };
    assert_eq!((rules.database.as_str(), rules.shards.len(), &rules.shards[1]), ("shop", 2, &other));
    assert_eq!((rules.shards[0].database.as_str(), rules.home), ("shop", ShardId(0)));
    assert_eq!(rules.unlisted, UnlistedTables::Home);
    let owners = [(0, 0), (7, 0), (8, 1), (15, 1)];
    for (bucket, shard) in owners {
        assert_eq!(rules.placement.owner(BucketId(bucket)), ShardId(shard), "bucket {bucket}");
    }
}

#[test]
fn a_group_gives_tables_keys_and_ids() {
    let rules = rules();
    let orders = rules.table("orders").expect("it has a rule");
    assert_eq!(orders.name, "Orders");
    assert_eq!(
        orders.distribution,
        Distribution::Sharded { group: GroupId(0), key: "user_id".into(), more: Vec::new() }
    );
    let source = IdSource::Snowflake { layout: rules.ids.layouts["wide"], tag_code: 1 };
    let (column, layout, tag) = ("order_id".into(), "wide".into(), "order".into());
    let id = IdRule { column, layout, tag, tag_code: 1, source, route: false, check_tag: false };
    assert_eq!(orders.id, Some(id));
    let items = rules.table("order_items").and_then(|rule| rule.id.clone()).expect("it has an id");
    assert_eq!(items.layout, "standard");
    let odd = rules.table("Odd Table").expect("it has a rule");
    assert_eq!(odd.distribution, Distribution::Sharded { group: GroupId(0), key: "Key".into(), more: Vec::new() });
    assert_eq!(rules.ids.layouts["standard"], standard_layout());
}

#[test]
fn settings_of_a_group_are_read() {
    let rules = rules();
    let group = rules.group(GroupId(0));
    assert_eq!((group.name.as_str(), group.key_type), ("orders", KeyType::BigInt));
    assert_eq!((group.missing_key.read, group.missing_key.write), (OnMissingKey::Reject, OnMissingKey::Scatter));
    let settings = group.multi_shard;
    assert_eq!(settings.mode, RuleMode::Eager);
    assert_eq!((settings.on_dead, settings.when_target_down), (OnDead::StopLane, WhenTargetDown::Error));
}

#[test]
fn settings_have_their_defaults() {
    let text = "{kind: TableGroup, name: g, key: {type: uuid}, tables: {t: {key: k}}}\n---\n\
                {kind: ReferenceTables, tables: [r]}\n";
    let rules = parse(text).expect("the files are right");
    let group = rules.group(GroupId(0));
    assert_eq!((group.missing_key.read, group.missing_key.write), (OnMissingKey::Scatter, OnMissingKey::Reject));
    let settings = group.multi_shard;
    assert_eq!((settings.mode, settings.on_dead), (RuleMode::Auto, OnDead::ParkKey));
    assert_eq!(settings.when_target_down, WhenTargetDown::Defer);
    let Distribution::Reference { home, multi_shard } = rules.table("r").expect("it has a rule").distribution else {
        panic!("r is a reference table");
    };
    assert_eq!((home, multi_shard.mode, multi_shard.on_dead), (ShardId(0), RuleMode::Auto, OnDead::Resync));
}

#[test]
fn lists_give_reference_and_single_tables() {
    let rules = rules();
    let single = |shard| Distribution::Single { shard: ShardId(shard) };
    assert_eq!(rules.table("settings").map(|rule| &rule.distribution), Some(&single(0)));
    assert_eq!(rules.table("audit.log").map(|rule| &rule.distribution), Some(&single(1)));
    let home = rules.table("tax_rates").map(|rule| match rule.distribution {
        Distribution::Reference { home, .. } => home,
        Distribution::Sharded { .. } | Distribution::Single { .. } => panic!("tax_rates is a reference table"),
    });
    assert_eq!(home, Some(ShardId(1)));
    assert!(rules.table("unknown").is_none());
}

#[test]
fn golden_tests_keep_their_place_and_parameters() {
    let tests = rules().tests;
    assert_eq!(tests[0].params, [Some("42".to_owned()), None]);
    assert_eq!(tests[0].place, "rules.yaml:17:3");
    let expected = [
        GoldenExpectation::ShardCount(1),
        GoldenExpectation::Shards(vec!["s0".to_owned(), "s1".to_owned()]),
        GoldenExpectation::Error("missing_sharding_key".to_owned()),
    ];
    assert_eq!(tests.into_iter().map(|test| test.expect).collect::<Vec<_>>(), expected);
}

#[test]
fn every_key_type_is_read() {
    let types = [
        ("smallint", KeyType::SmallInt),
        ("int", KeyType::Int),
        ("integer", KeyType::Int),
        ("bigint", KeyType::BigInt),
        ("text", KeyType::Text),
        ("varchar", KeyType::Varchar),
        ("uuid", KeyType::Uuid),
    ];
    for (word, key_type) in types {
        let text = format!("{{kind: TableGroup, name: g, key: {{type: {word}}}, tables: {{t: {{key: k}}}}}}");
        assert_eq!(parse(&text).expect(word).groups[0].key_type, key_type, "{word}");
    }
}

#[test]
fn a_key_goes_to_the_owner_of_its_bucket() {
    let rules = rules();
    // 42 leaves 2658 modulo 4096 on a live server, hence 2658 modulo 16.
    assert_eq!(rules.bucket(KeyType::BigInt, &KeyValue::Int(42)), BucketId(2658 % 16));
    assert_eq!(rules.shard_of(GroupId(0), &KeyValue::Int(42)), Some(ShardId(0)));
    assert_eq!(rules.shard_of(GroupId(0), &KeyValue::Int(43)), Some(ShardId(1)));
}

#[test]
fn the_version_follows_the_content_alone() {
    let version = |files: &[RuleFile]| RuleSet::parse(files).expect("the files are right").version;
    let (ids, orders) = (file("ids.yaml", IDS), file("orders.yaml", ORDERS));
    let topology = file("topology.yaml", TOPOLOGY);
    let first = version(&[topology.clone(), ids.clone(), orders.clone()]);
    assert_eq!(first, version(&[orders.clone(), topology.clone(), ids.clone()]));
    let commented = file("renamed.yaml", &format!("# a comment\n{ORDERS}"));
    assert_eq!(first, version(&[topology.clone(), ids.clone(), commented]));
    assert_eq!((first.len(), first.bytes().all(|byte| byte.is_ascii_hexdigit())), (16, true));
    let changes = [("key: user_id", "key: order_id"), ("mode: eager", "mode: auto"), ("[settings]", "[setting]")];
    for (from, to) in changes.into_iter().chain([("type: bigint", "type: int"), ("layout: wide", "layout: standard")]) {
        let changed = file("orders.yaml", &ORDERS.replace(from, to));
        assert_ne!(first, version(&[topology.clone(), ids.clone(), changed]), "{to}");
    }
    let moved = file("topology.yaml", &TOPOLOGY.replace("0-7", "0-6").replace("8-14", "7-14"));
    assert_ne!(first, version(&[moved, ids, orders]));
}

#[test]
fn a_topology_made_by_the_program_replaces_the_file() {
    let shard = |index: u16| Shard {
        name: format!("s{index}"),
        host: "127.0.0.1".into(),
        port: 5501 + index,
        database: "shop".into(),
    };
    let topology = Topology::even("shop", (0..3).map(shard).collect());
    let files = [file("topology.yaml", TOPOLOGY), file("rules.yaml", &format!("{IDS}{ORDERS}"))];
    let parsed = RuleSet::parse_with_topology(&files, &topology).expect("the files are right");
    assert_eq!((parsed.rules.shards.len(), parsed.rules.placement.buckets()), (3, 4096));
    assert_eq!(parsed.rules.placement.shards().len(), 3);
    let notices = parsed.notices.iter().map(Diagnostic::to_string).collect::<Vec<_>>();
    assert_eq!(notices, ["topology.yaml:1:1: this Topology is ignored: the shards are made by the program"]);
    let without = RuleSet::parse_with_topology(&files[1..], &topology).expect("no Topology is needed");
    assert!(without.notices.is_empty());
    assert_eq!(without.rules.version, parsed.rules.version);
}

#[test]
fn an_even_topology_gives_each_shard_its_share() {
    for count in [1, 3, 128] {
        let shard = |index: usize| Shard { name: format!("s{index}"), host: "h".into(), port: 1, database: "d".into() };
        let topology = Topology::even("d", (0..count).map(shard).collect());
        let mut shares = vec![0_usize; count];
        (0..4096).for_each(|bucket| shares[topology.placement.owner(BucketId(bucket)).index()] += 1);
        let (least, most) = (shares.iter().min(), shares.iter().max());
        assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{count} shards: {shares:?}");
    }
}

#[test]
fn the_largest_topology_is_read() {
    let shards = (0..128).map(|index| format!("  s{index}: {{primary: \"h:{}\"}}\n", 5000 + index)).collect::<String>();
    let text = format!(
        "kind: Topology\ndatabase: d\nbuckets: {BUCKETS_MAX}\nshards:\n{shards}\
         placement: {{s127: [\"0-{}\"]}}\nhome: s0\n",
        BUCKETS_MAX - 1
    );
    let rules = RuleSet::parse(&[file("t.yaml", &text)]).expect("the file is right");
    assert_eq!((rules.shards.len(), rules.placement.shards().only()), (128, Some(ShardId(127))));
    let more = text.replace("placement", "  s128: {primary: \"h:1\"}\nplacement");
    let found = messages(&[file("t.yaml", &more)]);
    assert!(found[0].ends_with("a topology has 1 to 128 shards, found 129"), "{found:?}");
}

#[test]
fn the_published_schema_is_current() {
    crate::yaml::assert_published("shard-rules.schema.json", &crate::rules::json_schema());
}

#[test]
fn the_example_rules_hold() {
    let examples: [&[RuleFile]; 2] = [
        &[
            file("ids.yaml", include_str!("../../../shard-rules/ids.yaml")),
            file("shop.yaml", include_str!("../../../shard-rules/shop.yaml")),
        ],
        &[file("pgbench.yaml", include_str!("../../../examples/pgbench/rules/pgbench.yaml"))],
    ];
    let shard = Shard { name: "s0".into(), host: "h".into(), port: 1, database: "d".into() };
    for files in examples {
        let parsed = RuleSet::parse_with_topology(files, &Topology::even("d", vec![shard.clone()]));
        let parsed = parsed.unwrap_or_else(|found| panic!("{found:?}"));
        assert!(!parsed.rules.tests.is_empty() && parsed.notices.is_empty());
    }
}

#[test]
fn a_split_gives_physical_tables_and_slots() {
    let text = "kind: TableGroup
name: g
key: {type: bigint}
tables:
  items: {key: k, split: {by: b, type: text, into: 12, pattern: \"Items_{00}\"}}
  s.own: {key: k, split: {into: 2, pattern: \"own_{0}\", algorithm: mod}}
  keyed: {key: k, split: {into: 4, pattern: \"keyed_{0}\"}}
";
    let rules = RuleSet::parse(&[file("t.yaml", TOPOLOGY), file("g.yaml", text)]).expect("they hold");
    let split = rules.split_of("items").expect("it is split");
    assert_eq!((split.by.as_str(), split.by_type, split.names.len()), ("b", KeyType::Text, 12));
    assert_eq!((split.names[0].as_str(), split.names[11].as_str()), ("items_00", "items_11"));
    assert_eq!(rules.logical_of("items_11"), Some("items"));
    assert_eq!((rules.logical_of("s.own_1"), rules.logical_of("own_1")), (Some("s.own"), None));
    assert!(rules.names_physical("own_1") && !rules.names_physical("own"));
    let by = |table: &str| rules.split_of(table).map(|split| split.algorithm);
    assert_eq!((by("items"), by("s.own")), (Some(SplitAlgorithm::Hash { divisor: 1 }), Some(SplitAlgorithm::Mod)));
    let divisor = rules.placement.buckets();
    assert_eq!(by("keyed"), Some(SplitAlgorithm::Hash { divisor }), "the slot is not the bucket's");
}
