//! What a DO block changes of the schema, as far as its text tells: migrations wrap DDL in one to swallow the error of an
//! object that is there already.

use super::mask::{literal_value, literals};
use super::name::identifier;
use super::scan::{Scanner, Token};
use super::utility::{Ddl, Utility, utility};

/// Words behind which a statement of PL/pgSQL begins.
const BEFORE_STATEMENT: [&str; 5] = ["begin", "then", "else", "loop", "exception"];
/// Statements that are conditions up to THEN or LOOP.
const CONDITIONS: [&str; 4] = ["if", "elsif", "when", "while"];
/// Statements that do nothing to the database.
const HARMLESS: [&str; 6] = ["null", "raise", "return", "exit", "continue", "end"];

/// The changes of the schema in a DO block.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The statements that change it, in order.
    pub ddl: Vec<(String, Ddl)>,
    /// Whether there is anything else than these and conditions on the catalogs.
    pub more: bool,
}

/// Reads the body of a DO block in PL/pgSQL; empty for another statement.
pub fn schema_changes(text: &str) -> Changes {
    let words: Vec<Token> = Scanner::new(text).collect();
    let is = |at: usize, word: &str| words.get(at).is_some_and(|token| token.is_word(text, word));
    let others = (0..words.len()).any(|at| is(at, "language") && !is(at + 1, "plpgsql"));
    match literals(text).as_slice() {
        [body] if is(0, "do") && !others => {
            literal_value(text, body).map(|body| Walk::of(&body).changes).unwrap_or_default()
        }
        _ => Changes::default(),
    }
}

struct Walk<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    changes: Changes,
}

impl<'a> Walk<'a> {
    fn of(text: &'a str) -> Self {
        let mut walk = Self { text, tokens: Scanner::new(text).collect(), changes: Changes::default() };
        let mut at = 0;
        while at < walk.tokens.len() {
            at = walk.statement(at);
        }
        walk
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(self.text, word))
    }

    fn is_one_of(&self, at: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(at, word))
    }

    /// Takes the statement that begins at a token; returns where the next one does.
    fn statement(&mut self, at: usize) -> usize {
        if self.tokens[at].is_mark(self.text, ";") || self.is_one_of(at, &BEFORE_STATEMENT) {
            return at + 1;
        }
        if self.is(at, "declare") {
            // Values of variables may be anything, but what they are used for shows.
            return self.find(at, |walk, at| walk.is(at, "begin"));
        }
        if self.is_one_of(at, &CONDITIONS) {
            let end = self.find(at, |walk, at| walk.is_one_of(at, &["then", "loop"]));
            self.changes.more |= !self.looks_at_catalogs(at, end);
            return end;
        }
        if self.is_one_of(at, &["for", "foreach"]) {
            self.changes.more = true;
            return self.find(at, |walk, at| walk.is(at, "loop"));
        }
        let end = self.find(at, |walk, at| walk.tokens[at].is_mark(walk.text, ";"));
        let statement = self.said(at, end);
        match utility(&statement) {
            Some(Utility::Ddl(ddl)) if ddl.query.is_none() => self.changes.ddl.push((statement, ddl)),
            _ => self.changes.more |= !self.is_one_of(at, &HARMLESS),
        }
        end
    }

    /// Returns a statement's text; of EXECUTE with a constant, what that says.
    fn said(&self, at: usize, end: usize) -> String {
        let text = |from: usize, to: usize| self.text[self.tokens[from].start..self.tokens[to - 1].end].to_owned();
        if self.is(at, "execute") && end == at + 2 && self.tokens[at + 1].is_string() {
            let constant = text(at + 1, end);
            let found = literals(&constant);
            return found.first().and_then(|found| literal_value(&constant, found)).unwrap_or_default().into_owned();
        }
        text(at, end)
    }

    /// Returns the first token from `at` on, outside of parentheses, of which `is_it` holds; else the end.
    fn find(&self, at: usize, is_it: impl Fn(&Self, usize) -> bool) -> usize {
        let mut depth = 0_usize;
        for (at, token) in self.tokens.iter().enumerate().skip(at) {
            match token.text(self.text) {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                _ if depth == 0 && is_it(self, at) => return at,
                _ => {}
            }
        }
        self.tokens.len()
    }

    /// Tells whether tables that a condition names are PostgreSQL's own.
    fn looks_at_catalogs(&self, at: usize, end: usize) -> bool {
        (at..end).filter(|at| self.is_one_of(*at, &["from", "join"])).all(|at| {
            let table = self.tokens.get(at + 1).and_then(|token| identifier(self.text, *token));
            table.is_some_and(|table| table.starts_with("pg_") || table == "information_schema")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> (Vec<String>, bool) {
        let changes = schema_changes(text);
        (changes.ddl.into_iter().map(|(statement, _)| statement).collect(), changes.more)
    }

    #[test]
    fn changes_of_the_schema_are_found() {
        let cases = [
            (
                "DO 'BEGIN CREATE TYPE \"public\".\"e\" AS ENUM(''a'', ''b''); EXCEPTION WHEN duplicate_object THEN null; END'",
                vec!["CREATE TYPE \"public\".\"e\" AS ENUM('a', 'b')"],
            ),
            (
                "do $$ declare x int := 1; begin if not exists (select from pg_type t join pg_catalog.pg_namespace n on true) \
                 then create type e as enum (); elsif true then execute 'alter table t add a int'; end if; end $$ language plpgsql;",
                vec!["create type e as enum ()", "alter table t add a int"],
            ),
            ("DO $$ BEGIN RAISE NOTICE 'x'; END $$", vec![]),
        ];
        for (text, statements) in cases {
            assert_eq!(found(text), (statements.into_iter().map(str::to_owned).collect(), false), "{text}");
        }
    }

    #[test]
    fn what_else_it_does_is_told() {
        for text in [
            "DO $$ BEGIN CREATE TYPE e AS ENUM (); INSERT INTO t VALUES (1); END $$",
            "DO $$ BEGIN IF (SELECT count(*) FROM t) = 0 THEN CREATE TYPE e AS ENUM (); END IF; END $$",
            "DO $$ BEGIN FOR r IN SELECT 1 LOOP CREATE TYPE e AS ENUM (); END LOOP; END $$",
            "DO $$ BEGIN CREATE TYPE e AS ENUM (); EXECUTE format('CREATE TABLE %I ()', 'x'); END $$",
            "DO $$ DECLARE x int; BEGIN CREATE TYPE e AS ENUM (); x := nextval('s'); END $$",
            "DO $$ BEGIN CREATE TYPE e AS ENUM (); PERFORM f(); END $$",
        ] {
            let (statements, more) = found(text);
            assert!(more && !statements.is_empty(), "{text}: {statements:?}");
        }
        for text in ["DO LANGUAGE plperl 'CREATE TYPE e'", "SELECT 'BEGIN CREATE TYPE e AS ENUM (); END'", "DO $$ $$"] {
            assert!(schema_changes(text).ddl.is_empty(), "{text}");
        }
    }
}
