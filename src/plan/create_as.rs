//! CREATE TABLE … AS and SELECT … INTO over tables of which home has not all rows: what is read first stands in the
//! statement as constants, from which home makes the table.

use std::ops::Range;

use super::apart::is_sorted_by_default;
use super::carry::{Brought, Carry, CarryForm};
use super::colocate::locate;
use super::context::Context;
use super::parsing::single;
use super::plan_types::Plan;
use super::prepare::{Body, Prepared};
use super::split::Splits;
use super::{functions, hidden};
use crate::sql::{
    self, Ddl, DdlObject, DdlVerb, Facts, Scanner, StatementKind, Token, TokenKind, Utility, identifier, query_names,
};
use crate::types::{Refusal, USER_TYPES};

/// The reason of the refusal that is mended here.
pub(super) const REASON: &str = "create_as";

/// Types that casts name, and that are no domains.
const TYPES: [&str; 36] = [
    "bigint",
    "bool",
    "boolean",
    "bpchar",
    "bytea",
    "char",
    "character",
    "cidr",
    "date",
    "dec",
    "decimal",
    "double",
    "float",
    "float4",
    "float8",
    "inet",
    "int",
    "int2",
    "int4",
    "int8",
    "integer",
    "interval",
    "json",
    "jsonb",
    "money",
    "numeric",
    "real",
    "smallint",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "uuid",
    "varchar",
    "xml",
];

/// Reads such a statement, which `refusal` would refuse; `None` where it cannot be mended.
pub(super) fn read(text: &str, utility: &Utility, context: &Context<'_>, refusal: &Refusal) -> Option<Prepared> {
    let Utility::Ddl(Ddl { verb: DdlVerb::Create, object: DdlObject::Table, tables, query, .. }) = utility else {
        return None;
    };
    let table = tables.first().filter(|_| refusal.reason == REASON)?;
    if context.rules.table(&table.rule_key()).is_some() || context.rules.table(&table.name).is_some() {
        return None;
    }
    let creates = Scanner::new(text).next().is_some_and(|token| token.is_word(text, "create"));
    let (within, start) = match creates {
        true => (None, (*query)?),
        false => as_create(text).map(|(made, start)| (Some(made), start))?,
    };
    let made = within.as_deref().unwrap_or(text);
    let span = start..query_end(made);
    let source = &made[span.clone()];
    let facts = sql::read(source).ok()?;
    let plain = facts.kind == StatementKind::Select && !facts.locks && !facts.nested_write;
    if !plain
        || !has_plain_types(source, &facts, context)
        || !is_sorted_by_default(source, &facts, &query_names(source)?, context)
    {
        return None;
    }
    let located = locate(&facts, hidden::called(source, context).ok()?, context).ok()?;
    let splits = Splits::of(source, &facts, &located, context).ok()?;
    let without_rows = made[span.end..].to_ascii_lowercase().split_whitespace().any(|word| word == "no");
    let carry = Carry {
        source: if without_rows {
            format!("SELECT * FROM ({source}\n) AS made WHERE false")
        } else {
            source.to_owned()
        },
        columns: Vec::new(),
        form: CarryForm::Query { brought: in_place(span), refusal: refusal.clone() },
        checked_on: single(&facts, context.rules).ok()?.or(Some(located.spare(context.rules))),
        checked: None,
        table: table.to_string(),
        within,
        together: false,
        numbers: Vec::new(),
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

/// Tells whether the rows say which types the columns of the table are to have: nobody sees that a value is of a domain.
fn has_plain_types(query: &str, facts: &Facts, context: &Context<'_>) -> bool {
    let tokens: Vec<Token> = Scanner::new(query).collect();
    let named = |at: usize| tokens.get(at).and_then(|token| identifier(query, *token)).unwrap_or_default();
    let casts = |at: usize| tokens[at].is_word(query, "cast") || tokens[at].kind == TokenKind::Cast;
    let own_type = |at: usize| casts(at) && !TYPES.contains(&named(at + 1).as_str());
    let tables = facts.relations.iter().filter_map(|relation| relation.table.as_ref());
    let mut columns =
        tables.filter_map(|table| context.catalog.table(&table.rule_key())).flat_map(|table| &table.columns);
    !(0..tokens.len()).any(own_type)
        && facts.functions.iter().all(|name| functions::is_known(name) || functions::is_of_rows(name))
        && columns.all(|column| column.type_oid < USER_TYPES)
}

fn in_place(span: Range<usize>) -> Brought {
    Brought { span, key: None, alias: None, table: None, listed: false, alone: true, written: false }
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

/// Returns `SELECT … INTO table …` as a CREATE TABLE … AS, and where its query starts; `None` for other statements.
fn as_create(text: &str) -> Option<(String, usize)> {
    let (kind, name, into) = into(text)?;
    let head = format!("CREATE {kind} TABLE {name} AS ");
    let made = format!("{head}{}{}", &text[..into.start], &text[into.end..]);
    Some((made, head.len()))
}

/// Finds INTO outside of parentheses: what kind of table it makes, its name, and its bytes.
fn into(text: &str) -> Option<(String, &str, Range<usize>)> {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let first = tokens.first()?;
    if !first.is_word(text, "select") && !first.is_word(text, "with") {
        return None;
    }
    let (mut depth, mut before): (usize, Option<Token>) = (0, None);
    let at = tokens.iter().position(|token| {
        if token.is_mark(text, "(") {
            depth += 1;
        } else if token.is_mark(text, ")") {
            depth = depth.saturating_sub(1);
        }
        let named = before.replace(*token).is_some_and(|token| token.is_word(text, "as") || token.is_mark(text, "."));
        depth == 0 && token.is_word(text, "into") && !named
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
    if is(name, &["from"]) {
        return None;
    }
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
        let made = |text| as_create(text).map(|(made, _)| made.split_whitespace().collect::<Vec<_>>().join(" "));
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
