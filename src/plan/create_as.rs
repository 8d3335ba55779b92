//! CREATE TABLE … AS and SELECT … INTO over tables of which home has not all rows: what is read first stands in the
//! statement as constants, from which home makes the table.

use std::ops::Range;

use super::apart::is_sorted_by_default;
use super::carry::{Brought, Carry, CarryForm};
use super::colocate::locate;
use super::context::Context;
use super::hidden;
use super::parsing::single;
use super::plan_types::Plan;
use super::prepare::{Body, Prepared};
use super::split::Splits;
use crate::sql::{self, Ddl, DdlObject, DdlVerb, Scanner, StatementKind, Token, Utility, query_names};
use crate::types::Refusal;

/// The reason of the refusal that is mended here.
pub(super) const REASON: &str = "create_as";

/// Reads such a statement, which `refusal` would refuse; `None` where it cannot be mended.
pub(super) fn read(text: &str, utility: &Utility, context: &Context<'_>, refusal: &Refusal) -> Option<Prepared> {
    let Utility::Ddl(Ddl { verb: DdlVerb::Create, object: DdlObject::Table, tables, query, .. }) = utility else {
        return None;
    };
    let table = tables.first().filter(|_| refusal.reason == REASON)?;
    if context.rules.table(&table.rule_key()).is_some() || context.rules.table(&table.name).is_some() {
        return None;
    }
    let within = as_create(text);
    let made = within.as_deref().unwrap_or(text);
    let start = if within.is_some() { made.len() - behind_into(text)? } else { (*query)? };
    let span = start..query_end(made);
    let source = &made[span.clone()];
    let facts = sql::read(source).ok()?;
    let plain = facts.kind == StatementKind::Select && !facts.locks && !facts.nested_write;
    if !plain || !is_sorted_by_default(source, &facts, &query_names(source)?, context) {
        return None;
    }
    let located = locate(&facts, hidden::called(source, context).ok()?, context).ok()?;
    let splits = Splits::of(source, &facts, &located, context).ok()?;
    let carry = Carry {
        source: source.to_owned(),
        columns: Vec::new(),
        form: CarryForm::Query { brought: in_place(span), refusal: refusal.clone() },
        checked_on: single(&facts, context.rules).ok()?.or(Some(located.spare(context.rules))),
        checked: None,
        table: table.to_string(),
        within,
    };
    let body = Body::Fixed(Box::new(Plan::Carry(Box::new(carry))));
    Some(Prepared { text: text.to_owned(), body, splits: splits.map(Box::new) })
}

/// Returns the statement with SELECT in its query where that says TABLE; `None` if it does not.
pub(super) fn without_table_commands(text: &str, utility: &Utility) -> Option<String> {
    let Utility::Ddl(Ddl { query: Some(query), .. }) = utility else { return None };
    let (head, query) = text.split_at_checked(*query)?;
    Some(format!("{head}{}", sql::without_table_commands(query)?))
}

fn in_place(span: Range<usize>) -> Brought {
    Brought { span, key: None, alias: None, table: None, listed: false, alone: true }
}

/// Returns where the query ends: before `WITH [NO] DATA` and semicolons.
pub(super) fn query_end(text: &str) -> usize {
    let mut tokens: Vec<Token> = Scanner::new(text).collect();
    while tokens.last().is_some_and(|token| token.is_mark(text, ";")) {
        tokens.pop();
    }
    let is = |back: usize, word: &str| tokens.iter().rev().nth(back).is_some_and(|token| token.is_word(text, word));
    let words = match (is(0, "data"), is(1, "no"), is(1, "with"), is(2, "with")) {
        (true, _, true, _) => 2,
        (true, true, _, true) => 3,
        _ => 0,
    };
    tokens.iter().rev().nth(words).map_or(text.len(), |token| token.end)
}

/// Returns `SELECT … INTO table …` as a CREATE TABLE … AS; `None` for other statements.
fn as_create(text: &str) -> Option<String> {
    let (kind, name, into) = into(text)?;
    Some(format!("CREATE {kind} TABLE {name} AS {}{}", &text[..into.start], &text[into.end..]))
}

/// Returns how long the query is that is left of `SELECT … INTO`.
fn behind_into(text: &str) -> Option<usize> {
    into(text).map(|(_, _, into)| text.len() - into.len())
}

/// Finds INTO outside of parentheses: what kind of table it makes, its name, and its bytes.
fn into(text: &str) -> Option<(String, &str, Range<usize>)> {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let first = tokens.first()?;
    if !first.is_word(text, "select") && !first.is_word(text, "with") {
        return None;
    }
    let mut depth = 0usize;
    let at = tokens.iter().position(|token| {
        if token.is_mark(text, "(") {
            depth += 1;
        } else if token.is_mark(text, ")") {
            depth = depth.saturating_sub(1);
        }
        depth == 0 && token.is_word(text, "into")
    })?;
    let is = |at: usize, words: &[&str]| {
        tokens.get(at).is_some_and(|token| words.iter().any(|word| token.is_word(text, word)))
    };
    let mut name = at + 1;
    while is(name, &["local", "global", "temp", "temporary", "unlogged"]) {
        name += 1;
    }
    let kind = if name > at + 1 { text[tokens[at + 1].start..tokens[name - 1].end].to_owned() } else { String::new() };
    name += usize::from(is(name, &["table"]));
    let dotted = tokens.get(name + 1).is_some_and(|token| token.is_mark(text, "."));
    let last = tokens.get(if dotted { name + 2 } else { name })?;
    Some((kind, &text[tokens[name].start..last.end], tokens[at].start..last.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_ends_before_what_follows_it() {
        let query = |text: &'static str| &text[..query_end(text)];
        assert_eq!(query("create table t as select 1 with no data ;"), "create table t as select 1");
        assert_eq!(query("create table t as (select 1)with data"), "create table t as (select 1)");
        assert_eq!(query("create table t as select no as data -- x"), "create table t as select no as data");
    }

    #[test]
    fn select_into_is_a_create_table() {
        let made = |text| as_create(text).map(|made| made.split_whitespace().collect::<Vec<_>>().join(" "));
        assert_eq!(
            made("select a, (select 1) into temp t from u where b").as_deref(),
            Some("CREATE temp TABLE t AS select a, (select 1) from u where b")
        );
        assert_eq!(
            made("with x as (select 1) select * into table s.\"T\" from x").as_deref(),
            Some("CREATE TABLE s.\"T\" AS with x as (select 1) select * from x")
        );
        assert_eq!(made("create table t as select 1"), None);
        assert_eq!(made("insert into t select 1"), None);
    }
}
