//! Reads an INSERT by tokens. What the server must judge (types, names, most syntax) is left to it.

use super::cell::{cell, parameter_index};
use super::cursor::{Cursor, split_commas};
use super::facts::{
    ColumnList, Conflict, ConflictTarget, InsertFacts, Overriding, ParameterUse, Row, Source, SourceQuery, Span,
};
use super::query::{relations, simple_select};
use crate::sql::name::identifier;
use crate::sql::scan::{Scanner, Token, TokenKind};
use crate::types::{Refusal, SqlState};

/// Most rows of one VALUES list that are planned; PostgreSQL itself refuses texts over 1 GB only.
pub const ROWS_MAX: usize = 100_000;

/// Why a text could not be read as an INSERT.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It does not start like an INSERT.
    #[error("not an INSERT")]
    NotInsert,
    /// Probably the client's mistake: PostgreSQL should be asked for its own message.
    #[error("syntax not understood at byte {0}")]
    Syntax(usize),
    /// Valid SQL that is not supported over shards.
    #[error("{0}")]
    Unsupported(&'static str),
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unsupported(what) => {
                let hint =
                    "Say the shard in a comment (/* shardloom: shard=NAME */), or write the INSERT more plainly.";
                Self::unsupported(format!("not supported over shards: {what}"), hint)
            }
            ReadError::NotInsert | ReadError::Syntax(_) => Self::new(SqlState::SYNTAX_ERROR, error.to_string()),
        }
    }
}

/// Reads one INSERT, with or without WITH before it and a semicolon behind.
pub fn read(text: &str) -> Result<InsertFacts, ReadError> {
    let mut tokens: Vec<Token> = Scanner::new(text).collect();
    let broken = |token: &&Token| matches!(token.kind, TokenKind::Unknown | TokenKind::Unterminated);
    if let Some(token) = tokens.iter().find(broken) {
        return Err(ReadError::Syntax(token.start));
    }
    while tokens.last().is_some_and(|token| token.is_mark(text, ";")) {
        tokens.pop();
    }
    if tokens.iter().any(|token| token.is_mark(text, ";")) {
        return Err(ReadError::Unsupported("several statements in one text"));
    }
    let mut cursor = Cursor::new(text, &tokens);
    let with = skip_with(&mut cursor)?;
    let head_end = cursor.at;
    if !cursor.eat_all(&["insert", "into"]) {
        return Err(ReadError::NotInsert);
    }
    let mut facts = body(&mut cursor, with)?;
    if cursor.at < tokens.len() {
        return Err(ReadError::Syntax(tokens[cursor.at].start));
    }
    let query = match &facts.source {
        Source::Query(query) => query.span.clone(),
        Source::Values(_) | Source::DefaultValues(_) => 0..0,
    };
    let inner = tokens.iter().enumerate().filter(|(at, token)| *at < head_end || query.contains(&token.start));
    facts.with_writes = inner.map(|(_, token)| token).any(|token| writes(text, token));
    facts.parameters = parameters(text, &tokens);
    let source_query = matches!(facts.source, Source::Query(_));
    facts.subquery = match &facts.source {
        Source::Query(query) => has_subquery(text, from_byte(&tokens, query.span.start)),
        Source::Values(_) | Source::DefaultValues(_) => has_subquery(text, &tokens[head_end..]),
    };
    if facts.with || facts.subquery || source_query {
        (facts.relations, facts.expressions) = relations(text, &tokens, &facts.table)
            .ok_or(ReadError::Unsupported("a query inside INSERT that the proxy cannot read"))?;
    }
    Ok(facts)
}

fn writes(text: &str, token: &Token) -> bool {
    ["insert", "update", "delete", "merge"].iter().any(|word| token.is_word(text, word))
}

fn syntax(cursor: &Cursor<'_>) -> ReadError {
    ReadError::Syntax(cursor.peek().map_or(cursor.text.len(), |token| token.start))
}

/// Skips `WITH … ` up to the INSERT that it belongs to.
fn skip_with(cursor: &mut Cursor<'_>) -> Result<bool, ReadError> {
    if !cursor.eat("with") {
        return Ok(false);
    }
    while let Some(token) = cursor.peek() {
        if token.is_mark(cursor.text, "(") {
            cursor.group().ok_or_else(|| syntax(cursor))?;
        } else if token.is_word(cursor.text, "insert") {
            return Ok(true);
        } else {
            cursor.at += 1;
        }
    }
    Err(ReadError::NotInsert)
}

