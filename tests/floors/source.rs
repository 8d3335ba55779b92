//! Source files as text without comments, strings and character literals.

use std::path::Path;

/// One file below `src/`.
pub struct Source {
    /// Its path from the package's root.
    pub path: String,
    /// Its top-level module, `lib` and `main` included.
    pub module: String,
    /// Its text with comments and literals blanked out; lines keep their numbers.
    pub code: String,
}

impl Source {
    pub fn new(path: &str, module: &str, text: &str) -> Self {
        Self { path: path.to_owned(), module: module.to_owned(), code: blank(text) }
    }
}

/// Returns every Rust file below `root`, in the order of their paths.
pub fn sources_below(root: &Path) -> Vec<Source> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder below src") {
            let path = entry.expect("an entry below src").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(read(root, &path));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn read(root: &Path, path: &Path) -> Source {
    let inside = path.strip_prefix(root).expect("found below root");
    let first = inside.components().next().expect("a file has a name").as_os_str().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).expect("a readable source file");
    Source::new(&format!("src/{}", inside.display()), first.trim_end_matches(".rs"), &text)
}

/// Blanks out what the compiler does not read as code.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = skipped_bytes(rest, code.chars().next_back());
        if skipped > 0 {
            code.extend(rest[..skipped].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skipped..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// Returns the length of the comment or literal that `text` begins with, 0 if it begins with code.
fn skipped_bytes(text: &str, before: Option<char>) -> usize {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment_bytes(text);
    }
    if text.starts_with('"') {
        return string_bytes(text);
    }
    if !in_word && (text.starts_with('r') || text.starts_with("br")) {
        return raw_string_bytes(text);
    }
    if text.starts_with('\'') { character_bytes(text) } else { 0 }
}

fn block_comment_bytes(text: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0usize);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn string_bytes(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Returns the length of `r"…"`, `r#"…"#` and so on, 0 for a word or a raw identifier that begins with `r`.
fn raw_string_bytes(text: &str) -> usize {
    let after = text.trim_start_matches('b').strip_prefix('r').unwrap_or(text);
    let hashes = after.len() - after.trim_start_matches('#').len();
    let Some(body) = after[hashes..].strip_prefix('"') else { return 0 };
    let end = format!("\"{}", "#".repeat(hashes));
    let body_at = text.len() - body.len();
    body.find(&end).map_or(text.len(), |found| body_at + found + end.len())
}

/// Returns the length of a character literal, 0 for a lifetime.
fn character_bytes(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            let escape_ends = chars.next().map_or(text.len(), |(at, c)| at + c.len_utf8());
            text[escape_ends..].find('\'').map_or(0, |found| escape_ends + found + 1)
        }
        Some(_) => chars.next().filter(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}
