//! A statement's text without its constants, for people: what may be counted, logged and shown.

use super::mask::LiteralKind;
use super::scan::{Scanner, TokenKind};

/// Returns the text with `?` for every constant and for every list of them, with one space between words.
/// Nothing of a constant or a comment is left.
pub fn fingerprint(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut previous = 0;
    for token in Scanner::new(text) {
        let word = token.text(text);
        let apart = token.start > previous || out.ends_with(',');
        if apart && !out.is_empty() && !out.ends_with('(') && !matches!(word, "," | ")") {
            out.push(' ');
        }
        previous = token.end;
        let unreadable = matches!(token.kind, TokenKind::Unknown | TokenKind::Unterminated);
        out.push_str(if unreadable || LiteralKind::of(token.kind).is_some() { "?" } else { word });
        fold(&mut out);
    }
    out
}

/// Lists of constants and rows of them count as one, however long they are.
fn fold(out: &mut String) {
    for repeated in ["?, ?", "(?), (?)"] {
        if out.ends_with(repeated) {
            out.truncate(out.len() - repeated.len() / 2 - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_constants_and_comments_is_left() {
        let text = "/* shardloom: sharding_key='secret' */ SELECT  a -- secret\n FROM t WHERE b = 'secret' AND c > -1.5e3 /* shardloom secret */ AND d = $1 AND e = $$secret$$ AND f = E'secret' AND g = X'5ec'";
        assert_eq!(
            fingerprint(text),
            "SELECT a FROM t WHERE b = ? AND c > -? AND d = $1 AND e = ? AND f = ? AND g = ?"
        );
    }

    #[test]
    fn lists_and_rows_of_constants_are_one() {
        assert_eq!(fingerprint("select 1 where a in (1, 2,3 , 4)"), "select ? where a in (?)");
        assert_eq!(fingerprint("insert into t values (1, 'a'), (2,'b'),(3, 'c')"), "insert into t values (?)");
        assert_eq!(fingerprint("select f(1, x, 2)"), "select f(?, x, ?)");
        assert_eq!(fingerprint(""), "");
    }
}
