//! The top block of a plain SELECT: its lists with their bytes, and what cannot be merged in it.

use std::ops::Range;

use sqlparser::ast::{
    Distinct, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    LimitClause, OrderByKind, OrderBySort, Query, Select, SelectItem, SetExpr, Value,
};

use super::aggregates::{has_aggregate, is_aggregate};
use super::clauses::{self, Clauses};
use super::facts::{Block, Count, Item, OrderItem, Shape};
use super::read::{fold, function_name};
use super::scan::{Scanner, Token};
use super::scope::Reader;
use super::together::has_window;

/// Reads the block; `None` where the statement is no plain SELECT.
pub(super) fn read(text: &str, query: &Query, reader: &Reader<'_>) -> Option<Block> {
    let SetExpr::Select(select) = &*query.body else { return None };
    if reader.facts.nested_write {
        return None;
    }
    let clauses = clauses::find(text)?;
    let (holds, unmergeable) = (holds(query, select), unmergeable(query, select));
    let mut block = Block { start: clauses.start, holds, unmergeable, ..Block::default() };
    block.distinct = matches!(select.distinct, Some(Distinct::Distinct));
    block.having = select.having.is_some();
    block.having_span = match clauses.having.as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    };
    block.body_end = clauses.body_end.unwrap_or(text.len());
    items(text, select, &clauses, reader, &mut block)?;
    groups(select, text, &clauses, reader, &mut block)?;
    order(query, text, &clauses, reader, &mut block)?;
    limits(query, &clauses, reader, &mut block);
    Some(block)
}

/// Returns what holds rows of the query together beside groups, in words.
fn holds(query: &Query, select: &Select) -> Option<&'static str> {
    if matches!(select.distinct, Some(Distinct::On(_))) {
        return Some("DISTINCT ON");
    }
    let windows = !select.named_window.is_empty() || has_window(&select.projection) || has_window(&query.order_by);
    windows.then_some("window functions")
}

/// Returns what of the query no merge can do, in words.
fn unmergeable(query: &Query, select: &Select) -> Option<String> {
    let found = if query.fetch.as_ref().is_some_and(|fetch| fetch.with_ties || fetch.percent) {
        "FETCH FIRST WITH TIES"
    } else if select.qualify.is_some() || !select.lateral_views.is_empty() || select.top.is_some() {
        "this syntax"
    } else {
        return None;
    };
    Some(found.to_owned())
}

fn items(text: &str, select: &Select, clauses: &Clauses, reader: &Reader<'_>, block: &mut Block) -> Option<()> {
    if clauses.items.len() != select.projection.len() || clauses.items.is_empty() {
        return None;
    }
    for (item, whole) in select.projection.iter().zip(&clauses.items) {
        let item = match item {
            SelectItem::UnnamedExpr(expr) => new_item(text, expr, whole.clone(), whole.clone(), None, reader),
            SelectItem::ExprWithAlias { expr, alias } => {
                let span = without_alias(text, whole.clone());
                new_item(text, expr, span, whole.clone(), Some(fold(alias)), reader)
            }
            SelectItem::ExprWithAliases { .. } => return None,
            SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {
                Item { span: whole.clone(), whole: whole.clone(), alias: None, shape: Shape::Star }
            }
        };
        block.items.push(item);
    }
    block.items_end = clauses.items.last()?.end;
    Some(())
}

/// Takes `[AS] alias` off the end.
fn without_alias(text: &str, whole: Range<usize>) -> Range<usize> {
    let part = &text[whole.clone()];
    let tokens: Vec<Token> = Scanner::new(part).collect();
    let mut end = tokens.len().saturating_sub(1);
    if end > 0 && tokens[end - 1].is_word(part, "as") {
        end -= 1;
    }
    let last = end.checked_sub(1).and_then(|at| tokens.get(at)).map_or(part.len(), |token| token.end);
    whole.start..whole.start + last
}

fn groups(select: &Select, text: &str, clauses: &Clauses, reader: &Reader<'_>, block: &mut Block) -> Option<()> {
    match &select.group_by {
        GroupByExpr::All(_) => return None,
        GroupByExpr::Expressions(keys, modifiers) => {
            let sets = keys
                .iter()
                .any(|key| matches!(key, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_) | Expr::Tuple(_)));
            if sets || !modifiers.is_empty() {
                block.unmergeable.get_or_insert_with(|| "GROUPING SETS".to_owned());
                return Some(());
            }
            if keys.len() != clauses.group.len() {
                return None;
            }
            for (key, span) in keys.iter().zip(&clauses.group) {
                block.group.push(new_item(text, key, span.clone(), span.clone(), None, reader));
            }
        }
    }
    Some(())
}

