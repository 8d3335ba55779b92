//! Generated SELECTs of all forms: an answer must be the plain server's, a refusal must have a SQLSTATE and a hint.
//!
//! Every run sees the same statements. `GENERATED=1..2000` runs these seeds instead, and prints what was refused why.

mod apart_sql;
mod by_key;
mod expressions;
mod merged;
mod queries;
mod write_sql;
mod writes;

use std::collections::BTreeMap;

use crate::support::{Differential, Proxy, RawClient, Reply, TestDatabase};

use super::blocks::{Expectation, blocks};
use super::compare::{are_same_but_for_scale, difference, error_of};
use super::passes::{RULES, SCHEMA, patient, wait_until_writable};
use super::random::{Random, is_refusal};
use super::{extended, matrix};
use merged::merged;
use queries::{Question, question};

/// Statements per seed.
const STATEMENTS: usize = 25;
/// The seeds of every run.
const SEEDS: std::ops::Range<u64> = 1..31;
/// How much of a reason tells it from others.
const REASON_MAX: usize = 36;
/// How much of a refused statement the document shows.
const SUCH_AS_MAX: usize = 160;
/// How many differences are shown.
const SHOWN_MAX: usize = 12;

#[derive(Debug, Default)]
struct Counts {
    equal: usize,
    refused: usize,
    /// Both sides gave the same error.
    failed: usize,
    /// How often a message was said, and of which statement first.
    reasons: BTreeMap<String, (usize, String)>,
    failures: BTreeMap<String, usize>,
    different: Vec<String>,
}

#[tokio::test]
async fn generated_questions_are_answered_right_or_refused() {
    let database = TestDatabase::new("d_generated");
    let proxy = Proxy::start(&database, RULES, patient()).await;
    let mut sides = Differential::through(&proxy, &database);
    wait_until_writable(&mut sides.other);
    for block in blocks(SCHEMA) {
        sides.same(&block.sql);
    }
    let chosen = std::env::var("GENERATED").ok();
    let mut counts = Counts::default();
    for seed in chosen.as_deref().map_or(SEEDS, seeds) {
        let mut random = Random::seeded(seed);
        for number in 0..STATEMENTS {
            let question = if number % 2 == 0 { merged(&mut random) } else { question(&mut random) };
            let wrong = counts.check(&mut sides, &question, number % 5 < 2);
            counts.different.extend(wrong.map(|wrong| format!("seed {seed}, {number}: {}\n{wrong}", question.sql)));
        }
        if counts.different.len() >= SHOWN_MAX {
            break;
        }
    }
    if chosen.is_some() {
        let (reasons, failures) = (&counts.reasons, &counts.failures);
        println!("{} equal, {} refused, {} failed alike", counts.equal, counts.refused, counts.failed);
        println!("{reasons:#?}\n{failures:#?}");
        counts.publish("generated reads", chosen.as_deref().unwrap_or_default());
    }
    assert!(
        counts.different.is_empty(),
        "{} differences:\n\n{}",
        counts.different.len(),
        counts.different.join("\n\n")
    );
    // A generator whose statements are all refused, or all wrong, would show nothing.
    let (equal, other) = (counts.equal, counts.refused + counts.failed);
    assert!(equal > 3 * other, "{equal} equal, {other} refused or failed");
}

/// Puts dots in the place of names, and cuts what is left.
fn without_names(reason: &str) -> String {
    let parts = reason.split('"').enumerate();
    let masked: String = parts.map(|(at, part)| if at % 2 == 0 { part } else { "\"…\"" }).collect();
    masked.chars().take(REASON_MAX).collect::<String>().trim_end().to_owned()
}

/// Reads `from..to`.
fn seeds(text: &str) -> std::ops::Range<u64> {
    let (from, to) = text.split_once("..").expect("GENERATED=from..to");
    from.parse().expect("a number")..to.parse().expect("a number")
}

impl Counts {
    /// Writes what was found into the document, if that is wanted.
    fn publish(&self, name: &str, seeds: &str) {
        let Self { equal, refused, failed, different, reasons, .. } = self;
        let all = equal + refused + failed + different.len();
        let mut lines = vec![
            format!(
                "{name}, seeds {seeds}: {all} statements, {equal} equal, {failed} failed alike, {refused} refused, {} different.",
                different.len()
            ),
            String::new(),
        ];
        let mut grouped: BTreeMap<String, (usize, &str)> = BTreeMap::new();
        for (reason, (count, sql)) in reasons {
            grouped.entry(without_names(reason)).or_insert((0, sql)).0 += count;
        }
        let row = |(reason, (count, sql)): (&String, &(usize, &str))| {
            let such: String = sql.chars().take(SUCH_AS_MAX).collect();
            let more = if such.len() < sql.len() { " …" } else { "" };
            format!("| {reason}… | {count} | `{}{more}` |", such.replace('|', "\\|"))
        };
        lines.extend(matrix::table("refused because | times | such as", grouped.iter().map(row).collect()));
        matrix::publish(name, &lines);
    }

    fn check(&mut self, sides: &mut Differential, question: &Question, in_extended: bool) -> Option<String> {
        let sql = question.sql.as_str();
        let call = |client: &mut RawClient| {
            if in_extended { extended::prepared(client, sql, &[]) } else { client.simple(sql) }
        };
        let proxy = call(&mut sides.other);
        if is_refusal(&proxy) {
            self.refused += 1;
            let fields = error_of(&proxy).cloned().unwrap_or_default();
            let message: String = fields.get(&'M').into_iter().flat_map(|text| text.chars()).take(60).collect();
            self.reasons.entry(message).or_insert_with(|| (0, sql.to_owned())).0 += 1;
            return (!fields.contains_key(&'H')).then(|| format!("  refused without a hint: {proxy:?}"));
        }
        let plain = call(&mut sides.plain);
        let order = if question.ordered { "order by" } else { "" };
        if let Some(wrong) = difference(&plain, &proxy, order, &Expectation::Same)
            && !are_same_but_for_scale(&plain, &proxy)
        {
            return Some(wrong);
        }
        self.note(&plain);
        None
    }

    fn note(&mut self, plain: &Reply) {
        match error_of(plain) {
            None => self.equal += 1,
            Some(fields) => {
                self.failed += 1;
                *self.failures.entry(fields.get(&'M').cloned().unwrap_or_default()).or_default() += 1;
            }
        }
    }
}
