//! The head of `COPY`, both option syntaxes (PostgreSQL's manual, COPY, "Compatibility" has the old ones).

use super::cursor::Cursor;
use super::mask::literals;
use super::name::TableName;
use super::{literal_value, scan::Token};

/// A `COPY` statement up to its end; the data come later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyHead {
    /// The table, `None` for `COPY (query) TO`.
    pub table: Option<TableName>,
    /// The columns in order, `None` without a list.
    pub columns: Option<Vec<String>>,
    /// Byte range of the column list with its parentheses; without one, the empty range where it would stand.
    pub columns_span: std::ops::Range<usize>,
    /// For `COPY (query) TO`: the query's bytes, without parentheses.
    pub query: Option<std::ops::Range<usize>>,
    /// From where to where.
    pub direction: CopyDirection,
    /// The options.
    pub options: CopyOptions,
}

/// From where to where a `COPY` copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CopyDirection {
    /// `FROM STDIN`
    FromStdin,
    /// `TO STDOUT`
    ToStdout,
    /// `FROM 'file'` or `FROM PROGRAM`
    FromFile,
    /// `TO 'file'` or `TO PROGRAM`
    ToFile,
}

/// `FORMAT`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CopyFormat {
    /// `text`
    #[default]
    Text,
    /// `csv`
    Csv,
    /// `binary`
    Binary,
}

/// The columns that `FORCE_NULL`, `FORCE_NOT_NULL` or `FORCE_QUOTE` is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ForceColumns {
    /// The option is not there.
    #[default]
    None,
    /// `*`
    All,
    /// These.
    Columns(Vec<String>),
}

impl ForceColumns {
    /// Tells whether it is about the column.
    pub fn holds(&self, column: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Columns(columns) => columns.iter().any(|known| known == column),
        }
    }
}

/// The options of a `COPY`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CopyOptions {
    /// The format.
    pub format: CopyFormat,
    /// `DELIMITER`
    pub delimiter: Option<String>,
    /// `NULL`
    pub null: Option<String>,
    /// `HEADER`, also `MATCH`
    pub header: bool,
    /// `FREEZE`
    pub freeze: bool,
    /// `ENCODING`
    pub encoding: Option<String>,
    /// Whether there is a `WHERE`.
    pub where_clause: bool,
    /// `QUOTE`
    pub quote: Option<String>,
    /// `ESCAPE`
    pub escape: Option<String>,
    /// `FORCE_NULL`
    pub force_null: ForceColumns,
    /// `FORCE_NOT_NULL`
    pub force_not_null: ForceColumns,
    /// `FORCE_QUOTE`
    pub force_quote: ForceColumns,
    /// Options that are not read here (`on_error`, …), lower case.
    pub others: Vec<String>,
}

/// Reads a `COPY`, `None` if it is none that can be understood.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<CopyHead> {
    let mut options = CopyOptions::default();
    if cursor.word("binary") {
        options.format = CopyFormat::Binary;
    }
    let (table, query) = match cursor.peek()?.is_mark(cursor.text, "(") {
        true => (None, Some(query(cursor)?)),
        false => (Some(cursor.table()?), None),
    };
    let at = cursor.peek()?.start;
    let (columns, columns_span) = match table.is_some() && cursor.mark("(") {
        true => {
            let (columns, end) = columns(cursor)?;
            (Some(columns), at..end)
        }
        false => (None, at..at),
    };
    let direction = direction(cursor)?;
    old_delimiters(cursor, &mut options)?;
    cursor.word("with");
    if cursor.mark("(") {
        new_options(cursor, &mut options)?;
    } else {
        old_options(cursor, &mut options)?;
    }
    options.where_clause = cursor.word("where");
    if !options.where_clause && !cursor.at_end() && !cursor.mark(";") {
        return None;
    }
    Some(CopyHead { table, columns, columns_span, query, direction, options })
}

fn query(cursor: &mut Cursor<'_>) -> Option<std::ops::Range<usize>> {
    let mut inside = cursor.clone();
    inside.next();
    let start = inside.peek()?.start;
    let mut end = start;
    let mut depth = 0usize;
    cursor.next();
    loop {
        let token = cursor.next()?;
        if token.is_mark(cursor.text, "(") {
            depth += 1;
        } else if token.is_mark(cursor.text, ")") {
            if depth == 0 {
                return Some(start..end);
            }
            depth -= 1;
        }
        end = token.end;
    }
}

fn columns(cursor: &mut Cursor<'_>) -> Option<(Vec<String>, usize)> {
    let mut columns = Vec::new();
    loop {
        columns.push(cursor.name()?);
        let token = cursor.next()?;
        if token.is_mark(cursor.text, ")") {
            return Some((columns, token.end));
        }
        if !token.is_mark(cursor.text, ",") {
            return None;
        }
    }
}

