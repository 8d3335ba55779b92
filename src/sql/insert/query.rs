//! The query of `INSERT … SELECT`, as far as it can be judged: which relations it names, and whether it is plain.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{ObjectName, ObjectNamePart, Query, Statement, Visit, Visitor};

use super::cell::cell;
use super::cursor::{Cursor, split, split_commas};
use super::facts::{Cell, CellValue, SelectItem, SimpleSelect};
use crate::sql::name::{TableName, identifier};
use crate::sql::read::{is_shallow, parser};
use crate::sql::reserved;
use crate::sql::scan::{Token, TokenKind};

/// Words that make a SELECT more than plain, wherever they stand outside parentheses.
const RICH: [&str; 24] = [
    "distinct",
    "union",
    "intersect",
    "except",
    "group",
    "having",
    "window",
    "order",
    "limit",
    "offset",
    "fetch",
    "for",
    "join",
    "natural",
    "cross",
    "left",
    "right",
    "full",
    "inner",
    "lateral",
    "tablesample",
    "into",
    "only",
    "all",
];

/// Returns the relations that the statement names besides its target, and the names of its WITH queries; `None` if it cannot be read.
pub fn relations(text: &str, tokens: &[Token], target: &TableName) -> Option<(Vec<TableName>, Vec<String>)> {
    // The visitor does not see the relation of `TABLE name`.
    if tokens.iter().any(|token| token.is_word(text, "table")) || !is_shallow(text) {
        return None;
    }
    let masked = mask_overriding(text, tokens);
    let parsed = reserved::tokens(&masked).ok()?;
    let statements = parser().with_tokens_with_locations(parsed).parse_statements().ok()?;
    let [statement] = statements.as_slice() else { return None };
    if reserved::is_misread(statement) {
        return None;
    }
    let mut found = Relations::default();
    let visited: ControlFlow<()> = statement.visit(&mut found);
    debug_assert!(visited.is_continue(), "the visitor never stops");
    let own = found.names.iter().position(|name| name == target)?;
    found.names.remove(own);
    found.names.retain(|name| name.schema.is_some() || !found.expressions.contains(&name.name));
    let read = matches!(statement, Statement::Insert(_) | Statement::Query(_));
    read.then(|| (found.names, found.expressions.into_iter().collect()))
}

/// Blanks out the clause that the parser crate cannot read.
fn mask_overriding(text: &str, tokens: &[Token]) -> String {
    let clause =
        tokens.windows(3).find(|three| three[0].is_word(text, "overriding") && three[2].is_word(text, "value"));
    let Some([first, _, last]) = clause else { return text.to_owned() };
    let (start, end) = (first.start, last.end);
    format!("{}{}{}", &text[..start], " ".repeat(end - start), &text[end..])
}

#[derive(Default)]
struct Relations {
    names: Vec<TableName>,
    expressions: HashSet<String>,
}

impl Visitor for Relations {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let mut parts: Vec<String> = relation.0.iter().filter_map(part_name).collect();
        if let Some(name) = parts.pop() {
            self.names.push(TableName { schema: parts.pop(), name });
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.expressions.insert(folded(&table.alias.name));
        }
        ControlFlow::Continue(())
    }
}

fn part_name(part: &ObjectNamePart) -> Option<String> {
    part.as_ident().map(folded)
}

fn folded(identifier: &sqlparser::ast::Ident) -> String {
    match identifier.quote_style {
        Some(_) => identifier.value.replace("\"\"", "\""),
        None => identifier.value.to_ascii_lowercase(),
    }
}

/// Reads a plain SELECT; `None` for anything richer, function calls among them (they may be aggregates).
pub fn simple_select(text: &str, tokens: &[Token]) -> Option<SimpleSelect> {
    let (first, rest) = tokens.split_first()?;
    if !first.is_word(text, "select") || is_rich(text, rest) {
        return None;
    }
    let clauses = split(text, rest, |token| token.is_word(text, "from") || token.is_word(text, "where"));
    let from = clauses.get(1).and_then(|second| second.first()).is_some_and(|first| {
        rest.iter().rfind(|token| token.end <= first.start).is_some_and(|before| before.is_word(text, "from"))
    });
    match (clauses.as_slice(), from) {
        ([items], _) => select(text, items, &[], &[]),
        ([items, table], true) => select(text, items, table, &[]),
        ([items, table, condition], true) => select(text, items, table, condition),
        _ => None,
    }
}

