//! Pipelines of any shape, from a seed: mostly sense, now and then nonsense.

use super::message::Message;

/// What a pipeline may say.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary {
    /// Statements and the types of their parameters: `i` int, `b` bigint, `t` text.
    pub statements: &'static [(&'static str, &'static str)],
    /// Statements without parameters, which a Query may have too.
    pub texts: &'static [&'static str],
    /// COPY FROM STDIN in text form, of an int and a text.
    pub copies: &'static [&'static str],
    /// COPY FROM STDIN in binary form.
    pub binary_copies: &'static [&'static str],
    /// Whether functions are called by FunctionCall.
    pub calls: bool,
    /// Values of int parameters.
    pub ints: &'static [&'static str],
}

/// Statements that begin, end and divide transactions.
const TURNS: &[&str] = &[
    "BEGIN",
    "BEGIN",
    "COMMIT",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "ROLLBACK TO a",
    "RELEASE a",
    "START TRANSACTION READ ONLY",
    "END",
    "ABORT",
    "COMMIT AND CHAIN",
];
const EMPTY: &[&str] = &["", ";", " -- nothing", "/* */;;"];
const NAMES: &[&str] = &["", "", "", "a", "b"];
const ROWS: &[i32] = &[0, 0, 0, 1, 2, 3, -1, 100];

/// A xorshift generator.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % bound as u64) as usize
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn once_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// Makes one client's messages.
pub fn messages(chance: &mut Chance, vocabulary: &Vocabulary) -> Vec<Message> {
    let mut made = Vec::new();
    for _ in 0..2 + chance.below(12) {
        match chance.below(22) {
            0..=9 => run(chance, vocabulary, &mut made),
            10..=12 => made.push(single(chance, vocabulary)),
            13 => made.push(Message::flush()),
            14..=17 => made.push(Message::sync()),
            18..=19 => made.push(Message::query(&query_text(chance, vocabulary))),
            20 => copy(chance, vocabulary, &mut made),
            _ if vocabulary.calls => made.push(function_call(chance)),
            _ => made.push(Message::sync()),
        }
    }
    made
}

/// Parse, Bind, Execute, and what may stand between.
fn run(chance: &mut Chance, vocabulary: &Vocabulary, made: &mut Vec<Message>) {
    let (statement, portal) = (chance.one(NAMES), chance.one(NAMES));
    let (sql, types) = statement_text(chance, vocabulary);
    if !statement.is_empty() {
        // A text that is wrong under a name that is taken has two errors: PostgreSQL tells the other one.
        made.push(Message::close('S', statement));
    }
    made.push(Message::parse(statement, sql, &declared(chance, types)));
    if chance.once_in(4) {
        made.push(Message::describe('S', statement));
    }
    if chance.once_in(8) {
        made.push(chance.one(&[Message::sync as fn() -> Message, Message::flush])());
    }
    for _ in 0..1 + chance.below(4) / 3 {
        made.push(bind(chance, vocabulary, portal, statement, types));
        if chance.once_in(3) {
            made.push(Message::describe('P', portal));
        }
        for _ in 0..1 + chance.below(4) / 3 {
            made.push(Message::execute(portal, chance.one(ROWS)));
        }
        if chance.once_in(6) {
            made.push(Message::close('P', portal));
        }
    }
    if chance.once_in(3) {
        made.push(Message::sync());
    }
}

fn statement_text(chance: &mut Chance, vocabulary: &Vocabulary) -> (&'static str, &'static str) {
    match chance.below(12) {
        0..=6 => chance.one(vocabulary.statements),
        7..=8 => (chance.one(TURNS), ""),
        9..=10 => (chance.one(vocabulary.texts), ""),
        _ => (chance.one(EMPTY), ""),
    }
}

fn declared(chance: &mut Chance, types: &str) -> Vec<u32> {
    if !chance.once_in(3) {
        return Vec::new();
    }
    let oid =
        |kind| [('i', 23), ('b', 20), ('t', 25)].iter().find(|(known, _)| *known == kind).map_or(0, |known| known.1);
    types.chars().map(|kind| chance.one(&[oid(kind), 0])).collect()
}

fn bind(chance: &mut Chance, vocabulary: &Vocabulary, portal: &str, statement: &str, types: &str) -> Message {
    let mut values: Vec<_> = types.chars().map(|kind| value(chance, vocabulary, kind)).collect();
    if chance.once_in(25) {
        values.push((0, None));
    }
    let results: &[&[i16]] = &[&[], &[], &[], &[0], &[1], &[1], &[0, 1], &[1, 1, 1]];
    Message::bind(portal, statement, &values, chance.one(results))
}

