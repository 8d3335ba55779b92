//! A plan as JSON, for `route --json` and EXPLAIN (ROUTE, FORMAT json): shards, texts, merge steps, write mode.

use super::split;
use super::{Gather, ParameterSource, Plan, Redo, Statement, WriteEffect};
use crate::merge::MergeSpec;
use crate::rules::RuleSet;
use crate::types::{ShardId, ShardSet};
use serde_json::{Value, json};

/// Returns the shards that a plan asks.
pub(super) fn shards(plan: &Plan) -> ShardSet {
    match plan {
        Plan::Direct(direct) => [direct.shard].into_iter().collect(),
        Plan::Scatter(scatter) => scatter.shards,
        Plan::Gather(gather) => gather.shards(),
        Plan::MultiWrite(write) => write.parts.iter().map(|part| part.shard).collect(),
        // Rows are split as they come: any shard that owns buckets may get some.
        Plan::Copy(_) | Plan::Carry(_) => ShardSet::new(),
        Plan::CopyOut(copy) => copy.shards,
        Plan::Everywhere { shards, .. } => *shards,
    }
}

/// Returns the names of the shards that a plan asks, in the order of the topology.
pub fn shard_names(plan: &Plan, rules: &RuleSet) -> Vec<String> {
    let asked = match plan {
        Plan::Copy(copy) => rules.shards_of_group(copy.group),
        Plan::Direct(_)
        | Plan::Scatter(_)
        | Plan::Gather(_)
        | Plan::MultiWrite(_)
        | Plan::Carry(_)
        | Plan::CopyOut(_)
        | Plan::Everywhere { .. } => shards(plan),
    };
    asked.iter().map(|shard| rules.shard(shard).name.clone()).collect()
}

/// Returns the whole plan as `route --json` prints it.
pub fn route_json(plan: &Plan, rules: &RuleSet, sql: &str) -> Value {
    let mut view =
        json!({"kind": kind(plan), "shards": shard_names(plan, rules), "statements": statements(plan, rules, sql)});
    match plan {
        Plan::Direct(direct) => {
            view["any_shard_would_do"] = json!(direct.anywhere);
            view["write"] = write(direct.effect.as_ref());
        }
        Plan::Scatter(scatter) => view["merge"] = json!(merge_steps(&scatter.merge)),
        Plan::Gather(gather) => {
            view["because"] = json!(gather.because);
            view["fetch"] = fetches(gather, rules);
            if let Some(partial) = &gather.partial {
                let (parts, parameters) = text(&partial.parts.statement, sql);
                view["partial"] = json!({"sql": parts, "parameters": parameters, "finish": partial.shown()});
            }
        }
        Plan::MultiWrite(multi) => {
            view["write"] = write(Some(&multi.effect));
            view["write"]["defers_when_down"] = json!(multi.defers_when_down);
        }
        Plan::Copy(copy) => view["write"] = write(Some(&copy.effect)),
        Plan::CopyOut(_) | Plan::Carry(_) => {}
        Plan::Everywhere { effect, .. } => view["write"] = write(effect.as_ref()),
    }
    view
}

fn kind(plan: &Plan) -> &'static str {
    match plan {
        Plan::Direct(_) => "direct",
        Plan::Scatter(_) => "scatter",
        Plan::Gather(_) => "gather",
        Plan::MultiWrite(_) => "multi_write",
        Plan::Carry(_) => "carry",
        Plan::Copy(_) => "copy",
        Plan::CopyOut(_) => "copy_out",
        Plan::Everywhere { .. } => "everywhere",
    }
}

