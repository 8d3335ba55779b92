//! The extended protocol on the console: drivers prepare, describe, bind and execute its commands like any statement.
//!
//! There are no parameters and all columns are text, so that both formats have the same bytes.

use std::collections::{HashMap, VecDeque};

use crate::admin::console::{ConsoleReply, answer, describe};
use crate::execute::{Client, ClientError, Worker};
use crate::sql;
use crate::types::{Refusal, SqlState, TransactionStatus};
use crate::wire::backend;
use crate::wire::frame::FrameError;
use crate::wire::frontend::{Bind, Close, Describe, Execute, Parse, Target};

use super::console::write_row;
use super::show::text_field;

/// The most statements, and the most portals, of one console client: drivers keep a handful.
const KEPT_MAX: usize = 256;

/// What a console client has prepared and bound.
#[derive(Debug, Default)]
pub(super) struct ConsoleStatements {
    statements: HashMap<String, String>,
    portals: HashMap<String, Portal>,
    /// After an error: everything up to Sync is ignored.
    skipping: bool,
}

#[derive(Debug)]
struct Portal {
    sql: String,
    /// The result formats as bound: none, one for all, or one per column.
    formats: Vec<i16>,
    /// What a row limit left, once it was executed.
    rest: Option<(VecDeque<Vec<Option<String>>>, String)>,
}

/// Why a message was not served.
enum Fault {
    Refused(Refusal),
    Client(ClientError),
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<FrameError> for Fault {
    fn from(error: FrameError) -> Self {
        Self::Client(error.into())
    }
}

impl ConsoleStatements {
    /// Serves one message that is no Query.
    pub(super) async fn message(
        &mut self,
        client: &mut Client,
        worker: &Worker,
        kind: u8,
        body: &[u8],
    ) -> Result<(), ClientError> {
        match kind {
            b'S' => {
                self.skipping = false;
                self.portals.clear();
                backend::write_ready(client.output(), TransactionStatus::Idle);
                return client.flush().await;
            }
            b'H' => return client.flush().await,
            // What is left of a COPY that never began; PostgreSQL ignores it too.
            b'd' | b'c' | b'f' => return Ok(()),
            _ if self.skipping => return Ok(()),
            _ => {}
        }
        match self.step(client, worker, kind, body).await {
            Ok(()) => Ok(()),
            Err(Fault::Client(error)) => Err(error),
            Err(Fault::Refused(refusal)) => {
                self.skipping = true;
                backend::write_error(client.output(), "ERROR", &refusal);
                Ok(())
            }
        }
    }

    async fn step(&mut self, client: &mut Client, worker: &Worker, kind: u8, body: &[u8]) -> Result<(), Fault> {
        match kind {
            b'P' => self.parse(client, Parse::read(body)?),
            b'B' => self.bind(client, Bind::read(body)?),
            b'D' => self.describe(client, Describe::read(body)?),
            b'E' => self.execute(client, worker, Execute::read(body)?).await,
            b'C' => {
                let close = Close::read(body)?;
                match close.target {
                    Target::Statement => drop(self.statements.remove(close.name)),
                    Target::Portal => drop(self.portals.remove(close.name)),
                }
                backend::write_close_complete(client.output());
                Ok(())
            }
            b'F' => Err(Refusal::unsupported("the console has no functions", "SHOW HELP lists the commands.").into()),
            _ => Err(FrameError::Malformed("an unknown message type").into()),
        }
    }

    fn parse(&mut self, client: &mut Client, parse: Parse<'_>) -> Result<(), Fault> {
        let statements = sql::split(parse.sql);
        let sql = match statements.as_slice() {
            [] => String::new(),
            [one] => parse.sql[one.clone()].to_owned(),
            [_, _, ..] => {
                let message = "cannot insert multiple commands into a prepared statement";
                return Err(Refusal::new(SqlState::SYNTAX_ERROR, message).into());
            }
        };
        if !sql.is_empty() {
            describe(&sql)?;
        }
        if !parse.name.is_empty() && self.statements.contains_key(parse.name) {
            let message = format!("prepared statement \"{}\" already exists", parse.name);
            return Err(Refusal::new(SqlState::DUPLICATE_PREPARED_STATEMENT, message).into());
        }
        bounded(self.statements.len())?;
        self.statements.insert(parse.name.to_owned(), sql);
        backend::write_parse_complete(client.output());
        Ok(())
    }

