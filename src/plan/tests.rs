//! Golden cases: a statement, and what becomes of it.
//!
//! `{a}` and `{c}` are keys on s1, `{b}` is one on s2; home is s0, and no key of the cases lives there.

mod algorithms;
mod apart;
mod cases;
mod copy_query;
mod deep;
mod gathered;
mod hidden;
mod merging;
mod nested;
mod partial;
mod rooted;
mod split;
mod values;

use std::collections::{BTreeMap, HashMap};

pub(in crate::plan) use gathered::catalog;

use super::*;
use crate::merge::{Combine, MergeSpec, Output};
use crate::rules::{
    Algorithm, AssumedCount, Distribution, GroupId, IdRules, MissingKey, MultiShardRule, OnDead, OnKeyUpdate,
    OnMissingKey, Placement, RuleMode, RuleSet, Shard, TableGroup, TableRule, UnlistedTables, WhenTargetDown,
};
use crate::sql::literals;
use crate::types::{KeyType, KeyValue, Refusal, ShardId};

pub(super) fn rules() -> RuleSet {
    let shard = |name: &str| Shard { name: name.into(), host: "h".into(), port: 1, database: "shop".into() };
    let multi_shard = |mode| MultiShardRule {
        mode,
        on_dead: OnDead::ParkKey,
        when_target_down: WhenTargetDown::Defer,
        assumed_count: AssumedCount::None,
    };
    let group = |name: &str, key_type, read, write, mode| TableGroup {
        name: name.into(),
        key_type,
        algorithm: Algorithm::Hash,
        key_update: OnKeyUpdate::Reject,
        missing_key: MissingKey { read, write },
        multi_shard: multi_shard(mode),
    };
    let (ask, reject) = (OnMissingKey::Scatter, OnMissingKey::Reject);
    let sharded = |group, key: &str| Distribution::Sharded { group: GroupId(group), key: key.into(), more: Vec::new() };
    let tables = [
        ("orders", sharded(0, "user_id")),
        ("order_items", sharded(0, "buyer")),
        ("people", sharded(1, "name")),
        ("docs", sharded(2, "id")),
        ("strict", sharded(3, "k")),
        ("loose", sharded(4, "k")),
        ("audit.log", sharded(0, "user_id")),
        ("regions", Distribution::Reference { home: ShardId(0), multi_shard: multi_shard(RuleMode::Auto) }),
        ("settings", Distribution::Single { shard: ShardId(1) }),
    ];
    let rule =
        |name: &str, distribution| TableRule { name: name.to_owned(), distribution, id: None, split: None, undo: None };
    RuleSet {
        version: "v".into(),
        database: "shop".into(),
        shards: ["s0", "s1", "s2"].map(shard).into(),
        home: ShardId(0),
        placement: Placement::new((0..12).map(|bucket| ShardId(bucket % 3)).collect()),
        groups: vec![
            group("orders", KeyType::BigInt, ask, reject, RuleMode::Auto),
            group("people", KeyType::Text, ask, reject, RuleMode::Auto),
            group("docs", KeyType::Uuid, ask, reject, RuleMode::Auto),
            group("strict", KeyType::Int, reject, reject, RuleMode::Reject),
            group("loose", KeyType::SmallInt, ask, ask, RuleMode::TwoPhase),
        ],
        tables: tables.into_iter().map(|(name, place)| (name.to_owned(), rule(name, place))).collect::<HashMap<_, _>>(),
        physical: HashMap::new(),
        ids: IdRules {
            tags: BTreeMap::new(),
            layouts: BTreeMap::new(),
            segments: BTreeMap::new(),
            of_columns: BTreeMap::new(),
        },
        unlisted: UnlistedTables::Home,
        tests: Vec::new(),
    }
}

/// Finds the keys that the cases name.
fn keys(rules: &RuleSet) -> [i64; 3] {
    let shard_of = |key| rules.shard_of(GroupId(0), &KeyValue::Int(key));
    let on = |shard| (1..).filter(move |key| shard_of(*key) == Some(ShardId(shard)));
    let mut first = on(1);
    [first.next().expect("a key"), on(2).next().expect("a key"), first.next().expect("a key")]
}

/// No table of the cases has generated ids.
fn no_ids(_: super::IdsWanted) -> Result<Vec<super::IdValue>, Refusal> {
    panic!("no case needs ids")
}

fn plan_of(text: &str, parameters: Parameters<'_>, rules: &RuleSet) -> Result<Plan, PrepareError> {
    plan_beside(text, parameters, rules, &catalog::Catalog::empty())
}

fn plan_beside(
    text: &str,
    parameters: Parameters<'_>,
    rules: &RuleSet,
    catalog: &catalog::Catalog,
) -> Result<Plan, PrepareError> {
    let context = Context { rules, catalog };
    let prepared = prepare(text, &context)?;
    Ok(prepared.plan(&context, &Values { text, literals: &literals(text), parameters }, &mut no_ids)?)
}

fn render(plan: Result<Plan, PrepareError>, rules: &RuleSet) -> String {
    match plan {
        Ok(plan) => shown(plan, rules),
        Err(PrepareError::Refused(Refusal { reason, hint, .. })) => {
            assert!(
                !reason.is_empty() && hint.is_some_and(|hint| !hint.is_empty()),
                "each refusal has reason and hint"
            );
            format!("refused {reason}")
        }
        Err(PrepareError::Unreadable(_)) => "unreadable".into(),
    }
}

