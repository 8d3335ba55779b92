//! Columns of sharded tables that a sequence numbers: home's sequence does, for all shards. An INSERT that gives them no value
//! asks for the next number in so many words; what must be known first is asked of home then ([`super::carry`]).

use postgres_protocol::escape::{escape_identifier, escape_literal};

use crate::plan::catalog::{Column, Table};
use crate::plan::context::Context;
use crate::rules::Distribution;
use crate::sql::insert::{CellValue, Overriding, Source, read};
use crate::sql::{Scanner, TableName, identifier, splice};

/// Returns an INSERT of values that asks for the numbers that it lacks; `None` for any other text.
pub(in crate::plan) fn with_home_numbers(text: &str, context: &Context<'_>) -> Option<String> {
    Scanner::new(text).next().filter(|first| first.is_word(text, "insert"))?;
    if !may_name_numbered(text, context) {
        return None;
    }
    let facts = read(text).ok()?;
    let name = facts.table.rule_key();
    let rule = context.rules.table(&name)?;
    let table = context.catalog.table(&name)?;
    let made = |column: &Column| rule.id.as_ref().is_some_and(|id| id.column == column.name);
    let numbered: Vec<&Column> = table.columns.iter().filter(|column| column.is_numbered() && !made(column)).collect();
    let sharded = matches!(rule.distribution, Distribution::Sharded { .. });
    if !sharded || numbered.is_empty() || context.rules.split_of(&name).is_some() {
        return None;
    }
    if let Source::DefaultValues(span) = &facts.source {
        let names = list(numbered.iter().map(|column| column.name.as_str()));
        let calls: Vec<String> = numbered.iter().map(|column| next_number(&facts.table, column)).collect();
        let values = format!("({names}){} VALUES ({})", overriding(&numbered), calls.join(", "));
        return (facts.overriding.is_none()).then(|| splice(text, &[(span.clone(), values)]));
    }
    let Source::Values(rows) = &facts.source else { return None };
    let width = rows.first()?.cells.len();
    let names: Vec<&str> = match &facts.columns {
        Some(list) => list.names.iter().map(String::as_str).collect(),
        None => table.columns.get(..width)?.iter().map(|column| column.name.as_str()).collect(),
    };
    if rows.iter().any(|row| row.cells.len() != width) || names.len() != width {
        return None;
    }
    let mut edits = Vec::new();
    let (mut missing, mut asked) = (Vec::new(), Vec::new());
    for column in numbered {
        let Some(at) = names.iter().position(|name| *name == column.name) else {
            missing.push(column);
            continue;
        };
        for row in rows.iter().filter(|row| row.cells[at].value == CellValue::Default) {
            edits.push((row.cells[at].span.clone(), next_number(&facts.table, column)));
            asked.push(column);
        }
    }
    asked.extend(&missing);
    if asked.is_empty() || facts.overriding == Some(Overriding::User) {
        return None;
    }
    let calls: String = missing.iter().map(|column| format!(", {}", next_number(&facts.table, column))).collect();
    edits.extend(rows.iter().map(|row| (row.span.end - 1..row.span.end - 1, calls.clone())));
    let overriding = if facts.overriding.is_some() { "" } else { overriding(&asked) };
    let more: String = missing.iter().map(|column| format!(", {}", escape_identifier(&column.name))).collect();
    match &facts.columns {
        Some(list) => {
            edits.push((list.names_end..list.names_end, more));
            edits.push((list.span.end..list.span.end, overriding.to_owned()));
        }
        None => {
            let at = facts.columns_at;
            edits.push((at..at, format!(" ({}{more}){overriding}", list(names.into_iter()))));
        }
    }
    edits.sort_by_key(|(span, _)| span.start);
    Some(splice(text, &edits))
}