fn body(cursor: &mut Cursor<'_>, with: bool) -> Result<InsertFacts, ReadError> {
    let table = cursor.table_name().ok_or_else(|| syntax(cursor))?;
    if cursor.sees_mark(".") {
        return Err(ReadError::Unsupported("a table name with more than one dot"));
    }
    if cursor.eat("as") {
        cursor.identifier().ok_or_else(|| syntax(cursor))?;
    }
    let columns_at = cursor.end();
    let columns = column_list(cursor)?;
    let overriding = overriding(cursor)?;
    let source = source(cursor)?;
    let conflict = conflict(cursor)?;
    let returning = returning(cursor);
    let (with_writes, subquery, relations, parameters) = (false, false, Vec::new(), Vec::new());
    Ok(InsertFacts {
        table,
        columns_at,
        columns,
        overriding,
        source,
        conflict,
        returning,
        with,
        with_writes,
        subquery,
        relations,
        expressions: Vec::new(),
        parameters,
    })
}

fn column_list(cursor: &mut Cursor<'_>) -> Result<Option<ColumnList>, ReadError> {
    let start = *cursor;
    let Some((span, inner)) = cursor.group() else { return Ok(None) };
    let query = inner.first().is_some_and(|first| {
        first.is_mark(cursor.text, "(")
            || ["select", "values", "with", "table"].iter().any(|word| first.is_word(cursor.text, word))
    });
    if query {
        *cursor = start;
        return Ok(None);
    }
    let names = split_commas(cursor.text, inner)
        .into_iter()
        .map(|part| column_name(cursor.text, part, span.start))
        .collect::<Result<_, _>>()?;
    let names_end = inner.last().map_or(span.end - 1, |last| last.end);
    Ok(Some(ColumnList { names, span, names_end }))
}

fn column_name(text: &str, tokens: &[Token], at: usize) -> Result<String, ReadError> {
    match tokens {
        [only] => identifier(text, *only).ok_or(ReadError::Syntax(only.start)),
        [] => Err(ReadError::Syntax(at)),
        _ => Err(ReadError::Unsupported("an INSERT into part of a column")),
    }
}

fn overriding(cursor: &mut Cursor<'_>) -> Result<Option<Overriding>, ReadError> {
    if !cursor.eat("overriding") {
        return Ok(None);
    }
    if cursor.eat_all(&["system", "value"]) {
        Ok(Some(Overriding::System))
    } else if cursor.eat_all(&["user", "value"]) {
        Ok(Some(Overriding::User))
    } else {
        Err(syntax(cursor))
    }
}

fn source(cursor: &mut Cursor<'_>) -> Result<Source, ReadError> {
    let start = cursor.at;
    if cursor.eat_all(&["default", "values"]) {
        let from = cursor.tokens[start].start;
        return Ok(Source::DefaultValues(from..cursor.end()));
    }
    if cursor.eat("values") {
        let rows = rows(cursor)?;
        if at_source_end(cursor) {
            return Ok(Source::Values(rows));
        }
        cursor.at = start;
    }
    query(cursor)
}

/// `ON CONFLICT`, RETURNING or the end; a VALUES list with ORDER BY or UNION behind it is a query.
fn at_source_end(cursor: &Cursor<'_>) -> bool {
    let mut ahead = *cursor;
    cursor.peek().is_none() || cursor.sees("returning") || ahead.eat_all(&["on", "conflict"])
}

fn rows(cursor: &mut Cursor<'_>) -> Result<Vec<Row>, ReadError> {
    let mut rows = Vec::new();
    loop {
        let (span, inner) = cursor.group().ok_or_else(|| syntax(cursor))?;
        if rows.len() == ROWS_MAX {
            return Err(ReadError::Unsupported("more rows in one INSERT than are planned; use COPY"));
        }
        let cells = split_commas(cursor.text, inner)
            .into_iter()
            .map(|part| cell(cursor.text, part).ok_or(ReadError::Syntax(span.start)))
            .collect::<Result<_, _>>()?;
        rows.push(Row { span, cells });
        if !cursor.eat_mark(",") {
            return Ok(rows);
        }
    }
}

fn query(cursor: &mut Cursor<'_>) -> Result<Source, ReadError> {
    let start = cursor.at;
    while !at_source_end(cursor) {
        if cursor.sees_mark("(") {
            cursor.group().ok_or_else(|| syntax(cursor))?;
        } else {
            cursor.at += 1;
        }
    }
    let tokens = &cursor.tokens[start..cursor.at];
    let Some(first) = tokens.first() else { return Err(syntax(cursor)) };
    let span = first.start..cursor.end();
    Ok(Source::Query(SourceQuery { span, simple: simple_select(cursor.text, tokens) }))
}