fn shown(plan: Plan, rules: &RuleSet) -> String {
    let name = |shard: ShardId| rules.shard(shard).name.clone();
    match plan {
        Plan::Direct(direct) => {
            let mut out = format!("direct {}", name(direct.shard));
            if direct.anywhere {
                out.push_str(" any");
            }
            if direct.reads_reference {
                out.push_str(" ref");
            }
            if let Some(effect) = direct.effect {
                out.push_str(if effect.reference { " copies" } else { " write" });
            }
            out
        }
        Plan::Carry(carry) => format!("carry {}", carry.source),
        Plan::Scatter(scatter) => {
            let shards: Vec<String> = scatter.shards.iter().map(name).collect();
            let sql = match &scatter.statement {
                Statement::Original => "=".to_owned(),
                Statement::Rewritten { sql, parameters } => format!("{sql} {parameters:?}").replace(" []", ""),
            };
            format!("scatter {}: {sql}{}", shards.join("+"), merged(&scatter.merge))
        }
        Plan::Gather(gather) => {
            let sql = match &gather.statement {
                Statement::Original => String::new(),
                Statement::Rewritten { sql, .. } => format!(": {sql}"),
            };
            let fetched = gather.fetches.iter().filter(|fetch| !fetch.in_place).map(|fetch| {
                let shards: Vec<String> = fetch.shards.iter().map(name).collect();
                format!(" {}({}) {}", fetch.table, fetch.columns.join(","), shards.join("+"))
            });
            let partial = gather.partial.as_ref().map(|partial| {
                let Statement::Rewritten { sql, parameters } = &partial.parts.statement else { panic!("no parts") };
                format!(" | parts {} {parameters:?} | {}", sql.trim(), partial.finish).replace(" []", "")
            });
            let partial = partial.unwrap_or_default();
            format!("gather {}{}{sql}{partial}", name(gather.home), fetched.collect::<String>())
        }
        Plan::MultiWrite(write) => {
            let shards: Vec<String> = write.parts.iter().map(|part| name(part.shard)).collect();
            format!("writes {} {} {:?}", shards.join("+"), write.effect.mode.name(), write.returning)
        }
        Plan::Copy(_) => "copy".into(),
        Plan::CopyOut(copy) => {
            let merged = if copy.merged.is_some() { " merged" } else { "" };
            format!("copy out {}{merged}", copy.shards.iter().map(name).collect::<Vec<_>>().join("+"))
        }
        Plan::Everywhere { shards, effect, .. } => {
            let shards: Vec<String> = shards.iter().map(name).collect();
            format!("everywhere {}{}", shards.join("+"), if effect.is_some() { " write" } else { "" })
        }
    }
}

fn merged(spec: &MergeSpec) -> String {
    let mut out = String::new();
    let combines: Vec<&str> = spec
        .combines
        .iter()
        .map(|combine| match combine {
            Combine::GroupKey => "key",
            Combine::Sum => "sum",
            Combine::Min => "min",
            Combine::Max => "max",
            Combine::And => "and",
            Combine::Or => "or",
        })
        .collect();
    if spec.grouped {
        out.push_str(&format!(" | fold {}", combines.join(",")));
        for (index, output) in spec.outputs.iter().enumerate() {
            match output {
                Output::Column(column) => assert_eq!(*column, index),
                Output::Average { sum, count } => out.push_str(&format!(" avg {sum}/{count}")),
            }
        }
        out.push_str(&format!(" show {}", spec.outputs.len()));
    }
    if spec.hidden > 0 {
        out.push_str(&format!(" | hide {}", spec.hidden));
    }
    if spec.distinct {
        out.push_str(" | distinct");
    }
    for key in &spec.order {
        let column = match key.column.checked_sub(MergeSpec::FROM_END) {
            Some(back) => format!("-{}", back + 1),
            None => key.column.to_string(),
        };
        let direction = if key.descending { "desc" } else { "asc" };
        out.push_str(&format!(" | by {column} {direction}{}", if key.nulls_first { " nulls first" } else { "" }));
    }
    if let Some(limit) = spec.limit {
        out.push_str(&format!(" | limit {limit}"));
    }
    if spec.offset > 0 {
        out.push_str(&format!(" | offset {}", spec.offset));
    }
    out
}

/// Runs a table of cases `statement => plan`, one per line; blank lines and `#` lines are skipped.
fn check(cases: &str) {
    check_beside(cases, &catalog::Catalog::empty());
}

fn check_beside(cases: &str, catalog: &catalog::Catalog) {
    let rules = rules();
    let [a, b, c] = keys(&rules);
    let fill = |text: &str| {
        let filled = text.replace("{a}", &a.to_string()).replace("{b}", &b.to_string());
        filled.replace("{c}", &c.to_string())
    };
    let mut wrong = Vec::new();
    for line in cases.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (text, expected) = line.split_once(" => ").expect("a case has an arrow");
        let text = fill(text);
        let found = render(plan_beside(&text, Parameters::default(), &rules, catalog), &rules);
        if found.trim_end() != fill(expected) {
            wrong.push(format!("{text}\n  expected {}\n  found    {found}", fill(expected)));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
