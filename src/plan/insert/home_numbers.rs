//! Columns of sharded tables that a sequence numbers: home's sequence does, for all shards. An INSERT of values that gives
//! them none asks for the next number in so many words; what must be known first is asked of home then ([`super::carry`]).
//! The rows of a query or of a COPY get theirs when they are there.

use postgres_protocol::escape::{escape_identifier, escape_literal};

use crate::plan::catalog::{Catalog, Column, Table};
use crate::plan::context::Context;
use crate::rules::{Distribution, RuleSet, TableRule};
use crate::sql::insert::{CellValue, InsertFacts, Overriding, Source, SourceQuery, read};
use crate::sql::{self, Scanner, Shape, TableName, Token, identifier, splice};

pub(super) const INT8: u32 = 20;
const INT2: u32 = 21;
pub(super) const INT4: u32 = 23;
const TEXT: u32 = 25;
const VARCHAR: u32 = 1043;

/// Types to which a default's value may be cast as an assignment does: without a length, which the row's own shard looks at.
pub(super) const TYPES: [(u32, &str); 10] = [
    (INT8, "int8"),
    (INT2, "int2"),
    (INT4, "int4"),
    (TEXT, "text"),
    (701, "float8"),
    (VARCHAR, "varchar"),
    (1083, "time"),
    (1266, "timetz"),
    (1700, "numeric"),
    (2950, "uuid"),
];

/// A column that home's sequence numbers in every row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeNumber {
    /// The column.
    pub column: String,
    /// Its type's oid.
    pub type_oid: u32,
    /// The expression that draws the next number on home.
    pub draw: String,
    /// Whether it takes a value only where OVERRIDING says so.
    pub overrides: bool,
}

impl HomeNumber {
    /// Makes that of a column; `None` where it is not known how PostgreSQL makes the column's type of its default's.
    fn new(table: &TableName, column: &Column) -> Option<Self> {
        let (_, type_name) = TYPES.iter().find(|(oid, _)| *oid == column.type_oid)?;
        if !column.default.as_deref().is_none_or(depends_on_nothing_else) {
            return None;
        }
        let draw = format!("({})::pg_catalog.{type_name}", draw(table, column));
        let overrides = column.identity_always;
        Some(Self { column: column.name.clone(), type_oid: column.type_oid, draw, overrides })
    }

    /// Makes that of a column of a query that is a call of `nextval`.
    pub(super) fn of_call(call: &str) -> Self {
        Self { column: "nextval".to_owned(), type_oid: INT8, draw: call.to_owned(), overrides: false }
    }

    /// Tells whether a number can be written in binary format.
    pub fn has_binary(&self) -> bool {
        self.to_binary("0").is_some()
    }

    /// Returns a value in its type's binary format; `None` where it is neither integer nor text.
    pub fn to_binary(&self, number: &str) -> Option<Vec<u8>> {
        match self.type_oid {
            INT2 => Some(number.parse::<i16>().ok()?.to_be_bytes().to_vec()),
            INT4 => Some(number.parse::<i32>().ok()?.to_be_bytes().to_vec()),
            INT8 => Some(number.parse::<i64>().ok()?.to_be_bytes().to_vec()),
            TEXT | VARCHAR => Some(number.as_bytes().to_vec()),
            _ => None,
        }
    }
}

/// Tells whether a default is the same for any session but for its numbers: they are drawn on a connection of their own.
fn depends_on_nothing_else(default: &str) -> bool {
    const CALLS: [&str; 10] =
        ["nextval", "lpad", "rpad", "to_char", "concat", "format", "abs", "upper", "lower", "nullif"];
    const WORDS: [&str; 12] = [
        "current_user",
        "session_user",
        "user",
        "current_role",
        "current_catalog",
        "current_schema",
        "system_user",
        "current_date",
        "current_time",
        "current_timestamp",
        "localtime",
        "localtimestamp",
    ];
    let tokens: Vec<Token> = Scanner::new(default).collect();
    let is_one_of = |token: &Token, words: &[&str]| words.iter().any(|word| token.is_word(default, word));
    let is_call = |pair: &[Token]| pair[1].is_mark(default, "(") && identifier(default, pair[0]).is_some();
    tokens.windows(2).all(|pair| !is_call(pair) || is_one_of(&pair[0], &CALLS))
        && !tokens.iter().any(|token| is_one_of(token, &WORDS))
}

