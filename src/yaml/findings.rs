//! The list of what is wrong, gathered while reading goes on.

use super::Place;
use crate::types::Diagnostic;

/// How alike two words must be (Jaro-Winkler, 0–1) for one to be suggested in place of the other: a slip or two of
/// the hand in a word of usual length; below it suggestions begin to be guesses.
const LIKENESS_MIN: f64 = 0.8;

/// Diagnostics gathered so far.
#[derive(Debug, Default)]
pub struct Findings {
    found: Vec<Diagnostic>,
}

impl Findings {
    /// Makes an empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a finding.
    pub fn report(&mut self, place: &Place, message: impl Into<String>) {
        self.report_with(place, message, None);
    }

    /// Adds a finding about a word that is none of `known`, suggesting the nearest.
    pub fn report_word<'a>(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        self.report_with(place, message, nearest(word, known).map(str::to_owned));
    }

    /// Tells whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Returns the findings file by file in the order of `files`, each from top to bottom.
    pub fn into_sorted<'a>(mut self, files: impl IntoIterator<Item = &'a str>) -> Vec<Diagnostic> {
        let files = files.into_iter().collect::<Vec<_>>();
        let order = |file: &str| files.iter().position(|name| *name == file);
        self.found.sort_by(|one, other| {
            (order(&one.file), one.line, one.column).cmp(&(order(&other.file), other.line, other.column))
        });
        self.found.dedup();
        self.found
    }

    fn report_with(&mut self, place: &Place, message: impl Into<String>, suggestion: Option<String>) {
        let Place { file, line, column } = place;
        self.found.push(Diagnostic {
            file: file.to_string(),
            line: *line,
            column: *column,
            message: message.into(),
            suggestion,
        });
    }
}

/// Returns the word of `known` that `word` was probably meant to be.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |other: &str| strsim::jaro_winkler(&word.to_lowercase(), &other.to_lowercase());
    let (likeness, word) =
        known.into_iter().map(|other| (likeness(other), other)).max_by(|one, other| one.0.total_cmp(&other.0))?;
    (likeness >= LIKENESS_MIN).then_some(word)
}
