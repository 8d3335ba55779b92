//! What a statement leaves with its session, read from its text: settings to replay, statements forgotten, what pins.
//!
//! Only for sessions whose statements pass unread otherwise. Whether a statement is right is the server's word: a
//! consequence counts once the server said that the statement is complete.

use std::cell::RefCell;
use std::rc::Rc;

use quick_cache::unsync::Cache;

use crate::proxy::Pinned;
use crate::sql::{self, Control, Ddl, Discard, SetScope, Skeleton, Utility};

use super::harmless::Suspicions;
use super::meanings::{Meanings, is_block};
use super::pins::{calls, pins};
use super::set_config::outlives_transaction;
use super::settings::plain_value;

/// Texts remembered per worker; each costs its skeleton and a pointer.
const TEXTS_MAX: usize = 4096;
/// Longer texts are read anew each time: one of them would displace many short ones.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Client encodings, with their other names, in which bytes of one letter may look like ASCII.
const TREACHEROUS: [&str; 17] = [
    "sjis",
    "mskanji",
    "shiftjis",
    "win932",
    "windows932",
    "shiftjis2004",
    "big5",
    "win950",
    "windows950",
    "gbk",
    "win936",
    "windows936",
    "gb18030",
    "uhc",
    "win949",
    "windows949",
    "johab",
];

/// What one statement leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing that outlives its transaction.
    Nothing,
    /// `SET name TO value` for the session; the value is SQL text.
    Set {
        /// Lower case.
        name: String,
        /// As written.
        value: String,
    },
    /// `RESET name`, `SET name TO DEFAULT`
    Reset(String),
    /// `RESET ALL`
    ResetAll,
    /// `DISCARD ALL`
    DiscardAll,
    /// `DEALLOCATE name`
    Deallocate(String),
    /// `DEALLOCATE ALL`
    DeallocateAll,
    /// `SAVEPOINT name`
    Savepoint(String),
    /// `ROLLBACK TO name`
    RollbackTo(String),
    /// `RELEASE name`
    Release(String),
    /// Something that lives on the server until the session ends.
    Pin(Pinned),
}

/// The consequences of a text, one per statement in order; empty where no statement has any.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// One per statement.
    pub statements: Box<[Consequence]>,
    /// Whether the text is a single `BEGIN` without modes: it can wait for the statement behind it.
    pub begins: bool,
    /// Whether texts mean something else after it.
    pub meanings: Meanings,
    /// The databases that nobody may be connected to for it.
    pub deserted: Box<[String]>,
    /// The databases whose sessions begin with other settings after it; `None` is all of them.
    pub redefined: Box<[Option<String>]>,
}

/// `pg_proc.dat`: pg_advisory_lock, its shared and its try forms, for one key and for two.
const SESSION_LOCKS: [u32; 8] = [2880, 2881, 2882, 2883, 2886, 2887, 2888, 2889];
/// `pg_proc.dat`: set_config.
const SET_CONFIG: u32 = 2078;

impl Reading {
    /// Tells whether anything has to be done when it runs.
    pub fn is_harmless(&self) -> bool {
        self.statements.is_empty() && self.meanings == Meanings::default() && self.deserted.is_empty()
    }

    /// Tells whether prepared statements end with it.
    pub fn forgets_statements(&self) -> bool {
        let forgets = |consequence: &Consequence| match consequence {
            Consequence::DiscardAll | Consequence::Deallocate(_) | Consequence::DeallocateAll => true,
            Consequence::Nothing
            | Consequence::Set { .. }
            | Consequence::Reset(_)
            | Consequence::ResetAll
            | Consequence::Savepoint(_)
            | Consequence::RollbackTo(_)
            | Consequence::Release(_)
            | Consequence::Pin(_) => false,
        };
        self.statements.iter().any(forgets)
    }

    /// Reads what a FunctionCall of the function with this oid leaves with the session.
    pub fn of_function(oid: u32) -> Self {
        let pin = match oid {
            SET_CONFIG => Some(Pinned::Setting),
            oid if SESSION_LOCKS.contains(&oid) => Some(Pinned::AdvisoryLock),
            _ => None,
        };
        Self { statements: pin.map(Consequence::Pin).into_iter().collect(), ..Self::default() }
    }
}

/// One worker's memory of texts that leave nothing with their session, by skeleton.
pub struct Readings {
    harmless: RefCell<Cache<Box<str>, Rc<Reading>>>,
    skeleton: RefCell<Skeleton>,
    suspicions: Suspicions,
    nothing: Rc<Reading>,
    begin: Rc<Reading>,
}

impl Default for Readings {
    fn default() -> Self {
        let begin = Reading { begins: true, ..Reading::default() };
        Self {
            harmless: RefCell::new(Cache::new(TEXTS_MAX)),
            skeleton: RefCell::default(),
            suspicions: Suspicions::default(),
            nothing: Rc::default(),
            begin: Rc::new(begin),
        }
    }
}

