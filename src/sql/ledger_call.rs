//! `SELECT shardloom.txn_status(txid)` and `SELECT shardloom.wait_for(txid [, '2s'])`: whole statements, which the
//! proxy answers itself.
//!
//! In any other place such a call reaches a server, whose function of that name refuses it.

use super::name::identifier;
use super::next_ids::{IdArgument, argument};
use super::scan::{Scanner, Token};

/// Which function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerFunction {
    /// `txn_status(txid)`: what became of a transaction.
    TxnStatus,
    /// `wait_for(txid [, time])`: waits until every shard has it.
    WaitFor,
}

/// A call that is the whole statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerCall {
    /// The function.
    pub function: LedgerFunction,
    /// The transaction's id.
    pub txid: IdArgument,
    /// The longest wait, where one is said.
    pub wait: Option<IdArgument>,
    /// The name of the only column.
    pub column: String,
}

impl LedgerFunction {
    /// Returns its name without the schema.
    pub fn name(self) -> &'static str {
        match self {
            Self::TxnStatus => "txn_status",
            Self::WaitFor => "wait_for",
        }
    }
}

/// Reads the statement; `None` if it is something else.
pub(super) fn read(text: &str) -> Option<LedgerCall> {
    memchr::memmem::find(text.as_bytes(), b"(")?;
    let mut tokens: Vec<Token> = Vec::new();
    // The longest such statement has 13 tokens: `select * from shardloom.wait_for($1, $2) as x;`.
    for token in Scanner::new(text).take(14) {
        tokens.push(token);
    }
    while tokens.last()?.is_mark(text, ";") {
        tokens.pop();
    }
    let mut rest = tokens.get(1..)?;
    if rest.first()?.is_mark(text, "*") && rest.get(1)?.is_word(text, "from") {
        rest = rest.get(2..)?;
    }
    let [schema, dot, name, open, txid, rest @ ..] = rest else { return None };
    if identifier(text, *schema)? != "shardloom" || !dot.is_mark(text, ".") || !open.is_mark(text, "(") {
        return None;
    }
    let name = identifier(text, *name)?;
    let function = [LedgerFunction::TxnStatus, LedgerFunction::WaitFor].into_iter().find(|f| f.name() == name)?;
    let (wait, rest) = match (function, rest) {
        (LedgerFunction::WaitFor, [comma, wait, rest @ ..]) if comma.is_mark(text, ",") => {
            (Some(argument(text, wait)?), rest)
        }
        (LedgerFunction::TxnStatus | LedgerFunction::WaitFor, rest) => (None, rest),
    };
    let [close, alias @ ..] = rest else { return None };
    let column = match alias {
        [] => name,
        [alias] => identifier(text, *alias)?,
        [word, alias] if word.is_word(text, "as") => identifier(text, *alias)?,
        _ => return None,
    };
    close.is_mark(text, ")").then_some(LedgerCall { function, txid: argument(text, txid)?, wait, column })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_alone_is_read() {
        let found = read("select shardloom.txn_status(12) as s;").unwrap();
        assert_eq!((found.function, found.column.as_str()), (LedgerFunction::TxnStatus, "s"));
        assert_eq!(found.txid, IdArgument::Constant("12".to_owned()));
        let found = read("SELECT * FROM shardloom.wait_for($1, $2) AS x;").unwrap();
        assert_eq!((found.txid, found.wait), (IdArgument::Parameter(0), Some(IdArgument::Parameter(1))));
        assert_eq!(read("select shardloom.wait_for('7')").unwrap().wait, None);
    }

    #[test]
    fn anything_around_it_is_left_to_others() {
        for text in [
            "select 1",
            "select txn_status(1)",
            "select shardloom.txn_status(1, '2s')",
            "select shardloom.txn_status(1) from t",
            "select shardloom.wait_for(1, '2s'), 1",
            "select shardloom.wait_for(1, '2s', 3)",
            "select shardloom.next_ids('a', 2)",
            "select shardloom.txn_status()",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
