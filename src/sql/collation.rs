//! Collations that a statement names.

use super::name::identifier;
use super::scan::Scanner;

/// The collations that sort text by its bytes on every server.
const BY_BYTES: [&str; 3] = ["C", "POSIX", "ucs_basic"];

/// Tells whether every `COLLATE` in `text` names a collation that sorts by bytes; so does a text without one.
pub fn collates_by_bytes(text: &str) -> bool {
    let mut tokens = Scanner::new(text);
    while let Some(token) = tokens.next() {
        if token.is_word(text, "collate") {
            let name = tokens.next().and_then(|name| identifier(text, name));
            if !name.is_some_and(|name| BY_BYTES.contains(&name.as_str())) {
                return false;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::collates_by_bytes;

    #[test]
    fn only_collations_that_sort_by_bytes_pass() {
        assert!(collates_by_bytes("SELECT a FROM t ORDER BY a"));
        assert!(collates_by_bytes("SELECT a FROM t ORDER BY a COLLATE \"C\", b collate ucs_basic"));
        assert!(collates_by_bytes("SELECT 'x COLLATE y' FROM t"));
        assert!(!collates_by_bytes("SELECT a FROM t ORDER BY a COLLATE \"C\", b COLLATE \"und-x-icu\""));
        assert!(!collates_by_bytes("SELECT a FROM t ORDER BY a COLLATE pg_catalog.\"C\""));
        assert!(!collates_by_bytes("SELECT max(a COLLATE"));
    }
}