fn value(chance: &mut Chance, vocabulary: &Vocabulary, kind: char) -> (i16, Option<Vec<u8>>) {
    let written = if kind != 't' { chance.one(vocabulary.ints) } else { chance.one(&["x", "", "a'b", "äöü"]) };
    match (kind, written.parse::<i64>()) {
        // NULL is refused as a sharding key before anything is bound.
        ('i' | 't', _) if chance.once_in(30) => (0, None),
        ('i' | 'b', _) if chance.once_in(30) => (0, Some(b"x".to_vec())),
        ('i', Ok(number)) if chance.once_in(4) => (1, Some((number as i32).to_be_bytes().to_vec())),
        ('b', Ok(number)) if chance.once_in(4) => (1, Some(number.to_be_bytes().to_vec())),
        _ => (0, Some(written.as_bytes().to_vec())),
    }
}

/// One message by itself, whether it makes sense or not.
fn single(chance: &mut Chance, vocabulary: &Vocabulary) -> Message {
    let name = chance.one(NAMES);
    match chance.below(9) {
        0 => Message::describe('S', name),
        // Not the unnamed ones: after a Query that failed it may be a portal that PostgreSQL left there.
        1 => Message::describe('P', chance.one(&["a", "b"])),
        2 | 3 => Message::execute(chance.one(&["a", "b"]), chance.one(ROWS)),
        4 => Message::close('S', name),
        5 => Message::close('P', name),
        6 => {
            let (sql, types) = statement_text(chance, vocabulary);
            Message::parse("", sql, &declared(chance, types))
        }
        7 => {
            let types = chance.one(&["", "i", "it"]);
            let portal = chance.one(NAMES);
            bind(chance, vocabulary, portal, name, types)
        }
        _ => chance.one(&[Message::copy_done as fn() -> Message, Message::copy_fail])(),
    }
}

/// One to four statements, transaction statements among them.
fn query_text(chance: &mut Chance, vocabulary: &Vocabulary) -> String {
    let count = [1, 1, 2, 3, 4][chance.below(5)];
    let one = |chance: &mut Chance| match chance.below(5) {
        0 | 1 => chance.one(TURNS),
        _ => chance.one(vocabulary.texts),
    };
    let statements: Vec<&str> = (0..count).map(|_| one(chance)).collect();
    statements.join(chance.one(&["; ", ";", "; ; /* ; */ "]))
}

fn copy(chance: &mut Chance, vocabulary: &Vocabulary, made: &mut Vec<Message>) {
    let binary = chance.once_in(3);
    let texts = if binary { vocabulary.binary_copies } else { vocabulary.copies };
    if texts.is_empty() {
        return;
    }
    let sql = chance.one(texts);
    if chance.once_in(2) {
        made.push(Message::query(sql));
    } else {
        made.push(Message::parse("", sql, &[]));
        made.push(Message::bind("", "", &[], &[]));
        made.push(Message::execute("", 0));
        match chance.below(4) {
            0 | 1 => made.push(Message::sync()),
            2 => made.push(Message::flush()),
            _ => {}
        }
    }
    let is_good = !chance.once_in(5);
    let data = if binary { binary_rows(chance, is_good) } else { text_rows(chance, is_good) };
    for part in data.chunks(1 + chance.below(20)) {
        // No Sync among the data: whether PostgreSQL has met a wrong row by then is a matter of time.
        made.push(Message::copy_data(part));
    }
    made.push(match chance.below(8) {
        0 | 1 => Message::copy_fail(),
        2 if is_good => Message::query("SELECT 'in the middle'"),
        _ => Message::copy_done(),
    });
    if !chance.once_in(4) {
        made.push(Message::sync());
    }
}

fn text_rows(chance: &mut Chance, is_good: bool) -> Vec<u8> {
    let mut rows = Vec::new();
    for _ in 0..chance.below(4) {
        let id = 100 + chance.below(40);
        rows.extend(format!("{id}\t{}\n", chance.one(&["x", "\\N", "a\\tb", "ä"])).as_bytes());
    }
    if !is_good {
        rows.extend(b"no number\tx\n");
    }
    if chance.once_in(4) {
        rows.extend(b"\\.\n");
    }
    rows
}

fn binary_rows(chance: &mut Chance, is_good: bool) -> Vec<u8> {
    let mut rows = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    for _ in 0..chance.below(4) {
        let id = 100 + chance.below(40) as i32;
        rows.extend([0, 2, 0, 0, 0, 4]);
        rows.extend(id.to_be_bytes());
        rows.extend([0, 0, 0, 1, b'x']);
    }
    if is_good {
        rows.extend([0xff, 0xff]);
    }
    rows
}

/// version(), lo_create(text as oid), a division by zero's cousin, one that is not there.
fn function_call(chance: &mut Chance) -> Message {
    match chance.below(4) {
        0 => Message::function_call(870, Some("LOWER"), 0),
        1 => Message::function_call(870, Some("LOWER"), 1),
        2 => Message::function_call(1317, None, 0),
        _ => Message::function_call(4_000_000, None, 0),
    }
}
