//! Changes in the client's text: what is not meant to change is there afterwards, token by token.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

use shardloom::plan::catalog::{Catalog, Column, Table, TableKind};
use shardloom::plan::{Context, IdValue, IdsWanted, Parameters, Plan, Statement, Values, prepare};
use shardloom::rules::{RuleFile, RuleSet};
use shardloom::sql::insert::{CellValue, InsertFacts, Row, Source};
use shardloom::sql::next_id::{IdArguments, calls, edits};
use shardloom::sql::{self, Scanner, Token, TokenKind};
use shardloom::types::Refusal;

/// The first byte says how tokens are replaced, the rest is a statement.
pub fn holds(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    replaced(text, *choice);
    with_ids(text);
    planned(text, choice & 1 == 1);
}

fn said(text: &str) -> Vec<(TokenKind, &str)> {
    Scanner::new(text).map(|token| (token.kind, token.text(text))).collect()
}

/// Some constants become parameters: every other token stays what it was.
fn replaced(text: &str, choice: u8) {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let chosen = |(at, token): &(usize, &Token)| {
        (token.is_string() || token.kind == TokenKind::Number) && (at % 8) as u32 == u32::from(choice) % 8
    };
    let places: Vec<usize> = tokens.iter().enumerate().filter(chosen).map(|(at, _)| at).collect();
    let edits: Vec<(Range<usize>, String)> =
        places.iter().rev().map(|at| (tokens[*at].span(), " $1 ".to_owned())).collect();
    let spliced = sql::splice(text, &edits);
    let mut expected = said(text);
    for at in &places {
        expected[*at] = (TokenKind::Parameter, "$1");
    }
    assert_eq!(said(&spliced), expected, "{text:?}");
}

/// Calls of `shardloom.next_id` get their ids and nothing else.
fn with_ids(text: &str) {
    let Ok(calls) = calls(text) else { return };
    let ids: Vec<i64> = (7..).take(calls.len()).collect();
    for form in [IdArguments::Literals, IdArguments::ParametersAfter(3)] {
        let spliced = sql::splice(text, &edits(&calls, &ids, form));
        let mut expected = Vec::new();
        let mut given = 0;
        for token in Scanner::new(text) {
            expected.push(token.text(text).to_owned());
            if calls.get(given).is_some_and(|call| call.argument_end == token.end) {
                expected.push(",".to_owned());
                expected.push(match form {
                    IdArguments::Literals => ids[given].to_string(),
                    IdArguments::ParametersAfter(count) => format!("${}", count + given + 1),
                });
                given += 1;
            }
        }
        let found: Vec<&str> = said(&spliced).into_iter().map(|(_, token)| token).collect();
        assert_eq!((given, found), (calls.len(), expected.iter().map(String::as_str).collect()), "{text:?}");
    }
}

const RULES: &str = r#"
kind: Topology
database: d
buckets: 16
shards:
  s0: {primary: "127.0.0.1:1", database: d}
  s1: {primary: "127.0.0.1:2", database: d}
placement: {s0: ["0-7"], s1: ["8-15"]}
home: s0
---
kind: TableGroup
name: orders
key: {type: bigint}
algorithm: hash
tables:
  orders: {key: user_id, id: {column: order_id, tag: order}}
  carts: {key: user_id}
missing_key: {read: scatter, write: scatter}
---
kind: ReferenceTables
tables: [regions]
---
kind: Ids
tags: {order: 1}
layouts:
  standard: {epoch: "2026-01-01T00:00:00Z", bits: {time: 41, tag: 6, worker: 7, sequence: 9}}
"#;

fn rules() -> &'static RuleSet {
    static RULE_SET: OnceLock<RuleSet> = OnceLock::new();
    RULE_SET.get_or_init(|| {
        let file = RuleFile { path: "rules.yaml".into(), text: RULES.into() };
        RuleSet::parse(&[file]).unwrap_or_else(|errors| panic!("{errors:?}"))
    })
}

fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| Catalog {
        database_collation_is_c: false,
        tables: HashMap::from([
            ("orders".to_owned(), table(&["order_id", "user_id", "note"])),
            ("carts".to_owned(), table(&["user_id", "item"])),
            ("regions".to_owned(), table(&["id", "name"])),
        ]),
        ..Catalog::default()
    })
}