fn order(query: &Query, text: &str, clauses: &Clauses, reader: &Reader<'_>, block: &mut Block) -> Option<()> {
    let Some(order) = &query.order_by else { return Some(()) };
    let OrderByKind::Expressions(keys) = &order.kind else { return None };
    if keys.len() != clauses.order.len() {
        return None;
    }
    for (key, whole) in keys.iter().zip(&clauses.order) {
        let descending = match &key.options.sort {
            None | Some(OrderBySort::Asc) => false,
            Some(OrderBySort::Desc) => true,
            Some(OrderBySort::Using(_)) => {
                block.unmergeable.get_or_insert_with(|| "ORDER BY … USING".to_owned());
                false
            }
        };
        let span = without_direction(text, whole.clone());
        let item = new_item(text, &key.expr, span, whole.clone(), None, reader);
        let nulls_first = key.options.nulls_first.unwrap_or(descending);
        block.order.push(OrderItem { item, descending, nulls_first });
    }
    Some(())
}

/// Takes `ASC`, `DESC`, `NULLS FIRST`, `NULLS LAST` off the end.
fn without_direction(text: &str, whole: Range<usize>) -> Range<usize> {
    let part = &text[whole.clone()];
    let mut tokens: Vec<Token> = Scanner::new(part).collect();
    let is = |token: Option<&Token>, word: &str| token.is_some_and(|token| token.is_word(part, word));
    if (is(tokens.last(), "first") || is(tokens.last(), "last")) && is(tokens.iter().rev().nth(1), "nulls") {
        tokens.truncate(tokens.len() - 2);
    }
    if tokens.len() > 1 && (is(tokens.last(), "asc") || is(tokens.last(), "desc")) {
        tokens.pop();
    }
    whole.start..whole.start + tokens.last().map_or(part.len(), |token| token.end)
}

fn limits(query: &Query, clauses: &Clauses, reader: &Reader<'_>, block: &mut Block) {
    block.limit_spans = clauses.limits.clone();
    if let Some(fetch) = &query.fetch {
        match fetch.quantity.as_ref().and_then(|quantity| reader.slot(quantity)) {
            Some(slot) => block.limit = Some(Count::Slot(slot)),
            None => {
                block.unmergeable.get_or_insert_with(|| "FETCH FIRST without a number".to_owned());
            }
        }
    }
    let Some(limit_clause) = &query.limit_clause else { return };
    let LimitClause::LimitOffset { limit, offset, .. } = limit_clause else {
        block.unmergeable.get_or_insert_with(|| "this form of LIMIT".to_owned());
        return;
    };
    for (value, place) in
        [(limit.as_ref(), &mut block.limit), (offset.as_ref().map(|offset| &offset.value), &mut block.offset)]
    {
        match value.map(|value| (value, reader.slot(value))) {
            // Left as it is: FETCH FIRST may have said it.
            None => {}
            Some((_, Some(slot))) => *place = Some(Count::Slot(slot)),
            Some((Expr::Identifier(word), None)) if word.value.eq_ignore_ascii_case("all") => *place = Some(Count::All),
            Some((_, None)) => {
                block.unmergeable.get_or_insert_with(|| "an expression in LIMIT or OFFSET".to_owned());
            }
        }
    }
}

fn new_item(
    text: &str,
    expr: &Expr,
    span: Range<usize>,
    whole: Range<usize>,
    alias: Option<String>,
    reader: &Reader<'_>,
) -> Item {
    let shape = shape(text, expr, &span, reader);
    Item { span, whole, alias, shape }
}

fn shape(text: &str, expr: &Expr, span: &Range<usize>, reader: &Reader<'_>) -> Shape {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().map_or(Shape::Expression, Shape::Position),
            _ => Shape::Expression,
        },
        Expr::Function(function) if is_aggregate(function) => aggregate(text, function, span),
        _ if has_aggregate(expr) => Shape::OverAggregate,
        _ => reader.column(expr, 0).map_or(Shape::Expression, Shape::Column),
    }
}

/// Reads an aggregate that is the whole expression: the parentheses after its name hold the arguments.
fn aggregate(text: &str, function: &Function, span: &Range<usize>) -> Shape {
    let part = &text[span.clone()];
    let Some((open, close)) = parentheses(part) else { return Shape::OverAggregate };
    let special = match &function.args {
        FunctionArguments::List(list) => {
            matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct)) || !list.clauses.is_empty()
        }
        FunctionArguments::None | FunctionArguments::Subquery(_) => true,
    };
    Shape::Aggregate {
        name: function_name(&function.name).unwrap_or_default(),
        arguments: span.start + open + 1..span.start + close,
        after: span.start + close + 1..span.end,
        special: special || !function.within_group.is_empty() || arguments_aggregate(function),
    }
}

fn arguments_aggregate(function: &Function) -> bool {
    let FunctionArguments::List(list) = &function.args else { return true };
    list.args.iter().any(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => has_aggregate(expr),
        FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => false,
        _ => true,
    })
}

/// Returns where the first parenthesis opens and where it closes.
fn parentheses(part: &str) -> Option<(usize, usize)> {
    let mut depth = 0usize;
    let mut open = None;
    for token in Scanner::new(part) {
        if token.is_mark(part, "(") {
            depth += 1;
            open.get_or_insert(token.start);
        } else if token.is_mark(part, ")") {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some((open?, token.start));
            }
        }
    }
    None
}
