//! What ALTER TABLE puts into the rows that are there: defaults of added columns, and what columns are converted by.

use std::ops::Range;

use super::cursor::Cursor;
use super::name::{TableName, identifier};
use super::scan::{Scanner, Token};

/// The types that are a sequence and its default.
const SERIAL: [&str; 6] = ["serial", "serial2", "serial4", "serial8", "smallserial", "bigserial"];

/// What may follow ADD and is no column.
const CONSTRAINTS: [&str; 6] = ["constraint", "check", "unique", "primary", "foreign", "exclude"];

/// What ends a default and begins what else is said of its column.
const BEHIND_DEFAULT: [&str; 11] = [
    "constraint",
    "not",
    "null",
    "check",
    "generated",
    "unique",
    "primary",
    "references",
    "deferrable",
    "initially",
    "collate",
];

/// One ALTER TABLE that puts something into rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filling {
    /// The table.
    pub table: TableName,
    /// The columns that are filled or changed, in text order.
    pub columns: Vec<Filled>,
    /// Where its last action ends.
    pub end: usize,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// Its name.
    pub name: String,
    /// What happens to it.
    pub how: How,
}

/// How a column comes by its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// It is added with a default, at this place in the text; `unless_there`: IF NOT EXISTS.
    Default {
        /// The expression.
        expression: Range<usize>,
        /// Whether nothing happens where there is such a column.
        unless_there: bool,
    },
    /// It is added and numbered by a sequence: `serial`, or an identity column.
    Numbered {
        /// Whether nothing happens where there is such a column.
        unless_there: bool,
    },
    /// It has got another type, by this expression.
    Using(Range<usize>),
    /// Something else is said of it, which fills no row.
    Else,
}

/// Reads an ALTER TABLE; `None` for whatever else.
pub fn filling(text: &str) -> Option<Filling> {
    let mut cursor = Cursor::new(text);
    if !cursor.words(&["alter", "table"]) {
        return None;
    }
    cursor.words(&["if", "exists"]);
    cursor.word("only");
    let table = cursor.table()?;
    cursor.mark("*");
    let from = cursor.peek()?.start;
    let tokens: Vec<Token> = Scanner::new(text).filter(|token| token.start >= from).collect();
    let tokens = match tokens.last() {
        Some(last) if last.is_mark(text, ";") => &tokens[..tokens.len() - 1],
        _ => &tokens[..],
    };
    let end = tokens.last()?.end;
    let columns = actions(text, tokens).into_iter().filter_map(|action| action_of(text, action)).collect();
    Some(Filling { table, columns, end })
}

/// Splits the actions at the commas between them.
fn actions<'t>(text: &str, tokens: &'t [Token]) -> Vec<&'t [Token]> {
    let depths = depths(text, tokens);
    let mut found = Vec::new();
    let mut start = 0;
    for (at, token) in tokens.iter().enumerate() {
        if depths[at] == 0 && token.is_mark(text, ",") {
            found.push(&tokens[start..at]);
            start = at + 1;
        }
    }
    found.push(&tokens[start..]);
    found
}

/// Returns for each token in how many parentheses and brackets it stands.
pub fn depths(text: &str, tokens: &[Token]) -> Vec<usize> {
    let mut depth = 0usize;
    let of = |token: &Token| {
        let opens = token.is_mark(text, "(") || token.is_mark(text, "[");
        let closes = token.is_mark(text, ")") || token.is_mark(text, "]");
        let before = depth;
        depth = if closes { depth.saturating_sub(1) } else { depth + usize::from(opens) };
        before
    };
    tokens.iter().map(of).collect()
}

fn action_of(text: &str, action: &[Token]) -> Option<Filled> {
    let is = |at: usize, word: &str| action.get(at).is_some_and(|token| token.is_word(text, word));
    let mut at = 1 + usize::from(is(1, "column"));
    if is(0, "add") {
        let unless_there = is(at, "if") && is(at + 1, "not") && is(at + 2, "exists");
        at += if unless_there { 3 } else { 0 };
        if CONSTRAINTS.iter().any(|word| is(at, word)) {
            return None;
        }
        let how = added(text, action.get(at + 1..)?, unless_there);
        return column(text, *action.get(at)?, how);
    }
    if !is(0, "alter") || is(1, "constraint") {
        return None;
    }
    let converts = is(at + 1, "type") || is(at + 1, "set") && is(at + 2, "data");
    let rest = action.get(at + 1..)?;
    let using = position(text, rest, &["using"]).filter(|_| converts);
    let how = match using.and_then(|using| span(&rest[using + 1..])) {
        Some(expression) => How::Using(expression),
        None => How::Else,
    };
    column(text, *action.get(at)?, how)
}

