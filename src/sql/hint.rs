//! The leading comment `/* shardloom: shard=s1 */`.

use super::scan::{comment_end, is_space};

/// What a leading comment asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hint {
    /// `shard=s1`: the statement goes there as it stands.
    pub shard: Option<String>,
    /// `sharding_key=42`: the statement goes where that key lives.
    pub sharding_key: Option<String>,
    /// Words that mean nothing here; the caller refuses them.
    pub unknown: Vec<String>,
}

/// Reads the hint in the comments before the first token; `None` without one.
pub fn hints(text: &str) -> Option<Hint> {
    let bytes = text.as_bytes();
    let mut position = 0;
    loop {
        position += bytes[position..].iter().take_while(|byte| is_space(**byte)).count();
        if !bytes[position..].starts_with(b"/*") {
            return None;
        }
        let end = comment_end(bytes, position)?;
        let body = text[position + 2..end - 2].trim();
        if let Some(words) = body.strip_prefix("shardloom:") {
            return Some(read(words));
        }
        position = end;
    }
}

fn read(words: &str) -> Hint {
    let mut hint = Hint::default();
    for word in words.split([' ', ',', '\t', '\n']).filter(|word| !word.is_empty()) {
        match word.split_once('=') {
            Some(("shard", value)) => hint.shard = Some(value.to_owned()),
            Some(("sharding_key", value)) => hint.sharding_key = Some(value.to_owned()),
            Some(_) | None => hint.unknown.push(word.to_owned()),
        }
    }
    hint
}
