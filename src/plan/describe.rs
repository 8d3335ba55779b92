//! A plan in words, for EXPLAIN (ROUTE) and `shardloom route`.

use crate::rules::{Distribution, RuleSet};
use crate::sql;
use crate::types::ShardSet;

use super::{CarryForm, Plan, Redo, Statement, WriteEffect};

/// Returns one line per fact: the way, the shards, what they run, how rows merge, how a write commits.
pub fn describe(plan: &Plan, rules: &RuleSet) -> Vec<String> {
    match plan {
        Plan::Direct(direct) => {
            let shard: ShardSet = [direct.shard].into_iter().collect();
            let mut lines = vec![format!("Direct on {}", names(shard, rules))];
            lines.extend(statement(&direct.statement));
            lines.extend(direct.effect.iter().flat_map(effect));
            lines
        }
        Plan::Scatter(scatter) => {
            let mut lines = vec![format!("Scatter over {}", names(scatter.shards, rules))];
            lines.extend(statement(&scatter.statement));
            lines.push(format!("  Merge: {}", merge(&scatter.merge)));
            lines
        }
        Plan::Gather(gather) => {
            let home: ShardSet = [gather.home].into_iter().collect();
            let mut lines = vec![format!("Gather on {}", names(home, rules))];
            for fetch in gather.fetches.iter().filter(|fetch| !fetch.in_place) {
                let columns =
                    if fetch.columns.is_empty() { "all columns".to_owned() } else { fetch.columns.join(", ") };
                let physical = match fetch.physical.as_slice() {
                    [] => String::new(),
                    tables => format!(": {}", tables.join(", ")),
                };
                lines.push(format!(
                    "  Fetch {} ({columns}) from {}{physical}",
                    fetch.table,
                    names(fetch.shards, rules)
                ));
                let only = gather.restrictions(fetch);
                lines.extend(only.iter().enumerate().map(|(at, line)| {
                    let word = if at == 0 { "where" } else { "or" };
                    format!("    {word} {line}")
                }));
            }
            lines.extend(statement(&gather.statement));
            if let Some(partial) = &gather.partial {
                lines
                    .push(format!("  Or, where the types allow it, parts from {}", names(partial.parts.shards, rules)));
                lines.extend(statement(&partial.parts.statement).map(|line| format!("  {line}")));
                lines.push(format!("    Finish: {}", partial.shown()));
            }
            lines.push(format!("  Because: {}", gather.because));
            lines
        }
        Plan::MultiWrite(write) => {
            let shards = write.parts.iter().map(|part| part.shard).collect();
            let mut lines = vec![format!("Write over {}", names(shards, rules))];
            for part in &write.parts {
                lines.push(format!("  On {}:", rules.shard(part.shard).name));
                lines.extend(statement(&part.statement).map(|line| format!("  {line}")));
            }
            lines.extend(effect(&write.effect));
            if write.parts.iter().any(|part| !part.undo.is_empty()) {
                lines.push("  Each row has what takes it back".to_owned());
            }
            if write.defers_when_down {
                lines.push("  Eventual while a shard cannot be reached".to_owned());
            }
            lines
        }
        Plan::Copy(copy) => {
            let mut lines = vec![format!("Copy split by key over {}", names(rules.shards_of_group(copy.group), rules))];
            lines.extend(statement(&copy.statement));
            lines.extend(effect(&copy.effect));
            lines
        }
        Plan::Carry(carry) => {
            let verb = match &carry.form {
                CarryForm::Rows { .. } => "The rows are inserted by key into",
                CarryForm::Cells(_) => "The values are put into the rows of",
                CarryForm::Move { .. } => "The rows are moved by key in",
                CarryForm::Query { brought, .. } if brought.written => {
                    "In the same transaction, the rows stand as constants in what is left beside the write of"
                }
                CarryForm::Query { .. } => "The rows stand as constants in the write of",
            };
            vec![
                "Carry what a first statement returns".to_owned(),
                format!("  Runs: {}", carry.source),
                format!("  {verb} {}", carry.table),
            ]
        }
        Plan::CopyOut(copy) => match &copy.merged {
            None => vec![format!("Copy one after another from {}", names(copy.shards, rules))],
            Some(merged) => {
                let lines = describe(&merged.plan, rules).into_iter().map(|line| format!("  {line}"));
                std::iter::once("Copy what is read".to_owned()).chain(lines).collect()
            }
        },
        Plan::Everywhere { shards, statement: runs, effect: writes } => {
            let mut lines = vec![format!("Everywhere on {}", names(*shards, rules))];
            lines.extend(statement(runs));
            lines.extend(writes.iter().flat_map(effect));
            lines
        }
    }
}

