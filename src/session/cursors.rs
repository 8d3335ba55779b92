//! SQL's cursors: on the one shard that their query needs, or over several, read in portions.

use std::ops::Range;
use std::rc::Rc;

use crate::execute::{Arguments, Call, Cursor, Failure, write_row};
use crate::plan::{Plan, Statement};
use crate::proxy::Pinned;
use crate::sql::{self, Scanner, Token};
use crate::types::{Refusal, SqlState};
use crate::wire::backend::{self, Field};

use super::control::not_yet;
use super::conversation::Session;

/// A cursor over several shards.
pub(super) struct OpenCursor {
    /// What is left of its rows.
    pub cursor: Cursor,
    /// How many savepoints were open when it was declared; it ends with the last of them.
    pub level: usize,
}

impl Session {
    /// `DECLARE name CURSOR FOR query`
    pub(super) async fn declare(
        &mut self,
        call: &Call,
        name: &str,
        hold: bool,
        inner: Range<usize>,
    ) -> Result<(), Failure> {
        if (self.is_pipelined() || self.extended.open_cursors.contains_key(name)) && !hold {
            return Err(self.no_cursor_of(name).into());
        }
        let direct = match Box::pin(self.plan_inner(call, inner.clone())).await? {
            Plan::Direct(direct) => direct,
            plan @ (Plan::Scatter(_) | Plan::Gather(_)) if !hold => {
                return self.declare_over_shards(call, name, inner, &plan).await;
            }
            Plan::Scatter(_)
            | Plan::Gather(_)
            | Plan::MultiWrite(_)
            | Plan::Carry(_)
            | Plan::Copy(_)
            | Plan::CopyOut(_)
            | Plan::Everywhere { .. } => {
                return Err(not_yet(
                    "cursors WITH HOLD over several shards",
                    "Add the sharding key to the query, or declare it without HOLD in a transaction.",
                ));
            }
        };
        let rewritten = match &direct.statement {
            Statement::Original => None,
            Statement::Rewritten { sql, parameters } if parameters.is_empty() => {
                Some(Call { text: format!("{}{sql}", &call.text[..inner.start]).into(), ..call.clone() })
            }
            Statement::Rewritten { .. } => {
                return Err(not_yet("cursors over a rewritten statement with parameters", "Read it without a cursor."));
            }
        };
        let call = rewritten.as_ref().unwrap_or(call);
        if hold {
            self.link.keep_servers(Pinned::HeldCursor, [direct.shard].into_iter().collect());
        }
        self.on_shard(call, direct.shard, false).await?;
        let cursors = if hold { &mut self.extended.held_cursors } else { &mut self.extended.cursors };
        cursors.insert(name.to_owned(), direct.shard);
        Ok(())
    }

    fn no_cursor_of(&self, name: &str) -> Refusal {
        if self.extended.open_cursors.contains_key(name) {
            return Refusal::new(SqlState::DUPLICATE_CURSOR, format!("cursor \"{name}\" already exists"));
        }
        let message = "DECLARE CURSOR can only be used in transaction blocks";
        Refusal::new(SqlState::NO_ACTIVE_TRANSACTION, message)
    }

    async fn declare_over_shards(
        &mut self,
        call: &Call,
        name: &str,
        inner: Range<usize>,
        plan: &Plan,
    ) -> Result<(), Failure> {
        if !self.link.transaction.is_open() {
            return Err(self.no_cursor_of(name).into());
        }
        if self.extended.cursor(name).is_some() || self.extended.portal(name).is_some() {
            let message = format!("cursor \"{name}\" already exists");
            return Err(Refusal::new(SqlState::DUPLICATE_CURSOR, message).into());
        }
        if !only_forward(&call.text[..inner.start]) {
            return Err(not_yet(
                "SCROLL and BINARY cursors over several shards",
                "Leave the word out, or add the sharding key to the query.",
            ));
        }
        let text = &call.text[inner];
        // FETCH asks for text in its own time.
        let arguments = call.arguments.as_deref().filter(|own| !own.values.is_empty());
        let arguments = arguments.map(|own| Rc::new(Arguments { result_formats: Vec::new(), ..own.clone() }));
        let mut query = Call { text: text.into(), arguments, describe: false, literals: None };
        let number = self.extended.next_cursor();
        let cursor = match plan {
            Plan::Scatter(scatter) if self.link.merges_here(&query, scatter).await? => {
                self.link.open_cursor(&query, scatter, number).await?
            }
            plan => {
                query.describe = true;
                self.link.keep_cursor(&query, plan).await?
            }
        };
        let level = self.link.transaction.savepoints.len();
        self.extended.open_cursors.insert(name.to_owned(), OpenCursor { cursor, level });
        backend::write_command_complete(self.link.client.output(), "DECLARE CURSOR");
        Ok(())
    }