impl Readings {
    /// Returns what `text` leaves behind. Bytes that are not UTF-8 are taken for letters.
    pub fn read(&self, text: &[u8]) -> Rc<Reading> {
        if self.suspicions.clear(text) {
            return Rc::clone(&self.nothing);
        }
        let text = String::from_utf8_lossy(text);
        if text.len() > TEXT_BYTES_MAX {
            return Rc::new(read(&text));
        }
        self.remembered(&text).unwrap_or_else(|| self.remember(&text))
    }

    fn remembered(&self, text: &str) -> Option<Rc<Reading>> {
        let mut skeleton = self.skeleton.borrow_mut();
        sql::mask(text, &mut skeleton);
        self.harmless.borrow().get(skeleton.text.as_str()).cloned()
    }

    fn remember(&self, text: &str) -> Rc<Reading> {
        let reading = read(text);
        if !reading.statements.is_empty() || !reading.deserted.is_empty() || hides_in_constants(text) {
            return Rc::new(reading);
        }
        let shared = match (reading.begins, reading.is_harmless()) {
            (true, _) => Rc::clone(&self.begin),
            (false, true) => Rc::clone(&self.nothing),
            (false, false) => Rc::new(reading),
        };
        let skeleton = self.skeleton.borrow().text.as_str().into();
        self.harmless.borrow_mut().insert(skeleton, Rc::clone(&shared));
        shared
    }
}

fn read(text: &str) -> Reading {
    let ranges = sql::split(text);
    let begins = matches!(ranges.as_slice(), [one] if is_plain_begin(&text[one.clone()]));
    let statements: Vec<_> = ranges.iter().map(|range| consequence(&text[range.clone()])).collect();
    let harmless = statements.iter().all(|consequence| *consequence == Consequence::Nothing);
    let mut meanings = Meanings::of(text, &ranges);
    let redefined: Box<[_]> = ranges.iter().filter_map(|range| sql::redefined_defaults(&text[range.clone()])).collect();
    // One of them may be `search_path`.
    meanings.schema |= !redefined.is_empty();
    let deserted = ranges.into_iter().filter_map(|range| sql::deserted_database(&text[range])).collect();
    let statements = if harmless { Box::default() } else { statements.into() };
    Reading { statements, begins, meanings, deserted, redefined }
}

/// Tells whether what a text leaves depends on its constants, which texts remembered by skeleton have in common.
fn hides_in_constants(text: &str) -> bool {
    calls(text, "set_config") || sql::split(text).into_iter().any(|range| is_block(&text[range]))
}

fn is_plain_begin(statement: &str) -> bool {
    let begin = statement.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("begin"));
    begin && matches!(sql::control(statement), Some(Control::Begin { modes, .. }) if modes.trim().is_empty())
}

fn consequence(statement: &str) -> Consequence {
    match sql::control(statement) {
        Some(Control::Set(setting)) => match setting.scope {
            SetScope::Local | SetScope::Transaction => Consequence::Nothing,
            SetScope::SessionCharacteristics => Consequence::Pin(Pinned::Setting),
            SetScope::Session if setting.name == "constraints" => Consequence::Nothing,
            SetScope::Session if setting.value_text.trim().eq_ignore_ascii_case("default") => {
                Consequence::Reset(setting.name)
            }
            SetScope::Session if hides_ascii(&setting) => Consequence::Pin(Pinned::Setting),
            SetScope::Session => Consequence::Set { name: setting.name, value: setting.value_text.trim().to_owned() },
        },
        Some(Control::Reset(Some(name))) => Consequence::Reset(name),
        Some(Control::Reset(None)) => Consequence::ResetAll,
        Some(Control::Discard(Discard::All)) => Consequence::DiscardAll,
        Some(Control::Deallocate(Some(name))) => Consequence::Deallocate(name),
        Some(Control::Deallocate(None)) => Consequence::DeallocateAll,
        Some(Control::Savepoint(name)) => Consequence::Savepoint(name),
        Some(Control::RollbackTo(name)) => Consequence::RollbackTo(name),
        Some(Control::Release(name)) => Consequence::Release(name),
        Some(Control::Prepare { .. }) => Consequence::Pin(Pinned::PreparedStatement),
        Some(Control::Declare { hold: true, .. }) => Consequence::Pin(Pinned::HeldCursor),
        Some(Control::Listen(_)) => Consequence::Pin(Pinned::Listen),
        Some(_) | None => pinned(statement).map_or(Consequence::Nothing, Consequence::Pin),
    }
}

fn hides_ascii(setting: &sql::Setting) -> bool {
    matches!(setting.name.as_str(), "client_encoding" | "names") && is_treacherous(&plain_value(&setting.value_text))
}

/// Tells whether letters of this client encoding may have bytes that look like ASCII, so that texts in it are misread.
pub fn is_treacherous(encoding: &str) -> bool {
    let plain: String = encoding.chars().filter(char::is_ascii_alphanumeric).collect();
    TREACHEROUS.iter().any(|name| plain.eq_ignore_ascii_case(name))
}

fn pinned(statement: &str) -> Option<Pinned> {
    if matches!(sql::utility(statement), Some(Utility::Ddl(Ddl { temporary: true, .. }))) {
        return Some(Pinned::TemporaryTable);
    }
    if calls(statement, "set_config") && outlives_transaction(statement) {
        return Some(Pinned::Setting);
    }
    if is_block(statement) {
        return in_block(statement);
    }
    Some(pins(statement)).filter(|pinned| *pinned != Pinned::No)
}