fn column(text: &str, name: Token, how: How) -> Option<Filled> {
    Some(Filled { name: identifier(text, name)?, how })
}

/// Reads a column's definition behind its name.
fn added(text: &str, definition: &[Token], unless_there: bool) -> How {
    let is_serial = SERIAL.iter().any(|word| definition.first().is_some_and(|token| token.is_word(text, word)));
    let is_identity =
        position(text, definition, &["identity"]).is_some() && position(text, definition, &["generated"]).is_some();
    if is_serial || is_identity {
        return How::Numbered { unless_there };
    }
    let Some(default) = position(text, definition, &["default"]) else { return How::Else };
    let rest = &definition[default + 1..];
    // The first token is part of the default whatever it is: NULL.
    let end =
        rest.get(1..).and_then(|behind| position(text, behind, &BEHIND_DEFAULT)).map_or(rest.len(), |end| end + 1);
    match span(&rest[..end]) {
        Some(expression) => How::Default { expression, unless_there },
        None => How::Else,
    }
}

/// Returns where the first of these words stands outside of parentheses.
fn position(text: &str, tokens: &[Token], words: &[&str]) -> Option<usize> {
    let depths = depths(text, tokens);
    let found = |(token, depth): (&Token, &usize)| *depth == 0 && words.iter().any(|word| token.is_word(text, word));
    tokens.iter().zip(&depths).position(found)
}

fn span(tokens: &[Token]) -> Option<Range<usize>> {
    Some(tokens.first()?.start..tokens.last()?.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let filling = filling(text).expect(text);
        let said = |column: &Filled| match &column.how {
            How::Default { expression, unless_there } => {
                format!("{}={}{}", column.name, &text[expression.clone()], if *unless_there { "?" } else { "" })
            }
            How::Numbered { unless_there } => format!("{}#{}", column.name, if *unless_there { "?" } else { "" }),
            How::Using(expression) => format!("{}<{}", column.name, &text[expression.clone()]),
            How::Else => column.name.clone(),
        };
        filling.columns.iter().map(said).collect()
    }

    #[test]
    fn columns_are_told_with_what_fills_them() {
        assert_eq!(read("ALTER TABLE t ADD a int, ADD COLUMN b text DEFAULT 'x, y' NOT NULL;"), ["a", "b='x, y'"]);
        assert_eq!(
            read(
                "alter table if exists only s.t add column if not exists \"A b\" numeric(10,2) not null default round(1, 2) check (x > 0)"
            ),
            ["A b=round(1, 2)?"]
        );
        assert_eq!(
            read(
                "ALTER TABLE t ADD a timestamptz DEFAULT NULL NULL, ADD b date DEFAULT (now() AT TIME ZONE 'utc')::date COLLATE \"C\" -- end"
            ),
            ["a=NULL", "b=(now() AT TIME ZONE 'utc')::date"]
        );
        assert_eq!(
            read(
                "ALTER TABLE t ADD a bigserial, ADD IF NOT EXISTS b int GENERATED BY DEFAULT AS IDENTITY (START 5), ADD c int GENERATED ALWAYS AS (a + 1) STORED"
            ),
            ["a#", "b#?", "c"]
        );
        assert_eq!(
            read(
                "ALTER TABLE t ALTER a TYPE timestamptz USING now(), ALTER COLUMN b SET DATA TYPE int USING (b::int), ALTER c SET DEFAULT now(), ALTER d TYPE text"
            ),
            ["a<now()", "b<(b::int)", "c", "d"]
        );
    }

    #[test]
    fn constraints_and_other_statements_fill_nothing() {
        assert_eq!(read("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0), ADD PRIMARY KEY (a), DROP COLUMN b"), [""; 0]);
        assert_eq!(read("ALTER TABLE t ALTER CONSTRAINT c DEFERRABLE"), [""; 0]);
        assert_eq!(filling("CREATE TABLE t (a int DEFAULT 1)"), None);
        assert_eq!(filling("ALTER TABLE t"), None);
    }
}