/// Returns the columns of a table that home's sequences number where rows do not give them: none where the rules make an id,
/// or where the table is not sharded, or split.
pub(in crate::plan) fn numbered_columns<'a>(
    name: &str,
    rule: Option<&'a TableRule>,
    rules: &RuleSet,
    catalog: &'a Catalog,
) -> impl Iterator<Item = &'a Column> {
    let sharded = rule.filter(|rule| matches!(rule.distribution, Distribution::Sharded { .. }));
    let rule = sharded.filter(|_| rules.split_of(name).is_none());
    let columns = rule.and(catalog.table(name)).map(|table| table.columns.as_slice()).unwrap_or_default();
    let made = rule.and_then(|rule| rule.id.as_ref()).map(|id| &id.column);
    columns.iter().filter(move |column| column.is_numbered() && Some(&column.name) != made)
}

/// Returns those that an INSERT's query, or the columns of a COPY, leave out.
pub(in crate::plan) fn left_out<'a>(
    table: &TableName,
    given: &[String],
    columns: impl Iterator<Item = &'a Column>,
) -> Vec<HomeNumber> {
    columns.filter(|column| !given.contains(&column.name)).filter_map(|column| HomeNumber::new(table, column)).collect()
}

/// The numbers of the rows of a query, and the columns that the query itself fills.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct QueryNumbers {
    pub numbers: Vec<HomeNumber>,
    pub given: Vec<String>,
}

impl QueryNumbers {
    /// Reads what an INSERT leaves to home's sequences; nothing where it is not known which columns it fills.
    pub fn read(text: &str, facts: &InsertFacts, rule: Option<&TableRule>, context: &Context<'_>) -> Self {
        let Source::Query(query) = &facts.source else { return Self::default() };
        let name = facts.table.rule_key();
        let mut columns = numbered_columns(&name, rule, context.rules, context.catalog).peekable();
        if columns.peek().is_none() || facts.overriding == Some(Overriding::User) {
            return Self::default();
        }
        let Some(given) = filled(text, facts, query, context.catalog) else { return Self::default() };
        let takes_none = |column: &Column| column.identity_always && given.contains(&column.name);
        let table = context.catalog.table(&name);
        if facts.overriding.is_none() && table.is_some_and(|table| table.columns.iter().any(takes_none)) {
            // PostgreSQL refuses the values, which what is said for the numbers would let in.
            return Self { numbers: Vec::new(), given };
        }
        Self { numbers: left_out(&facts.table, &given, columns), given }
    }

    /// Tells whether a column is numbered.
    pub fn has(&self, column: &str) -> bool {
        self.numbers.iter().any(|number| number.column == column)
    }

    /// Returns INSERT up to its query, with the columns that are numbered.
    pub fn head(&self, text: &str, facts: &InsertFacts, start: usize, end: usize) -> String {
        let names = |names: &mut dyn Iterator<Item = &str>| list(names);
        let numbered = names(&mut self.numbers.iter().map(|number| number.column.as_str()));
        let overrides = facts.overriding.is_none() && self.numbers.iter().any(|number| number.overrides);
        let overriding = if overrides { OVERRIDING } else { "" };
        let edits = match &facts.columns {
            Some(list) => vec![
                (list.names_end - start..list.names_end - start, format!(", {numbered}")),
                (list.span.end - start..list.span.end - start, overriding.to_owned()),
            ],
            None => {
                let given = names(&mut self.given.iter().map(String::as_str));
                let at = facts.columns_at - start;
                vec![(at..at, format!(" ({given}, {numbered}){overriding}"))]
            }
        };
        splice(&text[start..end], &edits)
    }
}

