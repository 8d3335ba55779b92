//! The leading comment `/* shardloom: shard=s1 */`.

use super::scan::{comment_end, is_space};

/// What a leading comment asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hint {
    /// `shard=s1`: the statement goes there as it stands.
    pub shard: Option<String>,
    /// `sharding_key=42`: the statement goes where that key lives.
    pub sharding_key: Option<String>,
    /// `idem=KEY`: the statement is done once, however often it is sent.
    pub idempotency_key: Option<String>,
    /// Words that mean nothing here; the caller refuses them.
    pub unknown: Vec<String>,
}

/// Reads the hint in the comments before the first token; `None` without one.
pub fn hints(text: &str) -> Option<Hint> {
    let comment = hint_comment(text)?;
    Some(read(words(comment)?))
}

/// Returns the comment with the hint, among those before the first token.
pub fn hint_comment(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut position = 0;
    loop {
        position += bytes[position..].iter().take_while(|byte| is_space(**byte)).count();
        if !bytes[position..].starts_with(b"/*") {
            return None;
        }
        let end = comment_end(bytes, position)?;
        if words(&text[position..end]).is_some() {
            return Some(&text[position..end]);
        }
        position = end;
    }
}

/// A statement with an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyed {
    /// The key.
    pub key: String,
    /// The statement without the key, with what else its comment says.
    pub text: String,
}

/// Takes the key off a statement; `None` where it has none, or its comment has words that mean nothing.
pub fn keyed(text: &str) -> Option<Keyed> {
    let comment = hint_comment(text)?;
    let hint = read(words(comment)?);
    let key = hint.idempotency_key.filter(|_| hint.unknown.is_empty())?;
    let (_, behind) = text.split_once(comment)?;
    let behind = behind.trim_start();
    let (shard, sharding_key) = (hint.shard.as_deref(), hint.sharding_key.as_deref());
    let says_more = shard.is_some() || sharding_key.is_some();
    let rest = if says_more { hint_of(shard, sharding_key) } else { String::new() };
    Some(Keyed { key, text: format!("{rest}{behind}") })
}

/// Returns where a statement inside of another begins that has its first token at `start`: at the hint before it, if
/// there is one.
pub(super) fn start_with_hint(text: &str, start: usize) -> usize {
    let before = text[..start].trim_end();
    match before.rfind("/*") {
        Some(open) if words(&before[open..]).is_some() => open,
        Some(_) | None => start,
    }
}

/// Returns a comment that says the same as the two settings.
pub fn hint_of(shard: Option<&str>, sharding_key: Option<&str>) -> String {
    let quoted = |name: &str, value: &str| format!(" {name}='{}'", value.replace('\'', "''"));
    let shard = shard.map(|value| quoted("shard", value)).unwrap_or_default();
    let key = sharding_key.map(|value| quoted("sharding_key", value)).unwrap_or_default();
    format!("/* shardloom:{shard}{key} */ ")
}

fn words(comment: &str) -> Option<&str> {
    comment.strip_prefix("/*")?.strip_suffix("*/")?.trim().strip_prefix("shardloom:")
}

/// Reads `name=value` pairs; a value in quotes may hold anything.
fn read(words: &str) -> Hint {
    let mut hint = Hint::default();
    let mut rest = words.trim_start_matches(SEPARATORS);
    while !rest.is_empty() {
        let (word, value, behind) = pair(rest);
        match (word, value) {
            ("shard", Some(value)) => hint.shard = Some(value),
            ("sharding_key", Some(value)) => hint.sharding_key = Some(value),
            ("idem", Some(value)) => hint.idempotency_key = Some(value),
            _ => hint.unknown.push(rest[..rest.len() - behind.len()].to_owned()),
        }
        rest = behind.trim_start_matches(SEPARATORS);
    }
    hint
}

/// What stands between the words of a hint.
const SEPARATORS: [char; 4] = [' ', ',', '\t', '\n'];

/// Takes the first word, its value and what follows; no value where it cannot be read.
fn pair(text: &str) -> (&str, Option<String>, &str) {
    let plain = text.find(SEPARATORS).unwrap_or(text.len());
    let Some((name, value)) = text.split_once('=').filter(|(name, _)| name.len() < plain) else {
        return (&text[..plain], None, &text[plain..]);
    };
    let Some(mut rest) = value.strip_prefix('\'') else {
        return (name, Some(text[name.len() + 1..plain].to_owned()), &text[plain..]);
    };
    let mut unquoted = String::new();
    while let Some((part, behind)) = rest.split_once('\'') {
        unquoted.push_str(part);
        match behind.strip_prefix('\'') {
            Some(more) => {
                unquoted.push('\'');
                rest = more;
            }
            None => return (name, Some(unquoted), behind),
        }
    }
    (name, None, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_be_quoted() {
        let hint = hints("/* shardloom: sharding_key='a b, ''c'' =d' shard=s1 */ select 1").expect("a hint");
        assert_eq!((hint.sharding_key.as_deref(), hint.shard.as_deref()), (Some("a b, 'c' =d"), Some("s1")));
        assert!(hint.unknown.is_empty());
        let hint = hints("/* shardloom: sharding_key='a shard=s1 */ select 1").expect("a hint");
        assert_eq!((hint.sharding_key, hint.unknown.len()), (None, 1));
        assert_eq!(hints("/* shardloom: sharding_key= */ x").expect("a hint").sharding_key.as_deref(), Some(""));
    }

    #[test]
    fn what_settings_say_reads_back() {
        let comment = hint_of(Some("s1"), Some("it's, 42"));
        let hint = hints(&format!("{comment}select 1")).expect("a hint");
        assert_eq!((hint.shard.as_deref(), hint.sharding_key.as_deref()), (Some("s1"), Some("it's, 42")));
    }

    #[test]
    fn a_key_is_taken_off_and_the_rest_stays() {
        let found = keyed(" /* a */ /* shardloom: idem='k 1' */ update t").expect("a key");
        assert_eq!((found.key.as_str(), found.text.as_str()), ("k 1", "update t"));
        let found = keyed("/* shardloom: idem=k shard=s1 */update t").expect("a key");
        assert_eq!(found.text, "/* shardloom: shard='s1' */ update t");
        assert_eq!(keyed("/* shardloom: shard=s1 */ update t"), None);
        assert_eq!(keyed("/* shardloom: idem=k wat */ update t"), None);
        assert_eq!(keyed("update t"), None);
    }

    #[test]
    fn a_statement_inside_keeps_its_hint() {
        let text = "explain /* shardloom: shard=s1 */ select 1";
        assert_eq!(start_with_hint(text, text.find("select").expect("it is there")), 8);
        let text = "explain /* other */ select 1";
        assert_eq!(start_with_hint(text, 20), 20);
    }
}
