//! Conditions of which each names the columns of one relation: what a copy of its rows may leave out.
//!
//! A condition is the client's own text, cut where tokens end, read again by itself and compared; only its columns get
//! other qualifiers. What could fail on a row that the statement would never have looked at is left out.

use std::ops::Range;

use sqlparser::ast::{BinaryOperator, CastKind, DataType, Expr, TimezoneInfo, UnaryOperator, Value, ValueWithSpan};
use sqlparser::tokenizer::{Location, Token as Parsed};

use super::facts::{Column, RelationIndex};
use super::present::names_the_present;
use super::read;
use super::scan::{Scanner, Token, TokenKind};
use super::scope::Reader;

/// So many tokens are tried before a condition's first name or constant and behind its last one.
const MARGIN: usize = 6;
/// The longest condition that is cut out, in bytes: what is longer costs more than it saves.
const LENGTH_MAX: usize = 64 * 1024;

/// What a statement says of the rows of single relations, and how its scopes are nested.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// The conditions.
    pub filters: Vec<Filter>,
    /// Conditions that OR makes of others.
    pub alternatives: Vec<Alternatives>,
    /// The scope around each scope.
    pub parents: Vec<Option<usize>>,
}

/// A condition of which one of several holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternatives {
    /// All of it, if that is a filter.
    pub whole: Option<Filter>,
    /// What each alternative says of single relations.
    pub arms: Vec<Vec<Filter>>,
}

/// A condition that holds for every row that matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The columns that it names, all of one relation.
    pub columns: Vec<Column>,
    /// The relations that it restricts.
    pub reach: Vec<RelationIndex>,
    /// Its text.
    pub condition: Condition,
}

/// A condition on the columns of one relation, for another text than the one that it stands in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Condition {
    /// What it is made of, in order.
    pub parts: Vec<ConditionPart>,
}

/// A piece of a [`Condition`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ConditionPart {
    /// Text as it stands.
    Text(String),
    /// A column.
    Column(String),
    /// `$n`, 0-based.
    Parameter(usize),
}

/// Finds the filters of a SELECT that [`super::read`] could read; relations are numbered as there.
pub fn filters(text: &str) -> Option<Filters> {
    read::filters(text)
}

