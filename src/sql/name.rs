//! Names of tables and columns as PostgreSQL folds them.

use std::fmt;

use super::scan::{Token, TokenKind};

/// A table's name, folded to lower case where it was not quoted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    /// The schema, if it was said.
    pub schema: Option<String>,
    /// The table.
    pub name: String,
}

impl TableName {
    /// Makes a name without schema.
    pub fn bare(name: impl Into<String>) -> Self {
        Self { schema: None, name: name.into() }
    }

    /// Returns the key under which the rules would list the table: the name alone in schema `public` or without a
    /// schema, else `schema.name`.
    pub fn rule_key(&self) -> std::borrow::Cow<'_, str> {
        match self.schema.as_deref() {
            None | Some("public") => std::borrow::Cow::Borrowed(&self.name),
            Some(schema) => std::borrow::Cow::Owned(format!("{schema}.{}", self.name)),
        }
    }

    /// Tells whether the name lies in one of PostgreSQL's own schemas.
    pub fn is_catalog(&self) -> bool {
        match self.schema.as_deref() {
            Some(schema) => matches!(schema, "pg_catalog" | "information_schema"),
            None => self.name.starts_with("pg_"),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Returns the identifier that `token` spells: unquoted ones in lower case, quoted ones as they stand.
/// `None` if the token is no name or has Unicode escapes.
pub fn identifier(text: &str, token: Token) -> Option<String> {
    let written = token.text(text);
    match token.kind {
        TokenKind::Word => Some(written.to_ascii_lowercase()),
        TokenKind::QuotedIdentifier => Some(written.strip_prefix('"')?.strip_suffix('"')?.replace("\"\"", "\"")),
        TokenKind::UnicodeIdentifier
        | TokenKind::Text
        | TokenKind::EscapeText
        | TokenKind::UnicodeText
        | TokenKind::BitText
        | TokenKind::DollarText
        | TokenKind::Number
        | TokenKind::Parameter
        | TokenKind::Operator
        | TokenKind::Cast
        | TokenKind::Punctuation
        | TokenKind::Unknown
        | TokenKind::Unterminated => None,
    }
}