    fn bind(&mut self, client: &mut Client, bind: Bind<'_>) -> Result<(), Fault> {
        let sql = self.statement(bind.statement)?.to_owned();
        if bind.parameter_count() > 0 {
            let message = format!("bind message supplies {} parameters, but none is wanted", bind.parameter_count());
            return Err(Refusal::new(SqlState::PROTOCOL_VIOLATION, message).into());
        }
        bounded(self.portals.len())?;
        let portal = Portal { sql, formats: bind.result_formats().collect(), rest: None };
        self.portals.insert(bind.portal.to_owned(), portal);
        backend::write_bind_complete(client.output());
        Ok(())
    }

    fn describe(&mut self, client: &mut Client, wanted: Describe<'_>) -> Result<(), Fault> {
        let (sql, formats) = match wanted.target {
            Target::Statement => {
                let sql = self.statement(wanted.name)?;
                backend::write_parameter_description(client.output(), &[]);
                (sql, &[][..])
            }
            Target::Portal => {
                let portal = self.portals.get(wanted.name).ok_or_else(|| no_portal(wanted.name))?;
                (portal.sql.as_str(), portal.formats.as_slice())
            }
        };
        let columns = if sql.is_empty() { None } else { describe(sql)? };
        match columns {
            Some(columns) => {
                let field = |(index, name): (usize, &&str)| {
                    let mut field = text_field(name);
                    field.format = formats.get(index).or(formats.first()).copied().unwrap_or(0);
                    field
                };
                let fields: Vec<_> = columns.iter().enumerate().map(field).collect();
                backend::write_row_description(client.output(), &fields);
            }
            None => backend::write_no_data(client.output()),
        }
        Ok(())
    }

    async fn execute(&mut self, client: &mut Client, worker: &Worker, execute: Execute<'_>) -> Result<(), Fault> {
        let portal = self.portals.get_mut(execute.portal).ok_or_else(|| no_portal(execute.portal))?;
        if portal.sql.is_empty() {
            backend::write_empty_query(client.output());
            return Ok(());
        }
        if portal.rest.is_none() {
            portal.rest = Some(match answer(&worker.proxy, &portal.sql).await? {
                ConsoleReply::Table { rows, tag, .. } => (rows.into(), tag),
                ConsoleReply::Done { tag } => (VecDeque::new(), tag),
            });
        }
        let Some((rows, tag)) = &mut portal.rest else { return Ok(()) };
        let wanted = usize::try_from(execute.rows).ok().filter(|rows| *rows > 0).unwrap_or(rows.len());
        rows.drain(..wanted.min(rows.len())).for_each(|row| write_row(client.output(), &row));
        if rows.is_empty() {
            backend::write_command_complete(client.output(), tag);
        } else {
            backend::write_portal_suspended(client.output());
        }
        Ok(())
    }

    fn statement(&self, name: &str) -> Result<&str, Refusal> {
        self.statements.get(name).map(String::as_str).ok_or_else(|| {
            let message = format!("prepared statement \"{name}\" does not exist");
            Refusal::new(SqlState::INVALID_STATEMENT_NAME, message)
        })
    }
}

fn no_portal(name: &str) -> Refusal {
    Refusal::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}

fn bounded(kept: usize) -> Result<(), Refusal> {
    if kept < KEPT_MAX {
        return Ok(());
    }
    let message = format!("a console client may keep {KEPT_MAX} statements");
    Err(Refusal::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message))
}
