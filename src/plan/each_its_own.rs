//! DROP TABLE and TRUNCATE of tables that do not live on the same shards: each shard is told those that it has.

use super::colocate::{Place, place};
use super::context::Context;
use super::hidden;
use super::insert::quoted;
use super::plan_types::{MultiWrite, Part, Plan, ReturningOrder, Statement, WriteEffect};
use crate::rules::RuleSet;
use crate::sql::{Scanner, TableName, Token};
use crate::types::{Refusal, ShardSet};

/// Words behind the tables.
const BEHIND: [&str; 5] = ["cascade", "restrict", "restart", "continue", "identity"];

/// Plans a statement that begins with `head` (`DROP TABLE`, `TRUNCATE`) and names these tables; `None` where one text does for
/// all shards, or where each table has a way of its own. `effect` is what it does.
///
/// # Errors
/// Refuses tables of which each shard has a part that nobody can tell.
pub(super) fn plan(
    text: &str,
    head: &str,
    tables: &[TableName],
    effect: impl FnOnce() -> WriteEffect,
    context: &Context<'_>,
) -> Result<Option<Plan>, Refusal> {
    let rules = context.rules;
    let mut shards_of = Vec::with_capacity(tables.len());
    for table in tables {
        if rules.table(&table.rule_key()).is_none() {
            hidden::part(table, context)?;
        }
        shards_of.push(match place(rules, table)? {
            Place::Sharded { .. } | Place::Reference => ShardSet::first(rules.shards.len()),
            Place::On(shard) => [shard].into_iter().collect(),
        });
    }
    let own = tables.iter().any(|table| rules.split_of(&table.rule_key()).is_some());
    let Some(options) = options(text, tables).filter(|_| !own && shards_of.windows(2).any(|pair| pair[0] != pair[1]))
    else {
        return Ok(None);
    };
    let part = |shard| {
        let here = tables.iter().zip(&shards_of).filter(|(_, shards)| shards.contains(shard));
        let names: Vec<String> = here.map(|(table, _)| written(table)).collect();
        let sql = format!("{head} {}{options}", names.join(", "));
        (!names.is_empty()).then(|| Part::new(shard, Statement::Rewritten { sql, parameters: Vec::new() }))
    };
    let parts = ShardSet::first(rules.shards.len()).iter().filter_map(part).collect();
    Ok(Some(Plan::MultiWrite(MultiWrite {
        parts,
        effect: unruled(effect(), rules),
        returning: ReturningOrder::None,
        reads_reference: false,
        defers_when_down: false,
        in_turn: false,
    })))
}

/// Rules that reject writes over several shards do not mean a change of the tables themselves.
fn unruled(mut effect: WriteEffect, rules: &RuleSet) -> WriteEffect {
    effect.tables.retain(|table| rules.table(table).is_none());
    effect
}

/// Returns what stands behind the tables; `None` where the tables are not named plainly.
fn options(text: &str, tables: &[TableName]) -> Option<String> {
    let tokens: Vec<Token> = Scanner::new(text).filter(|token| !token.is_mark(text, ";")).collect();
    let plain = |token: &Token| !token.is_word(text, "only") && !token.is_mark(text, "*") && !token.is_mark(text, "(");
    let is_option = |token: &&Token| BEHIND.iter().any(|word| token.is_word(text, word));
    let behind = tokens.iter().rev().take_while(is_option).count();
    let named_alike = tables.iter().any(|table| BEHIND.contains(&table.name.as_str()));
    if named_alike || !tokens.iter().all(plain) {
        return None;
    }
    Some(tokens[tokens.len() - behind..].iter().map(|token| format!(" {}", token.text(text))).collect())
}

fn written(table: &TableName) -> String {
    table.schema.iter().chain([&table.name]).map(|part| quoted(part)).collect::<Vec<_>>().join(".")
}
