//! Passwords and tokens, which no log may show.

use std::fmt;

use crate::yaml::{Findings, Node};

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text; whoever asks takes care where it goes.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where secrets that the file only names come from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// Returns an environment variable, for `env:NAME`.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// Returns a file's text, for `file:PATH`; one line end at its end is not part of the secret.
    pub file: &'a dyn Fn(&str) -> Result<String, String>,
}

/// Reads a secret: `env:NAME`, `file:PATH`, or the text itself. Messages never show the text.
pub(super) fn read(node: &Node, sources: Sources<'_>, findings: &mut Findings) -> Option<Secret> {
    let found = match fetch(node.text()?, sources) {
        Ok(text) if text.is_empty() => Err("the secret is empty".to_owned()),
        Ok(text) if text.contains('\0') => Err("the secret has a zero byte".to_owned()),
        other => other,
    };
    match found {
        Ok(text) => Some(Secret(text)),
        Err(message) => {
            findings.report(&node.place, message);
            None
        }
    }
}

fn fetch(written: &str, sources: Sources<'_>) -> Result<String, String> {
    if let Some(name) = written.strip_prefix("env:") {
        return (sources.environment)(name).ok_or_else(|| format!("the environment variable {name:?} is not set"));
    }
    let Some(path) = written.strip_prefix("file:") else { return Ok(written.to_owned()) };
    let text = (sources.file)(path).map_err(|error| format!("the secret file {path:?} cannot be read: {error}"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}