impl Reader<'_> {
    /// Notes the conditions under AND of `expr`, which restrict the relations in `reach`. Rows that an outer join has
    /// filled with NULL by then are not those of the table.
    pub(super) fn collect(&mut self, expr: &Expr, scope: usize, reach: &[RelationIndex]) {
        if self.filters.is_none() {
            return;
        }
        for conjunct in chain(expr, &BinaryOperator::And) {
            let filter = self.filter_of(conjunct, scope, reach);
            let arms = chain(conjunct, &BinaryOperator::Or);
            let alternatives = (arms.len() > 1).then(|| {
                let all = |arm| chain(arm, &BinaryOperator::And).into_iter();
                let of = |arm| all(arm).filter_map(|part| self.filter_of(part, scope, reach)).collect();
                Alternatives { whole: filter.clone(), arms: arms.into_iter().map(of).collect() }
            });
            if let Some(found) = &mut self.filters {
                found.filters.extend(filter);
                found.alternatives.extend(alternatives);
            }
        }
    }

    fn filter_of(&self, expr: &Expr, scope: usize, reach: &[RelationIndex]) -> Option<Filter> {
        let mut leaves = Leaves::default();
        if !is_condition(expr, &mut leaves) || leaves.columns.is_empty() {
            return None;
        }
        let columns = leaves.columns.iter().map(|column| self.column(column, scope)).collect::<Option<Vec<_>>>()?;
        let condition = self.cut(expr, &leaves)?;
        let real = |relation: &&RelationIndex| !self.facts.relations[**relation].nullable;
        Some(Filter { columns, reach: reach.iter().filter(real).copied().collect(), condition })
    }

    /// Cuts the condition out of the text: the shortest run of tokens around its leaves that reads the same.
    fn cut(&self, expr: &Expr, leaves: &Leaves<'_>) -> Option<Condition> {
        let places = leaves
            .places
            .iter()
            .map(|place| self.places.byte(self.text, place.line, place.column))
            .collect::<Option<Vec<_>>>()?;
        let (first, last) = (*places.iter().min()?, *places.iter().max()?);
        let tokens: Vec<Token> = Scanner::new(self.text).collect();
        let at = |byte: usize| tokens.binary_search_by_key(&byte, |token| token.start).ok();
        let (first, last) = (at(first)?, at(last)?);
        let range = (0..=MARGIN).find_map(|before| {
            let start = tokens.get(first.checked_sub(before)?)?.start;
            (0..=MARGIN).find_map(|behind| {
                let end = tokens.get(last + behind)?.end;
                let part = self.text.get(start..end).filter(|part| part.len() <= LENGTH_MAX)?;
                reads_as(part, expr).then_some(start..end)
            })
        })?;
        let columns = leaves.columns.iter().map(|column| self.named(column, &tokens)).collect::<Option<Vec<_>>>()?;
        Some(Condition { parts: parts(self.text, &tokens, range, &columns) })
    }

    /// Returns a column's bytes, qualifiers included, and its name.
    fn named(&self, column: &Expr, tokens: &[Token]) -> Option<(Range<usize>, String)> {
        let (first, last) = match column {
            Expr::Identifier(name) => (name, name),
            Expr::CompoundIdentifier(parts) => (parts.first()?, parts.last()?),
            _ => return None,
        };
        let start = self.places.byte(self.text, first.span.start.line, first.span.start.column)?;
        let last_start = self.places.byte(self.text, last.span.start.line, last.span.start.column)?;
        let end = tokens[tokens.binary_search_by_key(&last_start, |token| token.start).ok()?].end;
        Some((start..end, read::fold(last)))
    }
}

/// The names and constants of a condition.
#[derive(Default)]
struct Leaves<'a> {
    columns: Vec<&'a Expr>,
    /// Where each name and constant begins; of a qualified name, its last part.
    places: Vec<Location>,
}

/// Tells whether `part` by itself is this expression.
fn reads_as(part: &str, expr: &Expr) -> bool {
    let Ok(mut parser) = read::parser().try_with_sql(part) else { return false };
    parser.parse_expr().is_ok_and(|again| plain(&again) == plain(expr)) && parser.peek_token().token == Parsed::EOF
}

/// Returns what AND or OR connects, parentheses taken off.
fn chain<'a>(expr: &'a Expr, word: &BinaryOperator) -> Vec<&'a Expr> {
    let mut found = Vec::new();
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        match plain(expr) {
            Expr::BinaryOp { left, op, right } if op == word => open.extend([&**right, &**left]),
            other => found.push(other),
        }
    }
    found
}

fn plain(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => plain(inner),
        other => other,
    }
}

/// Takes a range of the text apart.
fn parts(text: &str, tokens: &[Token], range: Range<usize>, columns: &[(Range<usize>, String)]) -> Vec<ConditionPart> {
    let mut marks: Vec<(Range<usize>, ConditionPart)> =
        columns.iter().map(|(span, name)| (span.clone(), ConditionPart::Column(name.clone()))).collect();
    let inside = |token: &&Token| range.contains(&token.start) && token.kind == TokenKind::Parameter;
    marks.extend(tokens.iter().filter(inside).filter_map(|token| {
        let number: usize = token.text(text)[1..].parse().ok()?;
        Some((token.span(), ConditionPart::Parameter(number.checked_sub(1)?)))
    }));
    marks.sort_by_key(|(span, _)| span.start);
    let mut parts = Vec::new();
    let mut from = range.start;
    for (span, part) in marks {
        if span.start > from {
            parts.push(ConditionPart::Text(text[from..span.start].to_owned()));
        }
        from = span.end;
        parts.push(part);
    }
    if from < range.end {
        parts.push(ConditionPart::Text(text[from..range.end].to_owned()));
    }
    parts
}

