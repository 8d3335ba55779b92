//! Generated writes of all forms, alone and in transactions: tag, rows and SQLSTATE are the plain server's, and so are
//! all tables afterwards; or the proxy refuses with a hint, and nothing is written.
//!
//! Every run sees the same statements. `GENERATED_WRITES=1..200` runs these seeds instead, and prints what was refused
//! why.

use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;

use super::super::blocks::Expectation;
use super::super::compare::{difference, error_of};
use super::super::passes::{RULES, patient, wait_until_writable};
use super::super::random::{Random, is_refusal};
use super::write_sql::{CONTENTS, FILL, SCHEMA, rows, statement};
use super::{Counts, SHOWN_MAX, seeds};
use crate::support::{Differential, Proxy, RawClient, Reply, TestDatabase};

/// Statements per seed.
const STATEMENTS: usize = 25;
/// The seeds of every run.
const SEEDS: std::ops::Range<u64> = 1..21;

/// How a statement travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Simple,
    /// Parameters as text, their types inferred.
    Text,
    /// Parameters and results in binary, types declared.
    Binary,
}

#[tokio::test]
async fn generated_writes_are_done_right_or_refused() {
    let database = TestDatabase::new("d_writes");
    let moving = ["customers", "documents", "counters"].iter().fold(RULES.to_owned(), |rules, group| {
        rules.replace(&format!("name: {group}\nkey:"), &format!("name: {group}\nkey_update: move\nkey:"))
    });
    let moving = moving.replace("name: customers\n", "name: customers\nmissing_key: {read: scatter, write: scatter}\n");
    let proxy = Proxy::start(&database, &moving, patient()).await;
    let mut sides = Differential::through(&proxy, &database);
    wait_until_writable(&mut sides.other);
    for sql in SCHEMA {
        sides.same(sql);
    }
    let chosen = std::env::var("GENERATED_WRITES").ok();
    let mut counts = Counts::default();
    for seed in chosen.as_deref().map_or(SEEDS, seeds) {
        let mut random = Random::seeded(seed);
        for sql in FILL.iter().map(|sql| (*sql).to_owned()).chain(rows(&mut random)) {
            sides.same(&sql);
        }
        counts.batch(&mut sides, &mut random, seed);
        if counts.different.len() >= SHOWN_MAX {
            break;
        }
    }
    if chosen.is_some() {
        println!("{} equal, {} refused, {} failed alike", counts.equal, counts.refused, counts.failed);
        println!("{:#?}\n{:#?}", counts.reasons, counts.failures);
        counts.publish("generated writes", chosen.as_deref().unwrap_or_default());
    }
    let differences = counts.different.join("\n\n");
    assert!(counts.different.is_empty(), "{} differences:\n\n{differences}", counts.different.len());
    // A generator whose statements are all refused, or all wrong, would show nothing.
    assert!(2 * counts.equal > counts.refused + counts.failed, "{} equal, {} refused", counts.equal, counts.refused);
}

impl Counts {
    /// One seed's statements, some of them in transactions, and all tables after each of those.
    fn batch(&mut self, sides: &mut Differential, random: &mut Random, seed: u64) {
        let (mut number, before) = (0, self.different.len());
        while number < STATEMENTS {
            let block = random.below(3) == 0;
            let length = if block { 2 + random.below(4) as usize } else { 1 };
            if block {
                sides.same("BEGIN");
            }
            for _ in 0..length {
                number += 1;
                let sql = statement(random);
                let way = [Way::Simple, Way::Text, Way::Binary][random.below(3) as usize];
                let savepoint = block && random.below(3) == 0;
                if savepoint {
                    sides.same("SAVEPOINT s");
                }
                let wrong = self.one(sides, &sql, way, random);
                let failed = sides.other.simple("SELECT 1").status == 'E';
                let noted = wrong.map(|wrong| format!("seed {seed}, {number}, {way:?}: {sql}\n{wrong}"));
                let stopped = noted.is_some();
                self.different.extend(noted);
                if block && savepoint && (failed || random.below(2) == 0) {
                    sides.plain.simple("ROLLBACK TO s");
                    sides.other.simple("ROLLBACK TO s");
                } else if block && failed || stopped {
                    break;
                }
            }
            if block {
                self.end(sides, random, &format!("seed {seed}, {number}"));
            }
            for sql in CONTENTS {
                let (plain, other) = (sides.plain.simple(sql), sides.other.simple(sql));
                if difference(&plain, &other, sql, &Expectation::Same).is_some() {
                    let (plain, other) = (plain.rows(), other.rows());
                    let lost: Vec<_> = plain.iter().filter(|row| !other.contains(row)).collect();
                    let added: Vec<_> = other.iter().filter(|row| !plain.contains(row)).collect();
                    let found = format!("seed {seed}, after {number}: {sql}\n  lost {lost:?}\n  added {added:?}");
                    self.different.push(found);
                }
            }
            if self.different.len() > before {
                return;
            }
        }
        self.each_where_its_key_says(sides, seed);
    }

