//! Goal: no text, however broken, panics or hangs. Method: right files, damaged at random places.

use proptest::prelude::*;

use super::*;

const SHOP: &str = include_str!("../../../shard-rules/shop.yaml");
const IDS: &str = include_str!("../../../shard-rules/ids.yaml");

/// What a slip of the hand or an attacker may put anywhere.
const PIECES: [&str; 16] = [
    "",
    " ",
    "\n",
    ":",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "&a ",
    "*a",
    "!!x ",
    "\n---\n",
    "\u{0}",
    "99999999999999999999",
];

/// Replaces characters of `text` at the given places (taken modulo its length) by pieces.
fn damaged(text: &str, damages: &[(usize, usize, usize)]) -> String {
    let mut letters = text.chars().map(String::from).collect::<Vec<_>>();
    for (place, length, piece) in damages {
        let from = place % letters.len();
        let to = (from + length).min(letters.len());
        letters.splice(from..to, [PIECES[*piece].to_owned()]);
        letters.push(String::new());
    }
    letters.concat()
}

proptest! {
    #[test]
    fn damaged_rule_files_never_panic(
        damages in prop::collection::vec((any::<usize>(), 0..12_usize, 0..PIECES.len()), 1..6),
    ) {
        let text = damaged(&format!("{TOPOLOGY}---\n{IDS}---\n{SHOP}"), &damages);
        match RuleSet::parse(&[file("rules.yaml", &text)]) {
            Ok(rules) => prop_assert_eq!(rules.version.len(), 16),
            Err(found) => prop_assert!(!found.is_empty()),
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
        let found = RuleSet::parse(&[file("rules.yaml", &text)]).expect_err("no Topology comes about by chance");
        prop_assert!(!found.is_empty());
    }
}