fn is_rich(text: &str, tokens: &[Token]) -> bool {
    let mut depth = 0_i32;
    tokens.iter().any(|token| {
        depth += i32::from(token.is_mark(text, "(")) - i32::from(token.is_mark(text, ")"));
        let inner_query = token.is_word(text, "select") || token.is_word(text, "over");
        inner_query || depth == 0 && RICH.iter().any(|word| token.is_word(text, word))
    })
}

fn select(text: &str, items: &[Token], from: &[Token], condition: &[Token]) -> Option<SimpleSelect> {
    let calls = items.windows(2).any(|pair| pair[1].is_mark(text, "(") && pair[0].is_name());
    if calls {
        return None;
    }
    let (table, alias) = if from.is_empty() { (None, String::new()) } else { from_table(text, from)? };
    let items =
        split_commas(text, items).into_iter().map(|item| item_column(text, item, &alias)).collect::<Option<_>>()?;
    Some(SimpleSelect { table, items, bindings: bindings(text, condition, &alias) })
}

/// `name [[AS] alias]`; the alias is the name if there is none.
fn from_table(text: &str, tokens: &[Token]) -> Option<(Option<TableName>, String)> {
    let mut cursor = Cursor::new(text, tokens);
    let table = cursor.table_name()?;
    cursor.eat("as");
    let alias = if cursor.peek().is_some() { cursor.identifier()? } else { table.name.clone() };
    cursor.peek().is_none().then_some((Some(table), alias))
}

/// `None` means `*`, which hides the positions.
fn item_column(text: &str, tokens: &[Token], alias: &str) -> Option<SelectItem> {
    let star = tokens.last().is_some_and(|token| token.kind == TokenKind::Operator && &text[token.span()] == "*");
    if star || tokens.is_empty() {
        return None;
    }
    let plain = match tokens {
        [value @ .., as_word, _] if as_word.is_word(text, "as") => value,
        _ => tokens,
    };
    Some(SelectItem { column: column(text, plain, alias), value: cell(text, plain)? })
}

/// Words that stand alone like columns and are none.
const CONSTANTS: [&str; 12] = [
    "null",
    "true",
    "false",
    "default",
    "current_date",
    "current_timestamp",
    "current_time",
    "localtime",
    "localtimestamp",
    "current_user",
    "session_user",
    "user",
];

fn column(text: &str, tokens: &[Token], alias: &str) -> Option<String> {
    match tokens {
        [only] if CONSTANTS.iter().any(|word| only.is_word(text, word)) => None,
        [only] => identifier(text, *only),
        [table, dot, name] if dot.is_mark(text, ".") && identifier(text, *table)? == alias => identifier(text, *name),
        _ => None,
    }
}

/// Equalities that hold for every row: operands of a top-level AND without OR, BETWEEN or CASE beside them.
fn bindings(text: &str, condition: &[Token], alias: &str) -> Vec<(String, Cell)> {
    let mixed = ["or", "between", "case"];
    if condition.iter().any(|token| mixed.iter().any(|word| token.is_word(text, word))) {
        return Vec::new();
    }
    let operands = split(text, condition, |token| token.is_word(text, "and"));
    operands.into_iter().filter_map(|operand| binding(text, operand, alias)).collect()
}

fn binding(text: &str, tokens: &[Token], alias: &str) -> Option<(String, Cell)> {
    let equals = |token: &Token| token.kind == TokenKind::Operator && &text[token.span()] == "=";
    let sides = split(text, tokens, equals);
    let [left, right] = sides.as_slice() else { return None };
    let pair = |name: &[Token], value: &[Token]| {
        let value = cell(text, value)?;
        (value.value != CellValue::Expression).then_some((column(text, name, alias)?, value))
    };
    pair(left, right).or_else(|| pair(right, left))
}
