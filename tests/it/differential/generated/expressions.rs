//! Random expressions over the columns in sight, by type. What they give does not depend on the order of rows.

use super::super::random::Random;
use super::queries::query_of;

/// What an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Int,
    Text,
    Numeric,
    Bool,
    Date,
}

const KINDS: [Kind; 5] = [Kind::Int, Kind::Text, Kind::Numeric, Kind::Bool, Kind::Date];

/// Returns any kind.
pub fn any_kind(random: &mut Random) -> Kind {
    KINDS[random.below(KINDS.len() as u64) as usize]
}

/// A column in sight.
#[derive(Debug, Clone)]
pub struct Seen {
    /// As it is written.
    pub name: String,
    pub kind: Kind,
}

/// The columns in sight, the innermost query's last.
pub type Sight = Vec<Seen>;

/// Returns an expression of a kind; `depth` bounds how it nests.
pub fn expression(random: &mut Random, sight: &Sight, kind: Kind, depth: u64) -> String {
    if depth == 0 || random.below(3) == 0 {
        return leaf(random, sight, kind);
    }
    let next = depth - 1;
    if random.below(8) == 0 {
        let condition = predicate(random, sight, next);
        let (yes, no) = (expression(random, sight, kind, next), expression(random, sight, kind, next));
        return format!("CASE WHEN {condition} THEN {yes} ELSE {no} END");
    }
    if random.below(8) == 0 {
        let (first, second) = (expression(random, sight, kind, next), leaf(random, sight, kind));
        let function = random.one(&["coalesce", "greatest", "least", "nullif"]);
        return format!("{function}({first}, {second})");
    }
    if random.below(12) == 0 {
        return format!("({})", scalar(random, sight, kind, next));
    }
    match kind {
        Kind::Int => int(random, sight, next),
        Kind::Text => text(random, sight, next),
        Kind::Numeric => numeric(random, sight, next),
        Kind::Bool => format!("({})", predicate(random, sight, next)),
        Kind::Date => {
            let days = random.below(40);
            format!("({} + {days})", leaf(random, sight, Kind::Date))
        }
    }
}

fn leaf(random: &mut Random, sight: &Sight, kind: Kind) -> String {
    let fitting: Vec<&Seen> = sight.iter().filter(|seen| seen.kind == kind).collect();
    if !fitting.is_empty() && random.below(4) > 0 {
        return fitting[random.below(fitting.len() as u64) as usize].name.clone();
    }
    constant(random, kind)
}

/// Returns a constant of a kind.
pub fn constant(random: &mut Random, kind: Kind) -> String {
    match kind {
        Kind::Int => format!("{}", random.below(14)),
        Kind::Text => random.one(&["'Ada'", "'bob'", "''", "'a'", "'ida'", "'one'", "NULL::text"]).to_owned(),
        Kind::Numeric => random.one(&["1.5", "0", "10.50", "100.00", "NULL::numeric", "2"]).to_owned() + "::numeric",
        Kind::Bool => random.one(&["true", "false", "NULL::boolean"]).to_owned(),
        Kind::Date => random.one(&["'2020-01-01'::date", "'2019-05-05'::date", "NULL::date"]).to_owned(),
    }
}

fn int(random: &mut Random, sight: &Sight, depth: u64) -> String {
    let first = expression(random, sight, Kind::Int, depth);
    match random.below(6) {
        0 => format!("({first} + {})", leaf(random, sight, Kind::Int)),
        1 => format!("({first} % 5)"),
        2 => format!("-({first})"),
        3 => format!("length({})", expression(random, sight, Kind::Text, depth)),
        4 => format!("({})::int", predicate(random, sight, depth)),
        _ => format!("({first} * 2)::bigint"),
    }
}

fn text(random: &mut Random, sight: &Sight, depth: u64) -> String {
    let first = expression(random, sight, Kind::Text, depth);
    match random.below(5) {
        0 => format!("({first} || {})", leaf(random, sight, Kind::Text)),
        1 => format!("upper({first})"),
        2 => format!("left({first}, 2)"),
        3 => format!("({})::text", expression(random, sight, Kind::Int, depth)),
        _ => format!("concat({first}, '-', {})", leaf(random, sight, Kind::Text)),
    }
}

fn numeric(random: &mut Random, sight: &Sight, depth: u64) -> String {
    let first = expression(random, sight, Kind::Numeric, depth);
    match random.below(4) {
        0 => format!("round({first}, 1)"),
        1 => format!("({first} * 2)"),
        2 => format!("({})::numeric", expression(random, sight, Kind::Int, depth)),
        _ => format!("({first} + {})", leaf(random, sight, Kind::Numeric)),
    }
}