    /// Ends a transaction. What only the proxy has refused, at COMMIT at the latest, is open on the plain server.
    fn end(&mut self, sides: &mut Differential, random: &mut Random, place: &str) {
        let end = random.one(&["COMMIT", "COMMIT", "ROLLBACK"]);
        let failed = sides.other.simple("SELECT 1").status == 'E';
        let end = if failed { "ROLLBACK" } else { end };
        let other = sides.other.simple(end);
        if is_refusal(&other) {
            self.refused += 1;
            sides.plain.simple("ROLLBACK");
            return;
        }
        let wrong = difference(&sides.plain.simple(end), &other, end, &Expectation::Same);
        self.different.extend(wrong.map(|wrong| format!("{place}: {end}\n{wrong}")));
    }

    /// A row on a wrong shard is not found by its key.
    fn each_where_its_key_says(&mut self, sides: &mut Differential, seed: u64) {
        let keys = sides.plain.simple("SELECT customer_id FROM customers UNION SELECT customer_id FROM orders").rows();
        for key in keys.iter().filter_map(|row| row[0].as_deref()) {
            for table in ["customers", "orders"] {
                let sql = format!("SELECT count(*) FROM {table} WHERE customer_id = {key}");
                let (plain, other) = (sides.plain.simple(&sql), sides.other.simple(&sql));
                let wrong = difference(&plain, &other, &sql, &Expectation::Same);
                self.different.extend(wrong.map(|wrong| format!("seed {seed}: {sql}\n{wrong}")));
            }
        }
    }

    fn one(&mut self, sides: &mut Differential, sql: &str, way: Way, random: &mut Random) -> Option<String> {
        let marked = Marked::read(sql, way, random);
        let proxy = marked.call(&mut sides.other, way);
        if is_refusal(&proxy) {
            self.refused += 1;
            let fields = error_of(&proxy).cloned().unwrap_or_default();
            let message: String = fields.get(&'M').into_iter().flat_map(|text| text.chars()).take(70).collect();
            self.reasons.entry(message).or_insert_with(|| (0, marked.sql.clone())).0 += 1;
            return (!fields.contains_key(&'H')).then(|| format!("  refused without a hint: {proxy:?}"));
        }
        let plain = marked.call(&mut sides.plain, way);
        // Which of two errors comes first, and which of several rows it names, is not told.
        let expectation = if error_of(&plain).is_some() { Expectation::OwnWords } else { Expectation::Same };
        let broken = |reply: &Reply| error_of(reply).is_some_and(|error| error[&'C'].starts_with("23"));
        if broken(&plain) && broken(&proxy) && plain.status == proxy.status {
            self.note(&plain);
            return None;
        }
        if let Some(wrong) = difference(&plain, &proxy, &marked.sql, &expectation) {
            return Some(wrong);
        }
        self.note(&plain);
        None
    }
}

/// A statement whose marked values are constants or parameters.
struct Marked {
    sql: String,
    /// Type and value as text.
    parameters: Vec<(char, String)>,
}

impl Marked {
    fn read(sql: &str, way: Way, random: &mut Random) -> Self {
        let mut marked = Self { sql: String::new(), parameters: Vec::new() };
        let mut rest = sql;
        while let Some((before, after)) = rest.split_once('«') {
            let (value, after) = after.split_once('»').expect("a closed mark");
            let (kind, value) = value.split_once(':').expect("a type");
            marked.sql.push_str(before);
            rest = after;
            let kind = kind.chars().next().expect("a type");
            if way == Way::Simple || random.below(3) == 0 {
                let constant = if kind == 't' { format!("'{value}'") } else { value.to_owned() };
                marked.sql.push_str(&constant);
            } else {
                marked.parameters.push((kind, value.replace("''", "'")));
                marked.sql.push_str(&format!("${}", marked.parameters.len()));
            }
        }
        marked.sql.push_str(rest);
        marked
    }

    fn call(&self, client: &mut RawClient, way: Way) -> Reply {
        if way == Way::Simple {
            return client.simple(&self.sql);
        }
        let binary = way == Way::Binary;
        let types: Vec<u32> = self.parameters.iter().map(|(kind, _)| if binary { oid(*kind) } else { 0 }).collect();
        let mut batch = BytesMut::new();
        frontend::parse("", &self.sql, types, &mut batch).expect("a parse message");
        let format = i16::from(binary);
        let write = |parameter: &(char, String), out: &mut BytesMut| {
            out.extend_from_slice(&if binary { bytes_of(parameter) } else { parameter.1.clone().into_bytes() });
            Ok(IsNull::No)
        };
        let bound = frontend::bind("", "", [format], &self.parameters, write, [format], &mut batch);
        assert!(bound.is_ok(), "a bind message");
        frontend::describe(b'P', "", &mut batch).expect("a describe message");
        frontend::execute("", 0, &mut batch).expect("an execute message");
        frontend::sync(&mut batch);
        client.send(&batch);
        client.reply()
    }
}

fn oid(kind: char) -> u32 {
    match kind {
        '8' => 20,
        '4' => 23,
        _ => 25,
    }
}

fn bytes_of((kind, value): &(char, String)) -> Vec<u8> {
    match kind {
        '8' => value.parse::<i64>().expect("a bigint").to_be_bytes().to_vec(),
        '4' => value.parse::<i32>().expect("an int").to_be_bytes().to_vec(),
        _ => value.clone().into_bytes(),
    }
}
