//! Two replies, side by side.

use crate::support::{Column, Event, Reply};

use super::blocks::Expectation;

/// Returns what differs, `None` if nothing that a client may rely on does.
pub fn difference(plain: &Reply, proxy: &Reply, sql: &str, expectation: &Expectation) -> Option<String> {
    let ordered = sql.to_ascii_lowercase().contains("order by");
    let comparable = |reply| comparable(reply, ordered, expectation);
    let (mut expected, found) = (comparable(plain), comparable(proxy));
    forgive_a_missing_position(&mut expected, &found);
    (expected != found).then(|| format!("  plain: {}\n  proxy: {}{}", shown(&expected), shown(&found), hint(proxy)))
}

/// Tells whether two replies have the same rows, and in the same order but for numbers that are equal and written in two
/// ways: 0 and 0.00 come as they like.
pub fn are_same_but_for_scale(plain: &Reply, proxy: &Reply) -> bool {
    let scaled = |value: Option<String>| value.map(|text| without_scale(&text).to_owned());
    let rows = |reply: &Reply| -> Vec<Vec<Option<String>>> {
        reply.rows().into_iter().map(|row| row.into_iter().map(scaled).collect()).collect()
    };
    difference(plain, proxy, "", &Expectation::Same).is_none() && rows(plain) == rows(proxy)
}

fn without_scale(text: &str) -> &str {
    let is_scaled = text.contains('.') && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    if is_scaled { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// Returns what is wrong with a refusal, `None` if it has this SQLSTATE, a message and a hint.
pub fn not_refused(proxy: &Reply, state: &str) -> Option<String> {
    let Some(fields) = error_of(proxy) else { return Some(format!("  not refused: {}", shown(proxy))) };
    let hinted = fields.get(&'H').is_some_and(|hint| !hint.is_empty());
    let right = fields.get(&'C').is_some_and(|code| code == state) && hinted;
    (!right).then(|| format!("  expected {state} with a hint, found {fields:?}"))
}

/// Returns the fields of the first error.
pub fn error_of(reply: &Reply) -> Option<&std::collections::BTreeMap<char, String>> {
    reply.events.iter().find_map(|event| if let Event::Error(fields) = event { Some(fields) } else { None })
}

fn hint(proxy: &Reply) -> String {
    let hint = error_of(proxy).and_then(|fields| fields.get(&'H'));
    hint.map(|hint| format!("\n  hint: {hint}")).unwrap_or_default()
}

fn shown(reply: &Reply) -> String {
    const SHOWN_MAX: usize = 4000;
    let mut text = format!("{:?} {:?}", reply.status, reply.events);
    if let Some((at, _)) = text.char_indices().nth(SHOWN_MAX) {
        text.truncate(at);
    }
    text
}

/// Leaves out what may differ: notices, places in PostgreSQL's source, details and hints; the order of rows unless
/// asked for.
fn comparable(reply: &Reply, ordered: bool, expectation: &Expectation) -> Reply {
    let mut events: Vec<Event> = reply.events.iter().filter_map(|event| seen(event, expectation)).collect();
    drop_steps_before_an_error(&mut events, *expectation == Expectation::OwnWords);
    if !ordered {
        for run in events.chunk_by_mut(|a, b| matches!((a, b), (Event::Row(_), Event::Row(_)))) {
            run.sort_by_key(|event| if let Event::Row(row) = event { row.clone() } else { Vec::new() });
        }
    }
    Reply { events, status: reply.status }
}

/// What the proxy finds by itself has no position; one that is told must be right.
fn forgive_a_missing_position(expected: &mut Reply, found: &Reply) {
    for (expected, found) in expected.events.iter_mut().zip(&found.events) {
        if let (Event::Error(expected), Event::Error(found)) = (expected, found)
            && !found.contains_key(&'P')
        {
            expected.remove(&'P');
        }
    }
}

/// How far a statement comes before it fails is chance: which of its steps were confirmed, how many rows came.
fn drop_steps_before_an_error(events: &mut Vec<Event>, own_words: bool) {
    let Some(error) = events.iter().position(|event| matches!(event, Event::Error(_))) else { return };
    let step = |tag: char| matches!(tag, '1' | '2' | 't' | 'n');
    let passing = |event: &Event| match event {
        Event::Columns(_) | Event::Row(_) => true,
        Event::Other(tag) => step(*tag),
        Event::Parameters(_) => true,
        Event::Tag(_) | Event::Empty => own_words,
        Event::Error(_) | Event::Notice(_) => false,
    };
    let kept = events[..error].iter().rposition(|event| !passing(event)).map_or(0, |at| at + 1);
    events.drain(kept..error);
}

fn seen(event: &Event, expectation: &Expectation) -> Option<Event> {
    match event {
        Event::Notice(_) => None,
        Event::Error(fields) => {
            let own = *expectation == Expectation::OwnWords;
            let told = |letter: &char| matches!(letter, 'S' | 'C') || !own && matches!(letter, 'M' | 'P');
            let kept = fields.iter().filter(|(letter, _)| told(letter));
            Some(Event::Error(kept.map(|(letter, value)| (*letter, value.clone())).collect()))
        }
        Event::Row(_) if *expectation == Expectation::SameCount => Some(Event::Row(Vec::new())),
        Event::Columns(columns) => Some(Event::Columns(columns.iter().map(without_own_type).collect())),
        Event::Row(_) | Event::Tag(_) | Event::Empty | Event::Parameters(_) | Event::Other(_) => Some(event.clone()),
    }
}

/// Each server numbers the types that users make by itself.
fn without_own_type(column: &Column) -> Column {
    const FIRST_OF_USERS: u32 = 16384;
    Column { type_oid: column.type_oid.min(FIRST_OF_USERS), ..column.clone() }
}
