//! `SELECT shardloom.next_ids(tag, count)`: the whole statement, which the proxy answers itself.
//!
//! Read are `SELECT shardloom.next_ids(…) [AS name]` and `SELECT * FROM shardloom.next_ids(…) [AS name]`; a call in any
//! other place is refused by [`super::next_id`].

use super::insert::{parameter_index, string_value};
use super::name::identifier;
use super::scan::{Scanner, Token};

/// A call of `next_ids` that is the whole statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextIds {
    /// The tag.
    pub tag: IdArgument,
    /// How many ids.
    pub count: IdArgument,
    /// The name of the only column.
    pub column: String,
}

/// One argument of the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdArgument {
    /// A constant: the string's value or the number as written.
    Constant(String),
    /// The parameter with this 0-based index.
    Parameter(usize),
}

/// Reads the statement; `None` if it is something else.
pub(super) fn read(text: &str) -> Option<NextIds> {
    memchr::memmem::find(text.as_bytes(), b"next_ids")?;
    let mut tokens: Vec<Token> = Scanner::new(text).collect();
    while tokens.last()?.is_mark(text, ";") {
        tokens.pop();
    }
    let mut rest = tokens.get(1..)?;
    if rest.first()?.is_mark(text, "*") && rest.get(1)?.is_word(text, "from") {
        rest = rest.get(2..)?;
    }
    let [schema, dot, function, open, tag, comma, count, close, alias @ ..] = rest else { return None };
    let is_call = identifier(text, *schema)? == "shardloom"
        && dot.is_mark(text, ".")
        && identifier(text, *function)? == "next_ids"
        && [(open, "("), (comma, ","), (close, ")")].iter().all(|(token, mark)| token.is_mark(text, mark));
    let column = match alias {
        [] => "next_ids".to_owned(),
        [name] => identifier(text, *name)?,
        [word, name] if word.is_word(text, "as") => identifier(text, *name)?,
        _ => return None,
    };
    is_call.then_some(NextIds { tag: argument(text, tag)?, count: argument(text, count)?, column })
}

pub(super) fn argument(text: &str, token: &Token) -> Option<IdArgument> {
    if let Some(index) = parameter_index(text, token) {
        return Some(IdArgument::Parameter(index));
    }
    let is_number = token.text(text).bytes().all(|byte| byte.is_ascii_digit());
    let constant = string_value(text, token).or_else(|| is_number.then(|| token.text(text).to_owned()));
    constant.map(IdArgument::Constant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constant(value: &str) -> IdArgument {
        IdArgument::Constant(value.to_owned())
    }

    #[test]
    fn the_call_alone_is_read() {
        let found = read("select shardloom.next_ids('order', 3);").unwrap();
        assert_eq!((found.tag, found.count, found.column.as_str()), (constant("order"), constant("3"), "next_ids"));
        let found = read("SELECT * FROM Shardloom.next_ids($1, $2) AS id").unwrap();
        assert_eq!((found.tag, found.count), (IdArgument::Parameter(0), IdArgument::Parameter(1)));
        assert_eq!(found.column, "id");
    }

    #[test]
    fn anything_around_it_is_left_to_others() {
        for text in [
            "select 1",
            "select next_ids('order', 3)",
            "select shardloom.next_ids('order', 3) + 1",
            "select shardloom.next_ids('order', 3) from t",
            "select shardloom.next_ids('order', 3), 1",
            "select shardloom.next_ids('order')",
            "select shardloom.next_ids('order', -1)",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