fn direction(cursor: &mut Cursor<'_>) -> Option<CopyDirection> {
    let from = cursor.word("from");
    if !from && !cursor.word("to") {
        return None;
    }
    if cursor.any_word(&["stdin", "stdout"]) {
        return Some(if from { CopyDirection::FromStdin } else { CopyDirection::ToStdout });
    }
    cursor.word("program");
    string(cursor)?;
    Some(if from { CopyDirection::FromFile } else { CopyDirection::ToFile })
}

fn old_delimiters(cursor: &mut Cursor<'_>, options: &mut CopyOptions) -> Option<()> {
    let using = cursor.word("using");
    if using || cursor.is_word("delimiters") {
        if !cursor.word("delimiters") {
            return None;
        }
        options.delimiter = Some(string(cursor)?);
    }
    Some(())
}

fn old_options(cursor: &mut Cursor<'_>, options: &mut CopyOptions) -> Option<()> {
    while !cursor.at_end() && !cursor.is_word("where") {
        if cursor.mark(";") {
            return Some(());
        }
        let word = cursor.name()?;
        match word.as_str() {
            "binary" => options.format = CopyFormat::Binary,
            "csv" => options.format = CopyFormat::Csv,
            "header" => options.header = true,
            "freeze" => options.freeze = true,
            "delimiter" | "null" | "encoding" | "quote" | "escape" => {
                cursor.word("as");
                let value = string(cursor)?;
                keep(options, &word, value)?;
            }
            "force" => old_force(cursor, options)?,
            _ => return None,
        }
    }
    Some(())
}

/// `FORCE NOT NULL a, b`, `FORCE NULL a, b`, `FORCE QUOTE a, b`, `FORCE QUOTE *`
fn old_force(cursor: &mut Cursor<'_>, options: &mut CopyOptions) -> Option<()> {
    let forced = if cursor.word("quote") {
        &mut options.force_quote
    } else if cursor.word("not") {
        cursor.word("null").then_some(&mut options.force_not_null)?
    } else {
        cursor.word("null").then_some(&mut options.force_null)?
    };
    if cursor.peek()?.text(cursor.text) == "*" {
        cursor.next();
        *forced = ForceColumns::All;
        return Some(());
    }
    let mut columns = vec![cursor.name()?];
    while cursor.mark(",") {
        columns.push(cursor.name()?);
    }
    *forced = ForceColumns::Columns(columns);
    Some(())
}

/// `FORCE_NULL (a, b)` or `FORCE_NULL *`, behind the name.
fn new_force(cursor: &mut Cursor<'_>) -> Option<ForceColumns> {
    if cursor.mark("(") {
        return columns(cursor).map(|(columns, _)| ForceColumns::Columns(columns));
    }
    let all = cursor.next()?.text(cursor.text) == "*";
    all.then_some(ForceColumns::All)
}

fn new_options(cursor: &mut Cursor<'_>, options: &mut CopyOptions) -> Option<()> {
    loop {
        let name = cursor.name()?;
        match name.as_str() {
            "force_null" => options.force_null = new_force(cursor)?,
            "force_not_null" => options.force_not_null = new_force(cursor)?,
            "force_quote" => options.force_quote = new_force(cursor)?,
            _ => {
                let value = option_value(cursor)?;
                keep(options, &name, value)?;
            }
        }
        if cursor.mark(")") {
            return Some(());
        }
        if !cursor.mark(",") {
            return None;
        }
    }
}

fn option_value(cursor: &mut Cursor<'_>) -> Option<String> {
    let token = cursor.peek()?;
    if token.is_mark(cursor.text, ",") || token.is_mark(cursor.text, ")") {
        return Some(String::from("true"));
    }
    if token.is_mark(cursor.text, "(") {
        cursor.skip_parentheses();
        return Some(String::new());
    }
    if token.is_string() {
        return string(cursor);
    }
    cursor.next();
    Some(token.text(cursor.text).to_owned())
}

fn keep(options: &mut CopyOptions, name: &str, value: String) -> Option<()> {
    match name {
        "format" => {
            options.format = match value.to_ascii_lowercase().as_str() {
                "text" => CopyFormat::Text,
                "csv" => CopyFormat::Csv,
                "binary" => CopyFormat::Binary,
                _ => return None,
            }
        }
        "delimiter" => options.delimiter = Some(value),
        "null" => options.null = Some(value),
        "header" => options.header = is_on(&value),
        "freeze" => options.freeze = is_on(&value),
        "encoding" => options.encoding = Some(value),
        "quote" => options.quote = Some(value),
        "escape" => options.escape = Some(value),
        other => options.others.push(other.to_owned()),
    }
    Some(())
}

fn is_on(value: &str) -> bool {
    !matches!(value.to_ascii_lowercase().as_str(), "off" | "false" | "0")
}

/// Takes a string constant's value.
fn string(cursor: &mut Cursor<'_>) -> Option<String> {
    let token: Token = cursor.peek().filter(Token::is_string)?;
    cursor.next();
    let written = token.text(cursor.text);
    let literal = literals(written).into_iter().next()?;
    literal_value(written, &literal).map(|value| value.into_owned())
}