fn conflict(cursor: &mut Cursor<'_>) -> Result<Option<Conflict>, ReadError> {
    if !cursor.eat_all(&["on", "conflict"]) {
        return Ok(None);
    }
    let target = conflict_target(cursor)?;
    if cursor.eat("where") {
        skip_until(cursor, "do")?;
    }
    if cursor.eat_all(&["do", "nothing"]) {
        return Ok(Some(Conflict { target, update: None }));
    }
    if !cursor.eat_all(&["do", "update", "set"]) {
        return Err(syntax(cursor));
    }
    let start = cursor.at;
    while cursor.peek().is_some() && !cursor.sees("returning") && !cursor.sees("where") {
        step(cursor)?;
    }
    let mut update = set_columns(cursor.text, &cursor.tokens[start..cursor.at])?;
    if let ConflictTarget::Columns(equal) = &target {
        // The row that is there has that value: it is the reason of the conflict.
        let kept = kept_columns(cursor.text, &cursor.tokens[start..cursor.at]);
        update.retain(|column| !(equal.contains(column) && kept.contains(column)));
    }
    while cursor.peek().is_some() && !cursor.sees("returning") {
        step(cursor)?;
    }
    Ok(Some(Conflict { target, update: Some(update) }))
}

fn conflict_target(cursor: &mut Cursor<'_>) -> Result<ConflictTarget, ReadError> {
    if cursor.eat_all(&["on", "constraint"]) {
        return cursor.identifier().map(ConflictTarget::Constraint).ok_or_else(|| syntax(cursor));
    }
    let Some((_, inner)) = cursor.group() else { return Ok(ConflictTarget::Any) };
    let plain = |part: &[Token]| match part {
        [only] => identifier(cursor.text, *only),
        _ => None,
    };
    Ok(ConflictTarget::Columns(split_commas(cursor.text, inner).into_iter().filter_map(plain).collect()))
}

/// Takes one token, or a whole group.
fn step(cursor: &mut Cursor<'_>) -> Result<(), ReadError> {
    if cursor.sees_mark("(") {
        cursor.group().map(drop).ok_or_else(|| syntax(cursor))
    } else {
        cursor.at += 1;
        Ok(())
    }
}

fn skip_until(cursor: &mut Cursor<'_>, word: &str) -> Result<(), ReadError> {
    while cursor.peek().is_some() {
        if cursor.sees(word) {
            return Ok(());
        }
        step(cursor)?;
    }
    Err(syntax(cursor))
}

/// The columns that are set as `a = excluded.a`.
fn kept_columns(text: &str, tokens: &[Token]) -> Vec<String> {
    let kept = |part: &[Token]| match part {
        [column, equals, excluded, dot, same]
            if equals.text(text) == "=" && excluded.is_word(text, "excluded") && dot.is_mark(text, ".") =>
        {
            identifier(text, *column).filter(|column| identifier(text, *same).as_ref() == Some(column))
        }
        _ => None,
    };
    split_commas(text, tokens).into_iter().filter_map(kept).collect()
}

/// The columns left of `=` in `a = 1, (b, c) = (2, 3)`.
fn set_columns(text: &str, tokens: &[Token]) -> Result<Vec<String>, ReadError> {
    let mut columns = Vec::new();
    for part in split_commas(text, tokens) {
        let mut cursor = Cursor::new(text, part);
        if let Some((span, inner)) = cursor.group() {
            for name in split_commas(text, inner) {
                columns.push(column_name(text, name, span.start)?);
            }
        } else {
            let at = part.first().map_or(0, |token| token.start);
            columns.push(cursor.identifier().ok_or(ReadError::Syntax(at))?);
        }
    }
    Ok(columns)
}

fn returning(cursor: &mut Cursor<'_>) -> Option<Span> {
    let start = cursor.peek()?.start;
    if !cursor.sees("returning") {
        return None;
    }
    cursor.at = cursor.tokens.len();
    Some(start..cursor.end())
}

fn parameters(text: &str, tokens: &[Token]) -> Vec<ParameterUse> {
    let used = |token: &Token| parameter_index(text, token).map(|index| ParameterUse { index, span: token.span() });
    tokens.iter().filter_map(used).collect()
}

/// A SELECT or TABLE keyword, or a VALUES behind an opening parenthesis, is a query wherever it stands; one that reads
/// nothing is an expression like others.
fn has_subquery(text: &str, tokens: &[Token]) -> bool {
    let asks = tokens.windows(2).any(|pair| {
        let opens = pair[0].is_mark(text, "(");
        pair[1].is_word(text, "select") || opens && (pair[1].is_word(text, "table") || pair[1].is_word(text, "values"))
    });
    asks && tokens.iter().any(|token| token.is_word(text, "from") || token.is_word(text, "table"))
}

/// Returns the tokens from a byte on; [`has_subquery`] passes over the first of them.
fn from_byte(tokens: &[Token], start: usize) -> &[Token] {
    &tokens[tokens.iter().position(|token| token.start >= start).unwrap_or(tokens.len())..]
}
