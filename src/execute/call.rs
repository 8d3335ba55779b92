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

/// A value as one server gets it, after its format code; `None` is NULL.
type Bound<'a> = (i16, Option<Cow<'a, [u8]>>);

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
    pub fn types(&self, statement: &Statement) -> Cow<'_, [u32]> {
        let declared = self.arguments.as_ref().map_or(&[][..], |arguments| &arguments.types);
        match statement {
            Statement::Original => Cow::Borrowed(declared),
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
        let bound = self.bound(statement);
        let values: Vec<BindValue<'_>> =
            bound.iter().map(|(format, value)| BindValue { format: *format, value: value.as_deref() }).collect();
        let result_formats = self.arguments.as_ref().map_or(&[][..], |arguments| &arguments.result_formats);
        frontend::write_bind(out, portal, name, &values, result_formats);
        frontend::write_describe(out, Target::Portal, portal);
    }

    /// Returns the statement frozen for a redo; `expected_rows` is what it did when it ran.
    pub fn freeze(&self, statement: &Statement, expected_rows: u64) -> RedoCommand {
        let parameters = self.bound(statement).into_iter();
        RedoCommand {
            sql: self.sql(statement).to_owned(),
            types: self.types(statement).into_owned(),
            parameters: parameters
                .map(|(format, value)| RedoParameter { format, value: value.map(Cow::into_owned) })
                .collect(),
            expected_rows: expected_rows as i64,
        }
    }

    /// Returns the values of the parameters that `statement` has.
    fn bound<'a>(&'a self, statement: &'a Statement) -> Vec<Bound<'a>> {
        let arguments = self.arguments.as_deref();
        match statement {
            Statement::Original => {
                (0..arguments.map_or(0, |own| own.values.len())).map(|index| bound_at(index, arguments)).collect()
            }
            Statement::Rewritten { parameters, .. } => {
                parameters.iter().map(|source| bound_of(source, arguments)).collect()
            }
        }
    }
}

/// Returns the value of the client's parameter `index`.
fn bound_at(index: usize, arguments: Option<&Arguments>) -> Bound<'_> {
    let format = arguments.and_then(|own| own.formats.get(index)).copied().unwrap_or(0);
    let value = arguments.and_then(|own| own.values.get(index)?.as_deref());
    (format, value.map(Cow::Borrowed))
}

/// Returns the value of a parameter of a text that the proxy made.
fn bound_of<'a>(source: &'a ParameterSource, arguments: Option<&'a Arguments>) -> Bound<'a> {
    match source {
        ParameterSource::Client(index) => bound_at(*index, arguments),
        ParameterSource::Bigint(value) => (0, Some(Cow::Owned(value.to_string().into_bytes()))),
        ParameterSource::Text(value) => (0, Some(Cow::Borrowed(value.as_bytes()))),
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