/// Tells, from its first words alone, whether an INSERT may go into a table with such a column; most do not, and may be long.
fn may_name_numbered(text: &str, context: &Context<'_>) -> bool {
    // INSERT INTO database.schema.table
    const WORDS: usize = 7;
    let mut names = Scanner::new(text).take(WORDS).filter_map(|token| identifier(text, token));
    let tables = &context.catalog.tables;
    let numbered = |(key, table): (&String, &Table), name: &str| {
        key.rsplit('.').next() == Some(name) && table.columns.iter().any(Column::is_numbered)
    };
    names.any(|name| tables.iter().any(|table| numbered(table, &name)))
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(escape_identifier).collect::<Vec<_>>().join(", ")
}

/// An identity column may be one that takes no value unless that is said.
fn overriding(columns: &[&Column]) -> &'static str {
    if columns.iter().any(|column| column.identity) { " OVERRIDING SYSTEM VALUE" } else { "" }
}

/// Returns what draws a column's next number on home.
fn next_number(table: &TableName, column: &Column) -> String {
    match &column.default {
        Some(default) if !column.identity => format!("(SELECT {default})"),
        Some(_) | None => {
            let parts = table.schema.iter().chain([&table.name]);
            let table = parts.map(|part| escape_identifier(part)).collect::<Vec<_>>().join(".");
            format!(
                "(SELECT pg_catalog.nextval(pg_catalog.pg_get_serial_sequence({}, {})))",
                escape_literal(&table),
                escape_literal(&column.name)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::insert::fixture;
    use crate::plan::tests::rules;

    #[test]
    fn numbers_that_are_not_given_are_asked_for() {
        let mut catalog = fixture::catalog();
        let orders = catalog.tables.get_mut("orders").expect("orders");
        let names: Vec<String> = orders.columns.iter().map(|column| column.name.clone()).collect();
        assert_eq!(names[..2], ["order_id", "user_id"]);
        orders.columns[0].default = Some("nextval('n'::regclass)".to_owned());
        let rules = rules();
        let asked = |text: &str| with_home_numbers(text, &Context { rules: &rules, catalog: &catalog });
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(
            asked("INSERT INTO orders (user_id) VALUES (1), ($1) RETURNING order_id"),
            is("INSERT INTO orders (user_id, \"order_id\") VALUES (1, (SELECT nextval('n'::regclass))), \
                ($1, (SELECT nextval('n'::regclass))) RETURNING order_id")
        );
        assert_eq!(
            asked("INSERT INTO orders VALUES (DEFAULT, 1)"),
            is("INSERT INTO orders (\"order_id\", \"user_id\") VALUES ((SELECT nextval('n'::regclass)), 1)")
        );
        assert_eq!(
            asked("INSERT INTO orders DEFAULT VALUES"),
            is("INSERT INTO orders (\"order_id\") VALUES ((SELECT nextval('n'::regclass)))")
        );
        for text in [
            "INSERT INTO orders (order_id, user_id) VALUES (1, 1)",
            "INSERT INTO orders VALUES (1)",
            "INSERT INTO orders (user_id) SELECT 1",
            "INSERT INTO orders (user_id) VALUES (1, 2)",
            "INSERT INTO regions (note) VALUES ('x')",
            "SELECT 1",
        ] {
            assert_eq!(asked(text), None, "{text}");
        }
        let orders = catalog.tables.get_mut("orders").expect("orders");
        (orders.columns[0].default, orders.columns[0].identity) = (None, true);
        let asked = |text: &str| with_home_numbers(text, &Context { rules: &rules, catalog: &catalog });
        let call = "(SELECT pg_catalog.nextval(pg_catalog.pg_get_serial_sequence('\"orders\"', 'order_id')))";
        assert_eq!(
            asked("INSERT INTO orders (user_id) VALUES (1)"),
            is(&format!("INSERT INTO orders (user_id, \"order_id\") OVERRIDING SYSTEM VALUE VALUES (1, {call})"))
        );
        assert_eq!(
            asked("INSERT INTO orders (order_id, user_id) OVERRIDING SYSTEM VALUE VALUES (DEFAULT, 1), (5, 2)"),
            is(&format!("INSERT INTO orders (order_id, user_id) OVERRIDING SYSTEM VALUE VALUES ({call}, 1), (5, 2)"))
        );
        assert_eq!(asked("INSERT INTO orders (user_id) OVERRIDING USER VALUE VALUES (1)"), None);
    }
}