/// Returns a condition.
pub fn predicate(random: &mut Random, sight: &Sight, depth: u64) -> String {
    if depth == 0 {
        return comparison(random, sight, 0);
    }
    let next = depth - 1;
    match random.below(14) {
        0..=2 => format!("({} AND {})", predicate(random, sight, next), predicate(random, sight, next)),
        3 => format!("({} OR {})", predicate(random, sight, next), predicate(random, sight, next)),
        4 => format!("NOT ({})", predicate(random, sight, next)),
        5 => format!("({}) IS NOT TRUE", predicate(random, sight, next)),
        6 | 7 => subquery(random, sight, next),
        _ => comparison(random, sight, next),
    }
}

fn comparison(random: &mut Random, sight: &Sight, depth: u64) -> String {
    let kind = any_kind(random);
    let first = expression(random, sight, kind, depth);
    let second = leaf(random, sight, kind);
    match random.below(12) {
        0..=2 => format!("{first} = {second}"),
        3 => format!("{first} <> {second}"),
        4 => format!("{first} < {second}"),
        5 => format!("{first} IS {}NULL", random.one(&["", "NOT "])),
        6 => format!("{first} IN ({second}, {})", constant(random, kind)),
        7 => format!("{first} NOT IN ({}, {})", constant(random, kind), constant(random, kind)),
        8 => format!("{first} BETWEEN {} AND {second}", constant(random, kind)),
        9 => format!("{first} IS {}DISTINCT FROM {second}", random.one(&["", "NOT "])),
        10 => {
            let (third, fourth) = (leaf(random, sight, Kind::Int), leaf(random, sight, Kind::Int));
            format!("({first}, {third}) {} ({second}, {fourth})", random.one(&["=", "<", ">=", "<>"]))
        }
        _ => format!("{first} = {} (ARRAY[{second}, {}])", random.one(&["ANY", "ALL"]), constant(random, kind)),
    }
}

fn subquery(random: &mut Random, sight: &Sight, depth: u64) -> String {
    let kind = any_kind(random);
    let inner = query_of(random, sight, &[kind], depth);
    let first = leaf(random, sight, kind);
    match random.below(5) {
        0 | 1 => format!("{}EXISTS ({inner})", random.one(&["", "NOT "])),
        2 | 3 => format!("{first} {}IN ({inner})", random.one(&["", "NOT "])),
        _ => format!("{first} {} {} ({inner})", random.one(&["=", "<", ">="]), random.one(&["ANY", "ALL"])),
    }
}

/// A query of one row and one column.
fn scalar(random: &mut Random, sight: &Sight, kind: Kind, depth: u64) -> String {
    let inner = query_of(random, sight, &[kind], depth);
    match kind {
        Kind::Int if random.below(2) == 0 => format!("SELECT count(*) FROM ({inner}) AS s0(a)"),
        Kind::Bool => format!("SELECT bool_or(s0.a) FROM ({inner}) AS s0(a)"),
        Kind::Int | Kind::Text | Kind::Numeric | Kind::Date => format!("SELECT max(s0.a) FROM ({inner}) AS s0(a)"),
    }
}

/// Returns an aggregate over the columns in sight.
pub fn aggregate(random: &mut Random, sight: &Sight, depth: u64) -> String {
    let kind = any_kind(random);
    let value = expression(random, sight, kind, depth);
    let numbers = if random.below(2) == 0 { Kind::Int } else { Kind::Numeric };
    let number = expression(random, sight, numbers, depth);
    let condition = expression(random, sight, Kind::Bool, depth);
    let bare = match random.below(15) {
        0 | 1 => "count(*)".to_owned(),
        2 => format!("count({value})"),
        3 => format!("count(DISTINCT {value})"),
        4 => format!("sum({number})"),
        5 => format!("avg({number})"),
        6 => format!("sum(DISTINCT {number})"),
        7 | 8 if kind != Kind::Bool => format!("{}({value})", random.one(&["min", "max"])),
        9 => format!("bool_and({condition})"),
        10 => format!("every({condition})"),
        11 => format!("string_agg({0}, ',' ORDER BY {0})", expression(random, sight, Kind::Text, 0)),
        12 => format!("array_agg({value} ORDER BY {value} DESC NULLS LAST)"),
        13 => format!("variance({number})"),
        _ => format!("bool_or({condition})"),
    };
    let filter = if random.below(5) == 0 {
        format!(" FILTER (WHERE {})", predicate(random, sight, depth.min(1)))
    } else {
        String::new()
    };
    match random.below(6) {
        0 => format!("({bare}{filter}, 1)::text"),
        1 => format!("coalesce(({bare}{filter})::text, 'none')"),
        _ => format!("{bare}{filter}"),
    }
}
