//! The elements of a one-dimensional array in text (`{1,2}`) or binary format.

use std::borrow::Cow;

use super::context::Values;
use super::key::{Decoded, binary, is_array_type, is_element_type, text};
use crate::sql::{Slot, SlotSource, literal_value};
use crate::types::{KeyType, KeyValue};

/// The most elements that are routed one by one; longer arrays go wherever a statement without a key goes.
const ELEMENTS_MAX: usize = 65_536;

/// Hands each element of an array to `take`; `false` when one cannot be told.
pub(super) fn each_element(slot: &Slot, key: KeyType, values: &Values<'_>, take: &mut impl FnMut(KeyValue)) -> bool {
    match &slot.source {
        SlotSource::Null => true,
        SlotSource::Literal { index, .. } => {
            let value = values.literals.get(*index).and_then(|literal| literal_value(values.text, literal));
            value.is_some_and(|value| written(&value, key, take))
        }
        SlotSource::Parameter { index, shared } => {
            let Some(value) = values.parameters.values.get(*index) else { return false };
            let Some(bytes) = value else { return true };
            let declared = values.parameters.type_of(*index);
            if !is_array_type(declared, key) || (*shared && declared == 0) {
                return false;
            }
            match values.parameters.is_binary(*index) {
                true => packed(bytes, key, take),
                false => std::str::from_utf8(bytes).is_ok_and(|value| written(value, key, take)),
            }
        }
    }
}

fn keep(decoded: Decoded, take: &mut impl FnMut(KeyValue)) -> bool {
    match decoded {
        Decoded::Value(value) => take(value),
        Decoded::Nothing => {}
        Decoded::Unknown => return false,
    }
    true
}

/// Reads `{a,"b",NULL}`; nested arrays and explicit bounds are not told.
fn written(value: &str, key: KeyType, take: &mut impl FnMut(KeyValue)) -> bool {
    let Some(body) = value.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else { return false };
    if body.trim().is_empty() {
        return true;
    }
    let mut rest = body;
    for _ in 0..ELEMENTS_MAX {
        let Some((element, quoted, next)) = element(rest) else { return false };
        let null = !quoted && element.eq_ignore_ascii_case("null");
        if !null && !keep(text(Cow::Owned(element), key), take) {
            return false;
        }
        match next {
            Some(next) => rest = next,
            None => return true,
        }
    }
    false
}

/// Returns one element, whether it was quoted, and what follows the comma.
fn element(text: &str) -> Option<(String, bool, Option<&str>)> {
    let start = text.trim_start();
    let mut value = String::new();
    let mut characters = start.char_indices();
    let quoted = start.starts_with('"');
    if quoted {
        characters.next();
        loop {
            match characters.next()?.1 {
                '"' => break,
                '\\' => value.push(characters.next()?.1),
                other => value.push(other),
            }
        }
        let rest = characters.as_str().trim_start();
        return match rest.strip_prefix(',') {
            Some(next) => Some((value, true, Some(next))),
            None => rest.is_empty().then_some((value, true, None)),
        };
    }
    let (body, next) = start.split_once(',').map_or((start, None), |(body, next)| (body, Some(next)));
    if body.contains(['{', '}', '"', '\\']) || body.trim().is_empty() {
        return None;
    }
    Some((body.trim_end().to_owned(), false, next))
}

/// Reads PostgreSQL's binary array: dimensions, null flag, element type, length and lower bound, then the elements.
fn packed(bytes: &[u8], key: KeyType, take: &mut impl FnMut(KeyValue)) -> bool {
    let word = |at: usize| bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map(i32::from_be_bytes);
    match word(0) {
        Some(0) => return true,
        Some(1) => {}
        Some(_) | None => return false,
    }
    let Some(count) = word(12).and_then(|count| usize::try_from(count).ok()) else { return false };
    let told = word(8).is_some_and(|element| is_element_type(element as u32, key));
    if count > ELEMENTS_MAX || !told {
        return false;
    }
    let mut at = 20;
    for _ in 0..count {
        let Some(length) = word(at) else { return false };
        at += 4;
        let Ok(length) = usize::try_from(length) else { continue };
        let Some(element) = bytes.get(at..at + length) else { return false };
        if !keep(binary(element, key), take) {
            return false;
        }
        at += length;
    }
    true
}
