//! Texts that a cast to a date or time reads as the present, so that they mean another value at each moment.

use super::mask::{Literal, literal_value};

const PRESENT: [&str; 4] = ["now", "today", "tomorrow", "yesterday"];

/// Tells whether a text may be read as the present: `now`, ` Today`, `tomorrow 10:00`.
pub fn names_the_present(text: &str) -> bool {
    let word = text.trim();
    PRESENT.iter().any(|present| {
        word.get(..present.len()).is_some_and(|start| start.eq_ignore_ascii_case(present))
            && !word[present.len()..].starts_with(char::is_alphanumeric)
    })
}

/// Tells whether a constant of a text may mean the present: what a server prepares of it is not the same later.
pub fn speaks_of_the_present(text: &str, constants: &[Literal]) -> bool {
    constants.iter().any(|constant| literal_value(text, constant).is_some_and(|value| names_the_present(&value)))
}

#[cfg(test)]
mod tests {
    use super::names_the_present;

    #[test]
    fn words_of_the_present_are_told_from_words_that_begin_like_them() {
        for text in ["now", " Today ", "TOMORROW 10:00", "yesterday"] {
            assert!(names_the_present(text), "{text}");
        }
        for text in ["", "nowhere", "2026-01-01", "know", "todays"] {
            assert!(!names_the_present(text), "{text}");
        }
    }
}
