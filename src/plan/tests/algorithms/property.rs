//! No row that satisfies a condition lives on a shard that a statement with it does not ask.

use super::*;
use crate::types::ShardSet;
use crate::types::moment::date_days;

const GROUPS: &str = "kind: TableGroup
name: m
key: {type: int}
algorithm: mod
mod: {shards: [s0, s1, s2, s1, s0]}
tables: {m: {key: k}}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: l
key: {type: int}
algorithm: list
list: {placement: {s0: [0, 1, 2, 30], s1: [3, 4, 29]}, default: s2}
tables: {l: {key: k}}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: r
key: {type: int}
algorithm: range
range: [{to: 5, shard: s2}, {from: 5, to: 12, shard: s0}, {from: 12, to: 20, shard: s1}, {from: 22, shard: s0}]
tables: {r: {key: k}}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: h
key: {type: int}
tables: {h: {key: k}}
missing_key: {read: scatter, write: scatter}
---
kind: TableGroup
name: d
key: {type: date}
algorithm: interval
interval: {unit: week, every: 2, origin: 2026-01-05, shards: [s0, s1, s2]}
tables: {d: {key: k}}
missing_key: {read: scatter, write: scatter}
";

/// A condition on the key, by the position of its values among all values of a table.
enum Condition {
    Compared(&'static str, usize),
    Flipped(&'static str, usize),
    In(Vec<usize>),
    Between(usize, usize),
    Row(&'static str, usize),
    /// Something about another column.
    Other,
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

const COMPARISONS: [&str; 5] = ["=", "<", "<=", ">", ">="];

struct Dice(u64);

impl Dice {
    fn up_to(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % count as u64) as usize
    }

    fn condition(&mut self, values: usize, depth: usize) -> Condition {
        let kind = self.up_to(if depth == 0 { 6 } else { 12 });
        let inner = |dice: &mut Self| Box::new(dice.condition(values, depth - 1));
        match kind {
            0 | 1 => Condition::Compared(COMPARISONS[self.up_to(5)], self.up_to(values)),
            2 => Condition::Flipped(COMPARISONS[self.up_to(5)], self.up_to(values)),
            3 => Condition::In((0..=self.up_to(3)).map(|_| self.up_to(values)).collect()),
            4 => Condition::Between(self.up_to(values), self.up_to(values)),
            5 => match self.up_to(2) {
                0 => Condition::Row(COMPARISONS[1 + self.up_to(4)], self.up_to(values)),
                _ => Condition::Other,
            },
            6 => Condition::Not(inner(self)),
            7 | 8 => Condition::Or(inner(self), inner(self)),
            _ => Condition::And(inner(self), inner(self)),
        }
    }
}

fn compare(left: usize, operator: &str, right: usize) -> bool {
    match operator {
        "=" => left == right,
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        other => panic!("{other}"),
    }
}

impl Condition {
    fn text(&self, values: &[String]) -> String {
        match self {
            Self::Compared(operator, value) => format!("k {operator} {}", values[*value]),
            Self::Flipped(operator, value) => format!("{} {operator} k", values[*value]),
            Self::In(list) => {
                format!("k in ({})", list.iter().map(|value| values[*value].as_str()).collect::<Vec<_>>().join(", "))
            }
            Self::Between(low, high) => format!("k between {} and {}", values[*low], values[*high]),
            Self::Row(operator, value) => format!("(k, x) {operator} ({}, 5)", values[*value]),
            Self::Other => "x = 5".to_owned(),
            Self::Not(inner) => format!("not ({})", inner.text(values)),
            Self::And(left, right) => format!("({}) and ({})", left.text(values), right.text(values)),
            Self::Or(left, right) => format!("({}) or ({})", left.text(values), right.text(values)),
        }
    }

    /// Tells whether a row with this key satisfies it; `x` is the row's other column.
    fn holds(&self, key: usize, x: i32) -> bool {
        match self {
            Self::Compared(operator, value) => compare(key, operator, *value),
            Self::Flipped(operator, value) => compare(*value, operator, key),
            Self::In(list) => list.contains(&key),
            Self::Between(low, high) => (low..=high).contains(&&key),
            Self::Row(operator, value) if key == *value => compare(x as usize, operator, 5),
            Self::Row(operator, value) => compare(key, operator, *value),
            Self::Other => x == 5,
            Self::Not(inner) => !inner.holds(key, x),
            Self::And(left, right) => left.holds(key, x) && right.holds(key, x),
            Self::Or(left, right) => left.holds(key, x) || right.holds(key, x),
        }
    }
}

fn asked(text: &str, rules: &RuleSet) -> Option<ShardSet> {
    let plan = plan_of(text, Parameters::default(), rules).ok()?;
    shard_names(&plan, rules).iter().map(|name| rules.shard_by_name(name)).collect()
}

fn holds_for(table: &str, values: &[String], turns: usize) {
    let rules = parsed(GROUPS);
    let places: Vec<Option<ShardSet>> =
        values.iter().map(|value| asked(&format!("insert into {table} (k) values ({value})"), &rules)).collect();
    assert!(places.iter().flatten().count() > values.len() / 2);
    let (mut dice, mut pruned) = (Dice(values.len() as u64), 0);
    for _ in 0..turns {
        let condition = dice.condition(values.len(), 3);
        let text = condition.text(values);
        let read = asked(&format!("select * from {table} where {text}"), &rules).expect("a read");
        let write = asked(&format!("delete from {table} where {text}"), &rules).expect("a write");
        pruned += usize::from(read.len() < 3);
        for (key, place) in places.iter().enumerate() {
            let Some(place) = place.and_then(|place| place.only()) else { continue };
            let satisfied = [4, 5, 6].into_iter().any(|x| condition.holds(key, x));
            let found = read.contains(place) && write.contains(place);
            assert!(!satisfied || found, "{table}: {text}: key {} on {place:?}, asked {read:?}", values[key]);
        }
    }
    assert!(pruned > turns / 10, "{table}: only {pruned} of {turns} conditions left a shard out");
}

#[test]
fn no_row_is_left_out_whatever_the_condition() {
    let numbers: Vec<String> = (-10..35).map(|number| number.to_string()).collect();
    for table in ["m", "l", "r", "h"] {
        holds_for(table, &numbers, 700);
    }
}

#[test]
fn no_day_is_left_out_whatever_the_condition() {
    let days = [(2025, 12), (2026, 1), (2026, 2), (2026, 3)].into_iter().flat_map(|(year, month)| {
        let day = move |day: usize| format!("{year}-{month:02}-{day:02}");
        (1..=31).map(day).filter(|day| date_days(day).is_some()).map(|day| format!("'{day}'"))
    });
    holds_for("d", &days.collect::<Vec<_>>(), 700);
}