/// Returns the columns that the rows of a query fill.
fn filled(text: &str, facts: &InsertFacts, query: &SourceQuery, catalog: &Catalog) -> Option<Vec<String>> {
    if let Some(list) = &facts.columns {
        return Some(list.names.clone());
    }
    let table = catalog.table(&facts.table.rule_key())?;
    let width = width(&text[query.span.clone()], catalog)?;
    Some(table.columns.get(..width)?.iter().map(|column| column.name.clone()).collect())
}

/// Returns how many columns a query has: a star stands for those of the one table that it reads.
fn width(query: &str, catalog: &Catalog) -> Option<usize> {
    let facts = sql::read(query).ok()?;
    let items = facts.block?.items;
    let stars = items.iter().filter(|item| item.shape == Shape::Star).count();
    if stars == 0 {
        return Some(items.len());
    }
    let [relation] = facts.relations.iter().filter(|relation| relation.scope == 0).collect::<Vec<_>>()[..] else {
        return None;
    };
    let table = catalog.table(&relation.table.as_ref()?.rule_key())?;
    Some(items.len() - stars + stars * table.columns.len())
}

/// Returns an INSERT of values that asks for the numbers that it lacks; `None` for any other text.
pub(in crate::plan) fn with_home_numbers(text: &str, context: &Context<'_>) -> Option<String> {
    Scanner::new(text).next().filter(|first| first.is_word(text, "insert"))?;
    if !may_name_numbered(text, context) {
        return None;
    }
    let facts = read(text).ok()?;
    let name = facts.table.rule_key();
    let table = context.catalog.table(&name)?;
    let rule = context.rules.table(&name);
    let numbered: Vec<&Column> = numbered_columns(&name, rule, context.rules, context.catalog).collect();
    if numbered.is_empty() {
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
    let refused = |column: &Column| {
        let at = names.iter().position(|name| *name == column.name).filter(|_| column.identity_always);
        at.is_some_and(|at| rows.iter().any(|row| row.cells[at].value != CellValue::Default))
    };
    if facts.overriding.is_none() && table.columns.iter().any(refused) {
        // What is said for the numbers would let these values in.
        return None;
    }
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

/// With which identity columns take values.
const OVERRIDING: &str = " OVERRIDING SYSTEM VALUE";

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(escape_identifier).collect::<Vec<_>>().join(", ")
}

/// Some identity columns take no value unless that is said.
fn overriding(columns: &[&Column]) -> &'static str {
    if columns.iter().any(|column| column.identity_always) { OVERRIDING } else { "" }
}

/// Returns a column's next number on home, as a value that is computed first.
fn next_number(table: &TableName, column: &Column) -> String {
    format!("(SELECT {})", draw(table, column))
}

/// Returns what draws a column's next number on home.
fn draw(table: &TableName, column: &Column) -> String {
    match &column.default {
        Some(default) if !column.identity => default.clone(),
        Some(_) | None => {
            let parts = table.schema.iter().chain([&table.name]);
            let table = parts.map(|part| escape_identifier(part)).collect::<Vec<_>>().join(".");
            format!(
                "pg_catalog.nextval(pg_catalog.pg_get_serial_sequence({}, {}))",
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
    fn numbers_are_drawn_for_what_no_session_changes() {
        for default in [
            "nextval('n'::regclass)",
            "('T'::text || lpad((nextval('n'::regclass))::text, 6, '0'::text))",
            "to_char(nextval('n'::regclass), 'FM000'::text)",
            "((nextval('n'::regclass) * 2) + 1)",
        ] {
            assert!(depends_on_nothing_else(default), "{default}");
        }
        for default in [
            "(current_setting('app.tenant'::text, true) || nextval('n'::regclass))",
            "(to_char(now(), 'YYYY'::text) || nextval('n'::regclass))",
            "((CURRENT_USER)::text || nextval('n'::regclass))",
            "(nextval('n'::regclass) + own.offset_of())",
            "((random() * (9)::double precision) + (nextval('n'::regclass))::double precision)",
        ] {
            assert!(!depends_on_nothing_else(default), "{default}");
        }
    }

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
        orders.columns[0].identity_always = true;
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
        assert_eq!(asked("INSERT INTO orders (order_id, user_id) VALUES (DEFAULT, 1), (5, 2)"), None);
    }
}