/// Guesses what the body of a DO block leaves behind: its words are looked at, whatever they mean there.
fn in_block(statement: &str) -> Option<Pinned> {
    const WORDS: [(&str, Pinned); 7] = [
        ("set_config", Pinned::Setting),
        ("set", Pinned::Setting),
        ("advisory_lock", Pinned::AdvisoryLock),
        ("temp", Pinned::TemporaryTable),
        ("temporary", Pinned::TemporaryTable),
        ("listen", Pinned::Listen),
        ("prepare", Pinned::PreparedStatement),
    ];
    let words: Vec<String> = statement
        .split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .map(str::to_ascii_lowercase)
        .collect();
    let found = |wanted: &str| words.iter().any(|word| word == wanted || wanted.contains('_') && word.contains(wanted));
    WORDS.into_iter().find(|(word, _)| found(word)).map(|(_, pinned)| pinned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Consequence {
        let reading = read(text);
        reading.statements.first().cloned().unwrap_or(Consequence::Nothing)
    }

    #[test]
    fn functions_called_by_oid_pin_as_their_names_do() {
        assert_eq!(*Reading::of_function(2880).statements, [Consequence::Pin(Pinned::AdvisoryLock)]);
        assert_eq!(*Reading::of_function(2078).statements, [Consequence::Pin(Pinned::Setting)]);
        assert!(Reading::of_function(952).statements.is_empty());
    }

    #[test]
    fn what_ends_with_the_transaction_leaves_nothing() {
        for text in [
            "SELECT 1; SELECT 2",
            "SET LOCAL work_mem = '1MB'",
            "SET TRANSACTION READ ONLY",
            "SELECT set_config('a.b', $1, true)",
            "DECLARE c CURSOR FOR SELECT 1",
            "COMMIT",
        ] {
            assert_eq!(read(text).statements.len(), 0, "{text}");
        }
    }

    #[test]
    fn settings_are_read_with_their_place_in_the_text() {
        let reading = read("SELECT 1; SET TimeZone = 'UTC'; RESET ALL");
        let set = Consequence::Set { name: "timezone".into(), value: "'UTC'".into() };
        assert_eq!(*reading.statements, [Consequence::Nothing, set, Consequence::ResetAll]);
        assert_eq!(one("SET work_mem TO DEFAULT"), Consequence::Reset("work_mem".into()));
    }

    #[test]
    fn what_lives_on_the_server_pins() {
        assert_eq!(one("SET client_encoding = 'SJIS'"), Consequence::Pin(Pinned::Setting));
        assert_eq!(one("SET NAMES 'SHIFT_JIS_2004'"), Consequence::Pin(Pinned::Setting));
        assert!(matches!(one("SET NAMES 'LATIN1'"), Consequence::Set { .. }));
        assert_eq!(one("DO $$ BEGIN PERFORM set_config('a.b', 'c', false); END $$"), Consequence::Pin(Pinned::Setting));
        assert_eq!(one("DO $$ BEGIN RAISE NOTICE 'x'; END $$"), Consequence::Nothing);
        assert_eq!(one("LISTEN a"), Consequence::Pin(Pinned::Listen));
        assert_eq!(one("PREPARE p AS SELECT 1"), Consequence::Pin(Pinned::PreparedStatement));
        assert_eq!(one("DECLARE c CURSOR WITH HOLD FOR SELECT 1"), Consequence::Pin(Pinned::HeldCursor));
        assert_eq!(one("CREATE TEMP TABLE t ()"), Consequence::Pin(Pinned::TemporaryTable));
        assert_eq!(one("SELECT pg_advisory_lock(1)"), Consequence::Pin(Pinned::AdvisoryLock));
        assert_eq!(one("SELECT set_config('a.b', 'c', false)"), Consequence::Pin(Pinned::Setting));
        assert_eq!(one("SELECT set_config('a.b', lower('C'), $1)"), Consequence::Pin(Pinned::Setting));
    }

    #[test]
    fn a_plain_begin_can_wait() {
        for text in ["BEGIN", "begin;", "BEGIN TRANSACTION"] {
            assert!(read(text).begins, "{text}");
        }
        for text in ["BEGIN READ ONLY", "BEGIN; SELECT 1", "START TRANSACTION", "beginning"] {
            assert!(!read(text).begins, "{text}");
        }
    }

    #[test]
    fn texts_without_consequences_share_a_reading() {
        let readings = Readings::default();
        let (one, two) = (readings.read(b"SELECT 1"), readings.read(b"SELECT  2"));
        assert!(Rc::ptr_eq(&one, &two));
        assert!(!readings.read(b"SET a.b = '\xff'").statements.is_empty());
        assert!(readings.read(b"DO $$ BEGIN RAISE NOTICE 'x'; END $$").is_harmless());
        assert!(!readings.read(b"DO $$ BEGIN PERFORM set_config('a.b', 'c', false); END $$").is_harmless());
    }
}