/// Tells whether an expression is true or false by comparing columns with constants or each other, and nothing in it
/// can fail on one row and not on another.
fn is_condition<'a>(expr: &'a Expr, leaves: &mut Leaves<'a>) -> bool {
    match expr {
        Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } => is_condition(inner, leaves),
        Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
            is_condition(left, leaves) && is_condition(right, leaves)
        }
        Expr::BinaryOp { left, op, right } => compares(op) && is_operand(left, leaves) && is_operand(right, leaves),
        Expr::Between { expr, low, high, .. } => [expr, low, high].into_iter().all(|part| is_operand(part, leaves)),
        Expr::InList { expr, list, .. } => {
            is_operand(expr, leaves) && !list.is_empty() && list.iter().all(|item| is_constant(item, leaves))
        }
        Expr::Like { any: false, expr, pattern, escape_char: None, .. }
        | Expr::ILike { any: false, expr, pattern, escape_char: None, .. } => {
            is_operand(expr, leaves) && is_pattern(pattern) && is_constant(pattern, leaves)
        }
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => is_operand(inner, leaves),
        Expr::IsTrue(inner) | Expr::IsNotTrue(inner) | Expr::IsFalse(inner) | Expr::IsNotFalse(inner) => {
            is_condition(inner, leaves)
        }
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
            is_operand(left, leaves) && is_operand(right, leaves)
        }
        Expr::AnyOp { left, compare_op, right, .. } => {
            compares(compare_op) && is_operand(left, leaves) && is_array(right, leaves)
        }
        _ => is_column(expr, leaves),
    }
}

fn compares(operator: &BinaryOperator) -> bool {
    use BinaryOperator as Op;
    matches!(operator, Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq)
}

/// A backslash may escape nothing at a pattern's end, which is an error.
fn is_pattern(pattern: &Expr) -> bool {
    match pattern {
        Expr::Nested(inner) => is_pattern(inner),
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => !text.contains('\\'),
        _ => false,
    }
}

fn is_operand<'a>(expr: &'a Expr, leaves: &mut Leaves<'a>) -> bool {
    match expr {
        Expr::Nested(inner) => is_operand(inner, leaves),
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            let natural = |part: &'a Option<Box<Expr>>, leaves: &mut Leaves<'a>| {
                part.as_ref().is_none_or(|part| is_natural(part) && is_constant(part, leaves))
            };
            is_operand(expr, leaves) && natural(substring_from, leaves) && natural(substring_for, leaves)
        }
        _ => is_column(expr, leaves) || is_constant(expr, leaves),
    }
}

fn is_natural(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) if digits.len() < 9 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_column<'a>(expr: &'a Expr, leaves: &mut Leaves<'a>) -> bool {
    match expr {
        Expr::Identifier(name) => {
            leaves.columns.push(expr);
            leaves.places.push(name.span.start);
            true
        }
        Expr::CompoundIdentifier(parts) => {
            leaves.columns.push(expr);
            leaves.places.extend(parts.last().map(|name| name.span.start));
            true
        }
        _ => false,
    }
}

/// Constants and what PostgreSQL computes of them before it looks at a row.
/// A shard's present is not that of home.
fn is_present(value: &Value) -> bool {
    value.clone().into_string().is_some_and(|text| names_the_present(&text))
}

fn is_constant<'a>(expr: &'a Expr, leaves: &mut Leaves<'a>) -> bool {
    match expr {
        Expr::Nested(inner) => is_constant(inner, leaves),
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => is_constant(expr, leaves),
        Expr::Value(value) => {
            leaves.places.push(value.span.start);
            !is_present(&value.value)
        }
        Expr::TypedString(typed) => {
            leaves.places.push(typed.value.span.start);
            is_own_type(&typed.data_type) && !typed.uses_odbc_syntax && !is_present(&typed.value.value)
        }
        Expr::Interval(interval) => is_constant(&interval.value, leaves),
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None } => {
            is_own_type(data_type) && is_constant(expr, leaves)
        }
        Expr::BinaryOp { left, op: BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply, right } => {
            is_constant(left, leaves) && is_constant(right, leaves)
        }
        _ => false,
    }
}