/// Says why a read takes several shards: which keys its conditions leave open. `None` for other plans.
pub fn why_not_direct(plan: &Plan, text: &str, rules: &RuleSet) -> Option<String> {
    let shards = match plan {
        Plan::Scatter(scatter) => scatter.shards.len(),
        Plan::Gather(gather) => gather.shards().len(),
        Plan::Direct(_)
        | Plan::MultiWrite(_)
        | Plan::Carry(_)
        | Plan::Copy(_)
        | Plan::CopyOut(_)
        | Plan::Everywhere { .. } => return None,
    };
    let key = |table: &String| match &rules.table(table)?.distribution {
        Distribution::Sharded { key, more, .. } => {
            Some(std::iter::once(key).chain(more).map(|key| format!("{table}.{key}")).collect::<Vec<_>>().join(", "))
        }
        Distribution::Reference { .. } | Distribution::Single { .. } => None,
    };
    let keys: Vec<String> = tables_named(text, rules).iter().filter_map(key).collect();
    match keys.as_slice() {
        [] => None,
        keys => Some(format!("the conditions on {} leave {shards} of {} shards", keys.join(", "), rules.shards.len())),
    }
}

/// Lists the tables of the rules, in schema public, whose names stand in a statement.
pub fn tables_named(text: &str, rules: &RuleSet) -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    for name in sql::Scanner::new(text).filter_map(|token| sql::identifier(text, token)) {
        if rules.table(&name).is_some() && !tables.contains(&name) {
            tables.push(name);
        }
    }
    tables
}

fn names(shards: ShardSet, rules: &RuleSet) -> String {
    shards.iter().map(|shard| rules.shard(shard).name.as_str()).collect::<Vec<_>>().join(", ")
}

fn statement(statement: &Statement) -> Option<String> {
    match statement {
        Statement::Original => None,
        Statement::Rewritten { sql, .. } => Some(format!("  Runs: {sql}")),
    }
}

fn merge(spec: &crate::merge::MergeSpec) -> String {
    let mut steps = Vec::new();
    if spec.grouped {
        steps.push("fold groups".to_owned());
    }
    if spec.distinct {
        steps.push("drop duplicates".to_owned());
    }
    if !spec.order.is_empty() {
        steps.push(if spec.grouped { "sort" } else { "merge in order" }.to_owned());
    }
    if spec.offset > 0 {
        steps.push(format!("skip {}", spec.offset));
    }
    if let Some(limit) = spec.limit {
        steps.push(format!("take {limit}"));
    }
    if steps.is_empty() { "append".to_owned() } else { steps.join(", ") }
}

fn effect(effect: &WriteEffect) -> Vec<String> {
    let mut lines = vec![format!("  Writes: {}", effect.tables.join(", "))];
    let mode = effect.mode_over_shards().name();
    lines.push(match &effect.redo {
        Redo::Never(reason) => format!("  Over several shards: two_phase (cannot be redone: {reason})"),
        Redo::Exact | Redo::AfterFreeze => format!("  Over several shards: {mode}"),
    });
    if effect.reference {
        lines.push("  Copies on the other shards follow by replay".to_owned());
    }
    lines
}