    /// FETCH, MOVE or CLOSE of a cursor over several shards; `None` if there is none of this name.
    pub(super) async fn on_open_cursor(&mut self, call: &Call, name: &str) -> Option<Result<(), Failure>> {
        if !self.link.transaction.is_open() {
            return None;
        }
        if let Some(mut open) = self.extended.open_cursors.remove(name) {
            let closes = is_first_word(&call.text, "close");
            let done = match closes {
                true => self.close(&open.cursor).await,
                false => self.fetch(call, &mut open.cursor).await,
            };
            if !closes {
                self.extended.open_cursors.insert(name.to_owned(), open);
            }
            return Some(done);
        }
        let cursor = self.extended.take_portal_cursor(name)?;
        let mut cursor = cursor;
        let done = match is_first_word(&call.text, "move") {
            true => self.fetch(call, &mut cursor).await,
            false => Err(not_yet("FETCH and CLOSE by SQL of a portal over several shards", "Use the protocol.")),
        };
        self.extended.put_portal_cursor(name, cursor);
        Some(done)
    }

    async fn close(&mut self, cursor: &Cursor) -> Result<(), Failure> {
        self.link.close_cursor(cursor).await?;
        backend::write_command_complete(self.link.client.output(), "CLOSE CURSOR");
        Ok(())
    }

    async fn fetch(&mut self, call: &Call, cursor: &mut Cursor) -> Result<(), Failure> {
        let Some(count) = forward_count(&call.text) else {
            return Err(not_yet(
                "FETCH and MOVE other than forward over several shards",
                "Fetch forward, or add the sharding key to the query.",
            ));
        };
        let shows = is_first_word(&call.text, "fetch");
        if call.arguments.as_ref().is_some_and(|own| own.result_formats.iter().any(|format| *format != 0)) && shows {
            return Err(not_yet("FETCH in binary format over several shards", "Ask for text, or use a portal."));
        }
        if shows && call.describe {
            backend::write_row_description(self.link.client.output(), &cursor.fields);
        }
        let rows = self.pass_cursor(cursor, count, shows).await?;
        let verb = if shows { "FETCH" } else { "MOVE" };
        backend::write_command_complete(self.link.client.output(), &format!("{verb} {rows}"));
        Ok(())
    }

    /// Takes rows off a cursor, and passes them if they are to be shown; returns how many there were.
    pub(super) async fn pass_cursor(
        &mut self,
        cursor: &mut Cursor,
        count: usize,
        shows: bool,
    ) -> Result<usize, Failure> {
        let mut rows = 0;
        while rows < count {
            let Some(body) = self.link.cursor_row(cursor, count - rows).await? else { break };
            rows += 1;
            if shows {
                write_row(self.link.client.output(), &body);
                self.link.client.flush_if_large().await?;
            }
        }
        Ok(rows)
    }

    /// Returns the columns of a cursor over several shards.
    pub(super) fn open_cursor_fields(&self, name: &str) -> Option<&[Field]> {
        self.extended.open_cursors.get(name).map(|open| open.cursor.fields.as_slice())
    }
}

fn is_first_word(text: &str, word: &str) -> bool {
    Scanner::new(text).next().is_some_and(|token| token.is_word(text, word))
}

/// Tells whether the head of a DECLARE asks for nothing but rows in their order, as text.
fn only_forward(head: &str) -> bool {
    let mut before: Option<Token> = None;
    Scanner::new(head).all(|token| {
        let scrolls = token.is_word(head, "scroll") && !before.is_some_and(|before| before.is_word(head, "no"));
        before = Some(token);
        !scrolls && !token.is_word(head, "binary")
    })
}

/// Returns how many rows a FETCH or MOVE goes forward; `None` if it is anything else.
fn forward_count(text: &str) -> Option<usize> {
    let mut tokens: Vec<Token> = Scanner::new(text).filter(|token| !token.is_mark(text, ";")).skip(1).collect();
    tokens.pop().and_then(|name| sql::identifier(text, name))?;
    if tokens.last().is_some_and(|token| token.is_word(text, "from") || token.is_word(text, "in")) {
        tokens.pop();
    }
    let written = match tokens.as_slice() {
        [] => return Some(1),
        [only] if only.is_word(text, "next") || only.is_word(text, "forward") => return Some(1),
        [only] => only,
        [forward, count] if forward.is_word(text, "forward") => count,
        _ => return None,
    };
    if written.is_word(text, "all") {
        return Some(usize::MAX);
    }
    written.text(text).parse().ok().filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::{forward_count, only_forward};

    #[test]
    fn only_forward_steps_have_a_count() {
        let cases = [
            ("FETCH c", Some(1)),
            ("fetch next from c", Some(1)),
            ("FETCH FORWARD IN c;", Some(1)),
            ("FETCH 5 c", Some(5)),
            ("FETCH FORWARD 7 FROM \"C\"", Some(7)),
            ("MOVE ALL FROM c", Some(usize::MAX)),
            ("MOVE FORWARD ALL IN c", Some(usize::MAX)),
            ("FETCH 0 FROM c", None),
            ("FETCH -1 FROM c", None),
            ("FETCH PRIOR FROM c", None),
            ("FETCH BACKWARD 2 FROM c", None),
            ("FETCH ABSOLUTE 2 FROM c", None),
            ("FETCH LAST FROM c", None),
            ("FETCH", None),
        ];
        for (text, count) in cases {
            assert_eq!(forward_count(text), count, "{text}");
        }
    }

    #[test]
    fn scrolling_is_noticed() {
        assert!(only_forward("DECLARE c CURSOR FOR") && only_forward("declare c insensitive no scroll cursor for"));
        assert!(!only_forward("DECLARE c SCROLL CURSOR FOR") && !only_forward("DECLARE c BINARY CURSOR FOR"));
    }
}
