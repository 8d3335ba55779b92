//! Words that the parser crate takes for names, or for syntax of other databases, where PostgreSQL does not.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Ident, Statement, Visit, Visitor};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, TokenizerError};

/// Words that are no names in PostgreSQL unless they are quoted (its appendix C), but for those that stand for a value.
const RESERVED: [&str; 73] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "cross",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "fetch",
    "for",
    "foreign",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "natural",
    "not",
    "notnull",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "select",
    "tablesample",
    "then",
    "to",
    "union",
    "unique",
    "using",
    "when",
    "where",
    "window",
    "with",
];

/// Syntax of other databases; to PostgreSQL any of these is a name like another.
const FOREIGN: [Keyword; 27] = [
    Keyword::ANTI,
    Keyword::ASOF,
    Keyword::CONNECT,
    Keyword::DISTRIBUTE,
    Keyword::DIV,
    Keyword::FORMAT,
    Keyword::GLOB,
    Keyword::GLOBAL,
    Keyword::MATCH_CONDITION,
    Keyword::MATCH_RECOGNIZE,
    Keyword::MEMBER,
    Keyword::MINUS,
    Keyword::OPEN,
    Keyword::OUTPUT,
    Keyword::PIVOT,
    Keyword::PREWHERE,
    Keyword::PRIOR,
    Keyword::QUALIFY,
    Keyword::REGEXP,
    Keyword::RLIKE,
    Keyword::SAMPLE,
    Keyword::SEMI,
    Keyword::SETTINGS,
    Keyword::SORT,
    Keyword::TOP,
    Keyword::UNPIVOT,
    Keyword::XOR,
];

/// Tells whether PostgreSQL takes the word for no name.
pub(super) fn is_reserved(ident: &Ident) -> bool {
    ident.quote_style.is_none() && RESERVED.iter().any(|word| ident.value.eq_ignore_ascii_case(word))
}

/// Returns the tokens of a text, in which the syntax of other databases is none.
pub(super) fn tokens(text: &str) -> Result<Vec<TokenWithSpan>, TokenizerError> {
    let mut tokens = Tokenizer::new(&PostgreSqlDialect {}, text).with_unescape(false).tokenize_with_location()?;
    for token in &mut tokens {
        if let Token::Word(word) = &mut token.token
            && FOREIGN.contains(&word.keyword)
        {
            word.keyword = Keyword::NoKeyword;
        }
    }
    Ok(tokens)
}

/// Tells whether the parser took a word for a column that is none: what stands around it means something else then.
pub(super) fn is_misread(statement: &Statement) -> bool {
    statement.visit(&mut Names).is_break()
}

struct Names;

impl Visitor for Names {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let first = match expr {
            Expr::Identifier(name) => Some(name),
            Expr::CompoundIdentifier(parts) => parts.first(),
            _ => None,
        };
        // DEFAULT stands for a value in VALUES and SET.
        let reserved = first.is_some_and(|name| is_reserved(name) && !name.value.eq_ignore_ascii_case("default"));
        if reserved { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
