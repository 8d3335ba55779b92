//! UPDATE of the sharding key: the rows are deleted where they are and inserted where they belong.
//!
//! It is left to tables on which nothing but the row itself could tell the difference.

use super::carry::{Carried, Carry, CarryForm};
use super::catalog::{Table, TableKind};
use super::context::Context;
use super::insert::quoted;
use super::plan_types::Plan;
use crate::rules::{GroupId, OnKeyUpdate};
use crate::sql::{Scanner, TableName, Token, UpdateClauses, update_clauses};
use crate::types::{KeyType, Refusal};

/// Plans the move; `refusal` is why the UPDATE cannot stay one.
pub(super) fn moving(
    text: &str,
    (target, group, key): (&TableName, GroupId, &str),
    context: &Context<'_>,
    refusal: Refusal,
) -> Result<Plan, Refusal> {
    match context.rules.group(group).key_update {
        OnKeyUpdate::Move => {}
        OnKeyUpdate::Reject => return Err(refusal.with_hint(format!(
            "Delete the rows and insert them with the new \"{key}\" in one transaction, or set key_update: move of group \
             \"{}\".",
            context.rules.group(group).name
        ))),
    }
    let name = target.rule_key();
    let Some(table) = context.catalog.table(&name) else { return Err(super::insert::unnamed_columns(&name)) };
    let refused = |why: String| {
        Err(Refusal::unsupported(
            format!("rows of table \"{target}\" cannot be moved to another shard: {why}"),
            format!("Delete the rows and insert them with the new \"{key}\" in one transaction."),
        )
        .with_reason("sharding_key_update"))
    };
    if let Some(why) = noticed(&name, table, context) {
        return refused(why);
    }
    let Some(clauses) = update_clauses(text) else {
        return refused("this form of UPDATE is not taken apart".to_owned());
    };
    if clauses.from.is_some() && clauses.returning.is_some() {
        return refused("RETURNING could name the tables of FROM".to_owned());
    }
    if clauses.returning.as_ref().is_some_and(|span| names_versions(&text[span.clone()])) {
        return refused("RETURNING names the row before or after it".to_owned());
    }
    let key_type = context.rules.group(group).key_type;
    let shards = context.rules.shards_of_group(group);
    let checked_on = shards.iter().next();
    let (source, columns, form) = texts(text, &clauses, table, (key, key_type));
    Ok(Plan::Carry(Box::new(Carry {
        source,
        columns,
        form,
        checked_on,
        checked: None,
        within: None,
        table: name.into_owned(),
        together: true,
        numbers: Vec::new(),
    })))
}

/// Returns who would see that a row was deleted and inserted rather than updated.
fn noticed(name: &str, table: &Table, context: &Context<'_>) -> Option<String> {
    if table.kind != TableKind::Table || !table.reads.is_empty() || !table.parents.is_empty() {
        return Some("it is partitioned, inherited or no plain table".to_owned());
    }
    if table.user_triggers {
        return Some("it has triggers, rules or row level security".to_owned());
    }
    let refers = |other: &Table| other.foreign_keys.iter().any(|foreign| foreign.table == name);
    let referring = context.catalog.tables.iter().find(|(_, other)| refers(other));
    referring.map(|(other, _)| format!("table \"{other}\" has a foreign key to it"))
}

/// Tells whether `old`, `new` or other names for them may stand in RETURNING, as from PostgreSQL 18 on: the INSERT has no
/// row before it.
fn names_versions(returning: &str) -> bool {
    let tokens: Vec<Token> = Scanner::new(returning).collect();
    let version = |token: &Token| token.is_word(returning, "old") || token.is_word(returning, "new");
    tokens.windows(2).any(|pair| {
        version(&pair[0]) && pair[1].is_mark(returning, ".")
            || pair[0].is_word(returning, "with") && pair[1].is_mark(returning, "(")
    })
}

/// Returns what deletes the rows, what it returns, and what inserts them.
fn texts(
    text: &str,
    clauses: &UpdateClauses,
    table: &Table,
    (key, key_type): (&str, KeyType),
) -> (String, Vec<Carried>, CarryForm) {
    let cut = |span: &std::ops::Range<usize>| &text[span.clone()];
    let (name, alias) = (cut(&clauses.name), cut(&clauses.alias));
    let type_of = |name: &str| table.column(name).map_or(0, |column| column.type_oid);
    let mut items = vec![format!("{alias}.{}", quoted(key))];
    let mut columns = vec![Carried { type_oid: type_of(key), ..Carried::default() }];
    let (mut list, mut given, mut place) = (Vec::new(), Vec::new(), 0);
    for column in table.columns.iter().filter(|column| !column.generated) {
        let is_key = column.name == key;
        if is_key {
            place = list.len();
        }
        list.push(quoted(&column.name));
        let set = clauses.sets.iter().find(|(set, _)| *set == column.name);
        given.push(!matches!(set, Some((_, None))));
        match set {
            Some((_, None)) => continue,
            // As the key's type, so that it is told from the old one.
            Some((_, Some(span))) if is_key => items.push(format!("({})::{}", cut(span), key_type.name())),
            Some((_, Some(span))) => items.push(format!("({})", cut(span))),
            None => items.push(format!("{alias}.{}", quoted(&column.name))),
        }
        columns.push(Carried { type_oid: column.type_oid, key: is_key, ..Carried::default() });
    }
    items.push(format!("{alias}.*"));
    let named = if alias == name { name.to_owned() } else { format!("{name} AS {alias}") };
    let using = clauses.from.as_ref().map(|span| format!(" USING {}", cut(span))).unwrap_or_default();
    let condition = clauses.condition.as_ref().map(|span| format!(" WHERE {}", cut(span))).unwrap_or_default();
    // On lines of their own: the client's text may end in a comment.
    let source = format!("DELETE FROM {named}{using}{condition}\nRETURNING {}", items.join(", "));
    let overriding = if table.columns.iter().any(|column| column.identity) { " OVERRIDING SYSTEM VALUE" } else { "" };
    let head = format!("INSERT INTO {named} ({}){overriding}", list.join(", "));
    let tail = clauses.returning.as_ref().map(|span| cut(span).to_owned()).unwrap_or_default();
    let all = table.columns.iter().map(|column| column.name.clone()).collect();
    (source, columns, CarryForm::Move { head, tail, given, key: place, all })
}