fn statements(plan: &Plan, rules: &RuleSet, sql: &str) -> Vec<Value> {
    let on = |shard: ShardId, statement: &Statement| {
        let (text, parameters) = text(statement, sql);
        let mut on = json!({"shard": rules.shard(shard).name, "sql": text, "parameters": parameters});
        let physical = split::physical_tables(&text, rules);
        if !physical.is_empty() {
            on["tables"] = json!(physical);
        }
        on
    };
    match plan {
        Plan::Direct(direct) => vec![on(direct.shard, &direct.statement)],
        Plan::Scatter(scatter) => scatter.shards.iter().map(|shard| on(shard, &scatter.statement)).collect(),
        Plan::Gather(gather) => vec![on(gather.home, &gather.statement)],
        Plan::MultiWrite(write) => write.parts.iter().map(|part| on(part.shard, &part.statement)).collect(),
        // Where the source runs is planned when it runs.
        Plan::Carry(carry) => vec![json!({"shard": null, "sql": carry.source, "parameters": null})],
        Plan::Copy(copy) => rules.shards_of_group(copy.group).iter().map(|shard| on(shard, &copy.statement)).collect(),
        Plan::CopyOut(copy) => copy.shards.iter().map(|shard| on(shard, &copy.statement)).collect(),
        Plan::Everywhere { shards, statement, .. } => shards.iter().map(|shard| on(shard, statement)).collect(),
    }
}

fn fetches(gather: &Gather, rules: &RuleSet) -> Value {
    let names = |shards: ShardSet| shards.iter().map(|shard| rules.shard(shard).name.clone()).collect::<Vec<_>>();
    let copied = gather.fetches.iter().filter(|fetch| !fetch.in_place);
    let view = |fetch: &super::Fetch| {
        let mut view = json!({"table": fetch.table, "columns": fetch.columns, "shards": names(fetch.shards)});
        view["where"] = json!(gather.restrictions(fetch));
        if !fetch.physical.is_empty() {
            view["tables"] = json!(fetch.physical);
        }
        view
    };
    copied.map(view).collect()
}

fn text(statement: &Statement, sql: &str) -> (String, Option<Vec<String>>) {
    match statement {
        Statement::Original => (sql.to_owned(), None),
        Statement::Rewritten { sql, parameters } => {
            let source = |source: &ParameterSource| match source {
                ParameterSource::Client(index) => format!("${}", index + 1),
                ParameterSource::Bigint(value) => value.to_string(),
                ParameterSource::Text(value) => value.clone(),
            };
            (sql.clone(), Some(parameters.iter().map(source).collect()))
        }
    }
}

fn write(effect: Option<&WriteEffect>) -> Value {
    effect.map_or(Value::Null, |effect| {
        let (mode, redo) = match &effect.redo {
            Redo::Never(reason) => ("two_phase", format!("never: {reason}")),
            Redo::Exact => (effect.mode_over_shards().name(), "exact".to_owned()),
            Redo::AfterFreeze => (effect.mode_over_shards().name(), "after freezing".to_owned()),
        };
        json!({
            "tables": effect.tables,
            "reference": effect.reference,
            "mode": mode,
            "redo": redo,
            "deferrable": effect.deferrable,
        })
    })
}

/// Returns what the proxy does with the shards' rows, step by step, in words.
pub fn merge_steps(merge: &MergeSpec) -> Vec<String> {
    let mut steps = Vec::new();
    if merge.grouped {
        steps.push(format!("fold equal groups: {:?}", merge.combines));
    }
    if merge.distinct {
        steps.push("drop equal rows".to_owned());
    }
    if !merge.order.is_empty() {
        let keys = merge.order.iter().map(|key| {
            let direction = if key.descending { " descending" } else { "" };
            match key.column.checked_sub(MergeSpec::FROM_END) {
                Some(back) => format!("column {} from the end{direction}", back + 1),
                None => format!("column {}{direction}", key.column + 1),
            }
        });
        steps.push(format!("order by {}", keys.collect::<Vec<_>>().join(", ")));
    }
    if merge.offset > 0 {
        steps.push(format!("skip {} rows", merge.offset));
    }
    if let Some(limit) = merge.limit {
        steps.push(format!("at most {limit} rows"));
    }
    if steps.is_empty() {
        steps.push("rows as they arrive".to_owned());
    }
    steps
}
