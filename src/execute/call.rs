//! One execution of one statement, in the protocol that the client chose.

use std::borrow::Cow;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use crate::outbox::{RedoCommand, RedoParameter};
use crate::plan::{ParameterSource, Statement};
use crate::sql::Literal;
use crate::wire::frontend::{self, BindValue, Target};

/// PostgreSQL's type oid of `bigint`.
pub(super) const BIGINT_OID: u32 = 20;

/// A statement and its values, as the client sent them.
#[derive(Debug, Clone)]
pub struct Call {
    /// The statement's text.
    pub text: Rc<str>,
    /// The values bound, `None` in the simple protocol.
    pub arguments: Option<Rc<Arguments>>,
    /// Whether the client expects a RowDescription with this execution.
    pub describe: bool,
    /// The literals of the text, where its plan may have been made for another text with the same skeleton.
    pub literals: Option<Rc<[Literal]>>,
}

/// What Parse and Bind said.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    /// Parameter types as declared in Parse; may be shorter than `values`, 0 means undeclared.
    pub types: Vec<u32>,
    /// One format code per value.
    pub formats: Vec<i16>,
    /// The values, `None` is NULL.
    pub values: Vec<Option<Bytes>>,
    /// Result format codes as the client sent them: none, one for all, or one per column.
    pub result_formats: Vec<i16>,
}

/// Text and parameters as one server gets them.
struct Resolved<'a> {
    sql: Cow<'a, str>,
    types: Vec<u32>,
    formats: Vec<i16>,
    values: Vec<Option<Cow<'a, [u8]>>>,
}

impl Call {
    /// Makes a call of the simple protocol.
    pub fn simple(text: Rc<str>) -> Self {
        Self { text, arguments: None, describe: true, literals: None }
    }

    /// Returns the text that `statement` stands for.
    pub fn sql<'a>(&'a self, statement: &'a Statement) -> &'a str {
        match statement {
            Statement::Original => &self.text,
            Statement::Rewritten { sql, .. } => sql,
        }
    }

    /// Returns the types of the parameters that `statement` has, as far as they are declared.
    pub fn types(&self, statement: &Statement) -> Vec<u32> {
        let declared = self.arguments.as_ref().map_or(&[][..], |arguments| &arguments.types);
        match statement {
            Statement::Original => declared.to_vec(),
            Statement::Rewritten { parameters, .. } => {
                parameters.iter().map(|source| type_of(source, declared)).collect()
            }
        }
    }

    /// Appends the messages that run `statement` on a server, up to the ReadyForQuery they cause.
    pub fn write(&self, out: &mut BytesMut, statement: &Statement) {
        match &self.arguments {
            None => frontend::write_query(out, self.sql(statement)),
            Some(_) => {
                self.write_bound(out, statement, "");
                frontend::write_execute(out, "", 0);
                frontend::write_sync(out);
            }
        }
    }

    /// Appends the messages that make and describe a portal for `statement`.
    pub fn write_bound(&self, out: &mut BytesMut, statement: &Statement, portal: &str) {
        frontend::write_parse(out, "", self.sql(statement), &self.types(statement));
        self.write_values(out, statement, portal, "");
    }

    /// Appends the messages that make and describe a portal of the statement that a server knows as `name`.
    pub fn write_values(&self, out: &mut BytesMut, statement: &Statement, portal: &str, name: &str) {
        let resolved = self.resolve(statement);
        let values: Vec<BindValue<'_>> = resolved
            .formats
            .iter()
            .zip(&resolved.values)
            .map(|(format, value)| BindValue { format: *format, value: value.as_deref() })
            .collect();
        let result_formats = self.arguments.as_ref().map_or(&[][..], |arguments| &arguments.result_formats);
        frontend::write_bind(out, portal, name, &values, result_formats);
        frontend::write_describe(out, Target::Portal, portal);
    }

    /// Returns the statement frozen for a redo; `expected_rows` is what it did when it ran.
    pub fn freeze(&self, statement: &Statement, expected_rows: u64) -> RedoCommand {
        let resolved = self.resolve(statement);
        let parameters = resolved
            .formats
            .iter()
            .zip(resolved.values)
            .map(|(format, value)| RedoParameter { format: *format, value: value.map(Cow::into_owned) })
            .collect();
        RedoCommand {
            sql: resolved.sql.into_owned(),
            types: resolved.types,
            parameters,
            expected_rows: expected_rows as i64,
        }
    }

    fn resolve<'a>(&'a self, statement: &'a Statement) -> Resolved<'a> {
        match (statement, &self.arguments) {
            (Statement::Original, None) => {
                Resolved { sql: Cow::Borrowed(&self.text), types: vec![], formats: vec![], values: vec![] }
            }
            (Statement::Original, Some(arguments)) => Resolved {
                sql: Cow::Borrowed(&self.text),
                types: arguments.types.clone(),
                formats: arguments.formats.clone(),
                values: arguments.values.iter().map(|value| value.as_deref().map(Cow::Borrowed)).collect(),
            },
            (Statement::Rewritten { sql, parameters }, arguments) => {
                let mut resolved = Resolved {
                    sql: Cow::Borrowed(sql),
                    types: self.types(statement),
                    formats: Vec::with_capacity(parameters.len()),
                    values: Vec::with_capacity(parameters.len()),
                };
                for source in parameters {
                    resolved.push(source, arguments.as_deref());
                }
                resolved
            }
        }
    }
}

impl<'a> Resolved<'a> {
    fn push(&mut self, source: &'a ParameterSource, arguments: Option<&'a Arguments>) {
        let (format, value) = match source {
            ParameterSource::Client(index) => {
                let format = arguments.and_then(|own| own.formats.get(*index)).copied().unwrap_or(0);
                let value = arguments.and_then(|own| own.values.get(*index)?.as_deref());
                (format, value.map(Cow::Borrowed))
            }
            ParameterSource::Bigint(value) => (0, Some(Cow::Owned(value.to_string().into_bytes()))),
            ParameterSource::Text(value) => (0, Some(Cow::Borrowed(value.as_bytes()))),
        };
        self.formats.push(format);
        self.values.push(value);
    }
}

/// Returns a parameter's type; 0 if it is not declared.
fn type_of(source: &ParameterSource, declared: &[u32]) -> u32 {
    match source {
        ParameterSource::Client(index) => declared.get(*index).copied().unwrap_or(0),
        ParameterSource::Bigint(_) => BIGINT_OID,
        ParameterSource::Text(_) => 0,
    }
}