fn is_array<'a>(expr: &'a Expr, leaves: &mut Leaves<'a>) -> bool {
    match expr {
        Expr::Nested(inner) => is_array(inner, leaves),
        Expr::Array(array) => array.elem.iter().all(|item| is_constant(item, leaves)),
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type: DataType::Array(element), ..
        } => {
            let own = match element {
                sqlparser::ast::ArrayElemTypeDef::SquareBracket(inner, None) => is_own_type(inner),
                _ => false,
            };
            own && is_array(expr, leaves)
        }
        Expr::Value(_) => is_constant(expr, leaves),
        _ => false,
    }
}

/// PostgreSQL's own types, and those only whose text means the same for as long as the settings are the same.
fn is_own_type(data_type: &DataType) -> bool {
    match data_type {
        DataType::SmallInt(_)
        | DataType::Int(_)
        | DataType::Integer(_)
        | DataType::BigInt(_)
        | DataType::Int2(_)
        | DataType::Int4(_)
        | DataType::Int8(_)
        | DataType::Numeric(_)
        | DataType::Decimal(_)
        | DataType::Real
        | DataType::DoublePrecision
        | DataType::Boolean
        | DataType::Bool
        | DataType::Text
        | DataType::Varchar(_)
        | DataType::CharacterVarying(_)
        | DataType::Uuid
        | DataType::Date
        | DataType::Interval { .. } => true,
        DataType::Timestamp(_, zone) | DataType::Time(_, zone) => matches!(
            zone,
            TimezoneInfo::None | TimezoneInfo::WithoutTimeZone | TimezoneInfo::WithTimeZone | TimezoneInfo::Tz
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(condition: &Condition) -> String {
        let part = |part: &ConditionPart| match part {
            ConditionPart::Text(text) => text.clone(),
            ConditionPart::Column(name) => format!("<{name}>"),
            ConditionPart::Parameter(index) => format!("[{index}]"),
        };
        condition.parts.iter().map(part).collect()
    }

    fn found(text: &str) -> Vec<String> {
        let filters = filters(text).expect("it is read").filters;
        filters.iter().map(|filter| format!("{} {:?}", shown(&filter.condition), filter.reach)).collect()
    }

    #[test]
    fn conditions_are_cut_at_their_own_ends() {
        for (text, expected) in [
            ("SELECT FROM t WHERE a = 1", "<a> = 1 [0]"),
            ("SELECT FROM t WHERE (((a))) = 1", "(((<a>))) = 1 [0]"),
            ("SELECT FROM t WHERE (t.\"A\" < 'x''y') ORDER BY 1", "<A> < 'x''y' [0]"),
            ("SELECT FROM t WHERE NOT (a = 1 OR b IS NULL)", "NOT (<a> = 1 OR <b> IS NULL) [0]"),
            ("SELECT FROM t WHERE a BETWEEN $2 AND - 5", "<a> BETWEEN [1] AND - 5 [0]"),
            (
                "SELECT FROM t WHERE d >= date '1994-01-01' + interval '1' year",
                "<d> >= date '1994-01-01' + interval '1' year [0]",
            ),
            ("SELECT FROM t WHERE d < '1994-01-01'::date", "<d> < '1994-01-01'::date [0]"),
            ("SELECT FROM t WHERE d < CAST('1994-01-01' AS date)", "<d> < CAST('1994-01-01' AS date) [0]"),
            ("SELECT FROM t WHERE a IN ('x', $1, 'z')", "<a> IN ('x', [0], 'z') [0]"),
            ("SELECT FROM t WHERE a = ANY ('{1,2}'::int[])", "<a> = ANY ('{1,2}'::int[]) [0]"),
            ("SELECT FROM t WHERE a NOT LIKE '%x%'", "<a> NOT LIKE '%x%' [0]"),
            ("SELECT FROM t WHERE a IS NOT TRUE", "<a> IS NOT TRUE [0]"),
            (
                "SELECT FROM t WHERE substring(a from 1 for 2) IN ('1', '2')",
                "substring(<a> from 1 for 2) IN ('1', '2') [0]",
            ),
            ("SELECT FROM t WHERE a = 'ä' AND \"ö\".b < 2", "<a> = 'ä' [0]"),
        ] {
            assert_eq!(found(text).first().map(String::as_str), Some(expected), "{text}");
        }
    }

    #[test]
    fn alternatives_say_what_each_of_them_needs() {
        let text = "SELECT FROM t, u WHERE (t.a = 1 AND (u.b = 2 AND t.c = u.c)) OR (t.a = 3 OR u.b < t.a AND u.d = 4)";
        let alternatives = filters(text).expect("it is read").alternatives;
        let arms: Vec<Vec<String>> = alternatives[0]
            .arms
            .iter()
            .map(|arm| arm.iter().map(|filter| shown(&filter.condition)).collect())
            .collect();
        assert_eq!(alternatives.len(), 1);
        assert_eq!(arms, [vec!["<a> = 1", "<b> = 2", "<c> = <c>"], vec!["<a> = 3"], vec!["<b> < <a>", "<d> = 4"]]);
    }

    #[test]
    fn what_could_fail_or_change_is_no_filter() {
        for text in [
            "SELECT FROM t WHERE 1 / a = 1",
            "SELECT FROM t WHERE a + 1 = 2",
            "SELECT FROM t WHERE a::int = 1",
            "SELECT FROM t WHERE a = 1 / 0",
            "SELECT FROM t WHERE f(a) = 1",
            "SELECT FROM t WHERE a LIKE 'x\\'",
            "SELECT FROM t WHERE a = now()",
            "SELECT FROM t WHERE a = (SELECT 1)",
            "SELECT FROM t WHERE a IN (SELECT 1)",
            "SELECT FROM t WHERE a = 'x'::own_type",
            "SELECT FROM t WHERE substring(a from -1) = 'x'",
            "SELECT FROM t WHERE 1 = 1",
            "SELECT a = 1 FROM t HAVING a = 1",
            "SELECT count(*) FILTER (WHERE a = 1) FROM t",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }

    /// An outer join's optional side is restricted by its own condition alone, its preserved side by that never.
    #[test]
    fn outer_joins_restrict_their_optional_side_only() {
        assert_eq!(
            found("SELECT FROM a LEFT JOIN b ON b.x = 1 AND a.y = 2 WHERE a.z = 3 AND b.w = 4"),
            ["<x> = 1 [1]", "<y> = 2 [1]", "<z> = 3 [0]", "<w> = 4 [0]"]
        );
        assert_eq!(found("SELECT FROM a FULL JOIN b ON b.x = 1 WHERE a.z = 3"), ["<x> = 1 []", "<z> = 3 []"]);
        assert_eq!(found("SELECT FROM a RIGHT JOIN b ON a.x = 1 WHERE b.z = 3"), ["<x> = 1 [0]", "<z> = 3 [1]"]);
        assert_eq!(
            found("SELECT FROM a LEFT JOIN (b LEFT JOIN c ON c.v = 1) ON c.w IS NULL AND b.x = 2"),
            ["<v> = 1 [2]", "<w> IS NULL [1]", "<x> = 2 [1]"]
        );
        assert_eq!(
            found("SELECT FROM a WHERE NOT EXISTS (SELECT FROM b WHERE b.x = 1 AND a.y = 2)"),
            ["<x> = 1 [1]", "<y> = 2 [1]"]
        );
    }
}
