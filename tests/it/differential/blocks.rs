//! A statement file as blocks.
//!
//! Blank lines part the blocks; a block is one Query message, or one statement of the extended protocol. Lines that
//! begin with `--:` say what to expect, other lines that begin with `--` at the top of a block are its title:
//!
//! | line | meaning |
//! |---|---|
//! | `--: refused 0A000` | the proxy refuses with this SQLSTATE and a hint; the plain server does not see it |
//! | `--: own words` | the proxy finds the error by itself: only its SQLSTATE is compared |
//! | `--: count` | only the number of rows is compared (LIMIT without ORDER BY) |
//! | `--: plain`, `--: proxy` | that side alone, unchecked but for errors |
//! | `--: simple`, `--: extended` | in that protocol alone |
//! | `--: with 1 \| x \| \N` | parameters, as text; the block then runs in the extended protocol alone |
//! | `--: copy` | the lines behind the first are COPY's data, by the simple protocol alone |

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// Everything.
    Same,
    /// Everything but which rows.
    SameCount,
    /// The proxy refuses with this SQLSTATE.
    Refused(String),
    /// Everything, but of an error only its SQLSTATE.
    OwnWords,
    /// Only the plain server runs it.
    PlainOnly,
    /// Only the proxy runs it.
    ProxyOnly,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The first line's number in its file.
    pub line: usize,
    pub sql: String,
    pub expectation: Expectation,
    /// Whether the simple protocol runs it.
    pub simple: bool,
    /// Whether the extended protocol runs it.
    pub extended: bool,
    /// Values in text, if any.
    pub parameters: Vec<Option<String>>,
    /// COPY's data.
    pub copy: Option<String>,
}

/// Reads a file; panics at a line it does not know.
pub fn blocks(text: &str) -> Vec<Block> {
    let lines: Vec<(usize, &str)> = text.lines().enumerate().map(|(at, line)| (at + 1, line)).collect();
    lines.split(|(_, line)| line.trim().is_empty()).filter_map(block).collect()
}

fn block(lines: &[(usize, &str)]) -> Option<Block> {
    let mut block = Block {
        line: lines.first()?.0,
        sql: String::new(),
        expectation: Expectation::Same,
        simple: true,
        extended: true,
        parameters: Vec::new(),
        copy: None,
    };
    let mut body: Vec<&str> = Vec::new();
    for (_, line) in lines {
        match line.strip_prefix("--:") {
            Some(direction) => direct(&mut block, direction.trim()),
            None if body.is_empty() && line.starts_with("--") => {}
            None => body.push(line),
        }
    }
    if block.copy.is_some() && !body.is_empty() {
        block.copy = Some(body.drain(1..).map(|line| format!("{line}\n")).collect());
    }
    block.sql = body.join("\n");
    (!block.sql.is_empty()).then_some(block)
}

fn direct(block: &mut Block, direction: &str) {
    match direction.split_once(' ').unwrap_or((direction, "")) {
        ("refused", state) if state.len() == 5 => block.expectation = Expectation::Refused(state.to_owned()),
        ("own", "words") => block.expectation = Expectation::OwnWords,
        ("count", "") => block.expectation = Expectation::SameCount,
        ("plain", "") => block.expectation = Expectation::PlainOnly,
        ("proxy", "") => block.expectation = Expectation::ProxyOnly,
        ("simple", "") => block.extended = false,
        ("extended", "") => block.simple = false,
        ("copy", "") => (block.extended, block.copy) = (false, Some(String::new())),
        ("with", values) => {
            block.simple = false;
            let value = |value: &str| (value != "\\N").then(|| value.to_owned());
            block.parameters = values.split('|').map(|text| value(text.trim())).collect();
        }
        _ => panic!("line {}: {direction:?} is no direction", block.line),
    }
}

#[test]
fn a_file_is_read_block_by_block() {
    let read = blocks("-- a title\n--: refused 0A000\nselect 1;\nselect 2\n\n\n--: with 1 | \\N\nselect $1, $2\n");
    assert_eq!((read.len(), read[0].line, read[1].line), (2, 1, 7));
    assert_eq!((read[0].sql.as_str(), read[0].simple), ("select 1;\nselect 2", true));
    assert_eq!(read[0].expectation, Expectation::Refused("0A000".to_owned()));
    assert_eq!((&read[1].parameters, read[1].simple), (&vec![Some("1".to_owned()), None], false));
    let copied = blocks("--: copy\nCOPY t FROM STDIN\n1\t2\n3\t4\n");
    assert_eq!((copied[0].sql.as_str(), copied[0].copy.as_deref()), ("COPY t FROM STDIN", Some("1\t2\n3\t4\n")));
}