fn table(names: &[&str]) -> Table {
    let column = |name: &&str| Column {
        name: (*name).to_owned(),
        type_oid: 20,
        type_name: "bigint".to_owned(),
        nullable: true,
        default: None,
        generated: false,
        identity: false,
        identity_always: false,
        collation_is_default: true,
        equal_by_bytes: true,
    };
    Table {
        columns: names.iter().map(column).collect(),
        unique: Vec::new(),
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

/// Plans the text, and holds every rewritten form of it against what it was.
fn planned(text: &str, is_extended: bool) {
    let context = Context { rules: rules(), catalog: catalog() };
    let Ok(prepared) = prepare(text, &context) else { return };
    let values: [Option<&[u8]>; 4] = [Some(b"1"), Some(b"2"), Some(b"3"), None];
    let parameters =
        Parameters { is_extended, values: if is_extended { &values } else { &[] }, ..Parameters::default() };
    let literals = sql::literals(text);
    let mut ids = |wanted: IdsWanted| -> Result<Vec<IdValue>, Refusal> {
        Ok((1_000..).take(wanted.count).map(IdValue::Bigint).collect())
    };
    let Ok(plan) = prepared.plan(&context, &Values { text, literals: &literals, parameters }, &mut ids) else { return };
    let inserted = sql::insert::read(text).ok();
    match &plan {
        Plan::Direct(direct) => one(text, inserted.as_ref(), &direct.statement),
        Plan::Scatter(scatter) => one(text, inserted.as_ref(), &scatter.statement),
        Plan::Gather(gather) => copied(text, &gather.statement),
        Plan::Carry(_) | Plan::Copy(_) | Plan::CopyOut(_) | Plan::Everywhere { .. } => {}
        Plan::MultiWrite(write) => {
            let rows: usize = write.parts.iter().map(|part| one_part(text, inserted.as_ref(), &part.statement)).sum();
            if let Some(Source::Values(all)) = inserted.as_ref().map(|facts| &facts.source) {
                assert!(
                    rows == all.len() || rows == all.len() * write.parts.len(),
                    "{text:?}: every row goes somewhere"
                );
            }
        }
    }
}

/// Only the schema of tables differs, where the text names it.
fn copied(text: &str, statement: &Statement) {
    let Statement::Rewritten { sql, .. } = statement else { return };
    let names = |text: &str| {
        let facts = sql::read(text).unwrap_or_else(|error| panic!("{text:?}: {error:?}"));
        let tables = facts.relations.into_iter().filter_map(|relation| relation.table);
        tables.map(|table| table.name).collect::<Vec<_>>()
    };
    assert_eq!(names(sql), names(text), "{text:?} became {sql:?}");
}

fn one(text: &str, inserted: Option<&InsertFacts>, statement: &Statement) {
    one_part(text, inserted, statement);
}

/// Checks one shard's text; returns how many rows of VALUES it has.
fn one_part(text: &str, inserted: Option<&InsertFacts>, statement: &Statement) -> usize {
    let sql = match statement {
        Statement::Original => text,
        Statement::Rewritten { sql, .. } => sql,
    };
    let Some(before) = inserted else {
        if let (Ok(before), Statement::Rewritten { .. }) = (sql::read(text), statement) {
            let after = sql::read(sql).unwrap_or_else(|error| panic!("{text:?} became {sql:?}: {error:?}"));
            assert_eq!(after.kind, before.kind);
            assert_eq!(tables(&after), tables(&before), "{text:?} became {sql:?}");
        }
        return 0;
    };
    let after = sql::insert::read(sql).unwrap_or_else(|error| panic!("{text:?} became {sql:?}: {error:?}"));
    assert_eq!((&after.table, &after.conflict), (&before.table, &before.conflict), "{text:?} became {sql:?}");
    assert_eq!(after.returning.is_some(), before.returning.is_some());
    let (Source::Values(old), Source::Values(new)) = (&before.source, &after.source) else { return 0 };
    let mut rest = old.iter();
    for row in new {
        assert!(rest.any(|other| is_same_row(text, other, sql, row)), "{text:?} became {sql:?}");
    }
    new.len()
}

fn tables(facts: &sql::Facts) -> Vec<Option<&sql::TableName>> {
    facts.relations.iter().map(|relation| relation.table.as_ref()).collect()
}

/// Cells stay as they were, but for numbers of parameters and ids.
fn is_same_row(text: &str, old: &Row, sql: &str, new: &Row) -> bool {
    let added = new.cells.len() - old.cells.len().min(new.cells.len());
    let cells = new.cells.len() == old.cells.len() + added && added <= 1;
    let constants = |text: &str, row: &Row| -> Vec<String> {
        let kept = row.cells.iter().filter(|cell| !matches!(cell.value, CellValue::NextId(_)));
        let spans = kept.map(|cell| &text[cell.span.clone()]);
        let strings = |span| Scanner::new(span).filter(Token::is_string).map(move |token| token.text(span).to_owned());
        spans.flat_map(strings).collect()
    };
    cells && constants(text, old) == constants(sql, new)
}
