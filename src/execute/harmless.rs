//! Which texts surely leave nothing with their session, told from their bytes alone.
//!
//! One pass instead of a reading: nearly every text of an application passes here. A text that does not may still be
//! harmless; it is read then. Texts that drivers send again and again are only compared.

use std::cell::RefCell;

use aho_corasick::Anchored;
use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;

/// What no harmless text has in it, in any case of letters, not even in its strings: names of what pins a server, a
/// second statement, and names written with escapes.
const SUSPICIOUS: [&str; 12] = [
    ";",
    "&\"",
    "temp",
    "set_config",
    "advisory",
    "nextval",
    "setval",
    "currval",
    "lastval",
    "setseed",
    "replication_origin",
    "dblink",
];
/// Statements that leave nothing unless one of the above is in them.
const FIRST_WORDS: [&[u8]; 6] = [b"select", b"insert", b"update", b"delete", b"with", b"values"];

/// Texts that are remembered per worker, by their hash: each has one place.
const RECENT: usize = 128;
/// Longer texts are not remembered.
const RECENT_BYTES_MAX: usize = 1024;

/// Finds what is suspicious in a text.
pub(super) struct Suspicions {
    words: DFA,
    /// Texts that were clear.
    recent: RefCell<Vec<Vec<u8>>>,
}

impl Default for Suspicions {
    fn default() -> Self {
        let mut builder = DFA::builder();
        builder.ascii_case_insensitive(true).prefilter(false);
        let words = builder.build(SUSPICIOUS).expect("a dozen short patterns are within every bound of the automaton");
        Self { words, recent: RefCell::new(vec![Vec::new(); RECENT]) }
    }
}

impl Suspicions {
    /// Tells whether a text is one statement that leaves nothing with its session.
    #[inline]
    pub fn clear(&self, text: &[u8]) -> bool {
        if text.is_empty() || text.len() > RECENT_BYTES_MAX {
            return self.looks_clear(text);
        }
        let known = &mut self.recent.borrow_mut()[place(text)];
        if known.as_slice() == text {
            return true;
        }
        let clear = self.looks_clear(text);
        if clear {
            known.clear();
            known.extend_from_slice(text);
        }
        clear
    }

    fn looks_clear(&self, text: &[u8]) -> bool {
        let text = text.trim_ascii();
        let text = text.strip_suffix(b";").unwrap_or(text);
        begins_harmless(text) && !self.finds_any(text)
    }

    /// A loop of its own: the library's costs as much again in its set-up, on texts as short as most are.
    fn finds_any(&self, text: &[u8]) -> bool {
        let Ok(mut state) = self.words.start_state(Anchored::No) else { return true };
        for byte in text {
            state = self.words.next_state(Anchored::No, state, *byte);
            if self.words.is_special(state) && self.words.is_match(state) {
                return true;
            }
        }
        false
    }
}

/// Returns where a text is remembered: its end tells texts apart best, and its length.
fn place(text: &[u8]) -> usize {
    let end = &text[text.len().saturating_sub(16)..];
    let sum = end.iter().fold(text.len(), |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    sum % RECENT
}

fn begins_harmless(text: &[u8]) -> bool {
    FIRST_WORDS.iter().any(|word| {
        text.len() > word.len()
            && text[..word.len()].eq_ignore_ascii_case(word)
            && !(text[word.len()].is_ascii_alphanumeric() || matches!(text[word.len()], b'_' | b'$' | 0x80..))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execute::pins::FUNCTIONS;

    #[test]
    fn what_applications_mostly_say_is_clear() {
        let suspicions = Suspicions::default();
        for text in [
            "SELECT abalance FROM pgbench_accounts WHERE aid = 1;",
            " update t set a = 1 where b = 'x' ;\n",
            "INSERT INTO t VALUES ($1)",
            "with a(b) as (select 1) select * from a",
        ] {
            assert!(suspicions.clear(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_was_clear_stays_so_and_nothing_else() {
        let suspicions = Suspicions::default();
        let texts: Vec<String> = (0..1000).map(|number| format!("SELECT {number}")).collect();
        for _ in 0..2 {
            for text in &texts {
                assert!(suspicions.clear(text.as_bytes()));
                assert!(!suspicions.clear(format!("{text}, lastval()").as_bytes()));
                // The same end, and the same length.
                assert!(!suspicions.clear(text.replace("SELECT", "LISTEN").as_bytes()));
            }
        }
    }

    #[test]
    fn what_may_leave_something_is_not() {
        let suspicions = Suspicions::default();
        for text in [
            "SELECT 1; SET a = 1",
            "SELECT 1 INTO TEMP t",
            "select Set_Config('a', 'b', false)",
            "SELECT U&\"pg_\\0061dvisory_lock\"(1)",
            "BEGIN",
            "selected",
            "SELECT",
            "",
        ] {
            assert!(!suspicions.clear(text.as_bytes()), "{text}");
        }
        for (function, _) in FUNCTIONS {
            assert!(!suspicions.clear(format!("SELECT {function}(1)").as_bytes()), "{function}");
        }
    }
}
