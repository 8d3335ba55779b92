//! Text → documents. Syntax, anchors, aliases, tags and duplicate keys are judged here; meaning is not.

use std::collections::HashMap;
use std::sync::Arc;

use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::{Entry, Findings, Node, Place, Value};

/// The longest file that is read, 4 MiB: far beyond what people write, and small enough to parse at once.
pub const TEXT_BYTES_MAX: usize = 4 << 20;

/// The deepest nesting; our deepest shape has seven levels, and the reader recurses.
const NESTING_MAX: usize = 24;

/// Reads the documents of a file; what is wrong goes to `findings`, and the documents that could be read are returned.
///
/// After a syntax error reading goes on with the next document. Empty documents are left out.
pub fn read(file: &str, text: &str, findings: &mut Findings) -> Vec<Node> {
    let file: Arc<str> = Arc::from(file);
    if text.len() > TEXT_BYTES_MAX {
        let place = Place { file, line: 1, column: 1 };
        findings.report(&place, format!("the file has {} bytes, the most is {TEXT_BYTES_MAX}", text.len()));
        return Vec::new();
    }
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.emit_unresolved_aliases = true;
    options.disallow_directives = true;
    options.flow_nesting_limit = NESTING_MAX;
    options.block_nesting_limit = NESTING_MAX;
    let parser = Parser::new_from_str_with_options(text, options);
    Reader { parser, file, findings }.documents()
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    file: Arc<str>,
    findings: &'a mut Findings,
}

impl<'a> Reader<'a> {
    fn documents(mut self) -> Vec<Node> {
        let mut documents = Vec::new();
        loop {
            match self.next_document() {
                Ok(Some(node)) => documents.push(node),
                Ok(None) => return documents,
                Err(error) => {
                    self.report_syntax(&error);
                    match self.parser.proceed_next_document() {
                        Ok(true) => {}
                        Ok(false) | Err(_) => return documents,
                    }
                }
            }
        }
    }

    /// Returns the next document that is not empty, `None` at the end.
    fn next_document(&mut self) -> Result<Option<Node>, ScanError> {
        while let Some(next) = self.parser.next_event() {
            let (event, span) = next?;
            match event {
                Event::StreamEnd => return Ok(None),
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => {
                    let node = self.node(event, span)?;
                    if node.value != Value::Null {
                        return Ok(Some(node));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Builds the node that `event` starts, reading on to its end.
    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, ScanError> {
        let place = self.place(&span);
        self.refuse_sharing(&event, &place);
        let value = match event {
            Event::Scalar(text, style, ..) => scalar(text.into_owned(), style),
            Event::SequenceStart(..) => self.list()?,
            Event::MappingStart(..) => self.map()?,
            _ => Value::Null,
        };
        Ok(Node { place, value })
    }

    /// Refuses what makes one place of a file change the meaning of another.
    fn refuse_sharing(&mut self, event: &Event<'a>, place: &Place) {
        if event.is_alias() || matches!(event, Event::UnresolvedAlias(_)) {
            self.findings.report(place, "aliases (*name) are not allowed: write the value out");
        }
        if event.anchor_id().is_some_and(|id| id > 0) {
            self.findings.report(place, "anchors (&name) are not allowed: write each value out");
        }
        if let Some(tag) = event.tag() {
            self.findings.report(place, format!("tags are not allowed: remove {}", tag.original()));
        }
    }

    fn list(&mut self) -> Result<Value, ScanError> {
        let mut items = Vec::new();
        while let Some(next) = self.parser.next_event() {
            match next? {
                (Event::SequenceEnd, _) => break,
                (event, span) => items.push(self.node(event, span)?),
            }
        }
        Ok(Value::List(items))
    }

    fn map(&mut self) -> Result<Value, ScanError> {
        let mut entries = Vec::new();
        let mut seen = HashMap::new();
        while let Some(next) = self.parser.next_event() {
            let (event, span) = next?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, span)?;
            let node = self.value()?;
            if let Some(entry) = self.entry(key, node, &mut seen) {
                entries.push(entry);
            }
        }
        Ok(Value::Map(entries))
    }

    fn value(&mut self) -> Result<Node, ScanError> {
        match self.parser.next_event() {
            Some(next) => next.and_then(|(event, span)| self.node(event, span)),
            None => Ok(Node { place: Place { file: self.file.clone(), line: 1, column: 1 }, value: Value::Null }),
        }
    }

    fn entry(&mut self, key: Node, node: Node, seen: &mut HashMap<String, u32>) -> Option<Entry> {
        let Value::Scalar { text, plain } = key.value else {
            self.findings.report(&key.place, format!("a key is a word, found {}", key.found()));
            return None;
        };
        if let Some(line) = seen.insert(text.clone(), key.place.line) {
            self.findings.report(&key.place, format!("key {text:?} is written twice, first on line {line}"));
            return None;
        }
        Some(Entry { key: text, plain, place: key.place, node })
    }

    fn report_syntax(&mut self, error: &ScanError) {
        let marker = *error.marker();
        let place = self.place(&Span::empty(marker));
        self.findings.report(&place, format!("not YAML: {}", error.info()));
    }

    fn place(&self, span: &Span) -> Place {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Place { file: self.file.clone(), line: number(span.start.line()), column: number(span.start.col() + 1) }
    }
}

fn scalar(text: String, style: ScalarStyle) -> Value {
    let plain = style == ScalarStyle::Plain;
    if plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::Scalar { text, plain }
}
