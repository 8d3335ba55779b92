//! The `crate::` paths of a text.

/// Returns the line and the top-level module of each `crate::…` path in `code`, also of those inside braces.
pub fn crate_modules(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate") {
        let before = code[..at].chars().next_back();
        let Some(after) = path_separator(&code[at + "crate".len()..]) else { continue };
        // `$crate::` in a macro is the same crate; `other_crate::` is a word of its own.
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let start = code.len() - after.len();
        found.extend(first_names(after).into_iter().map(|(offset, name)| (line_of(code, start + offset), name)));
    }
    found
}

/// Returns what follows `::`, with the white space around it gone.
fn path_separator(text: &str) -> Option<&str> {
    Some(text.trim_start().strip_prefix("::")?.trim_start())
}

/// Returns the first name of the path at the start of `text`, or the first names of all paths in its braces, each
/// with its offset.
fn first_names(text: &str) -> Vec<(usize, String)> {
    let Some(group) = text.strip_prefix('{') else { return name_at(text, 0).into_iter().collect() };
    let (mut names, mut depth, mut begins) = (Vec::new(), 1usize, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => begins = true,
            c if depth == 1 && begins && !c.is_whitespace() => {
                begins = false;
                names.extend(name_at(&group[at..], at + 1));
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// Returns the identifier at the start of `text`. One in upper case is an item of `lib.rs` itself, a macro or `self`
/// none of a module.
fn name_at(text: &str, offset: usize) -> Option<(usize, String)> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let is_module = name.starts_with(|c: char| c.is_lowercase()) && name != "self" && !rest.starts_with('!');
    is_module.then(|| (offset, name.to_owned()))
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}
