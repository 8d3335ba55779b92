//! Logical names in what servers say of the physical tables of a split one.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use crate::rules::RuleSet;
use crate::wire::backend::ErrorFields;
use crate::wire::frame;

/// Returns an ErrorResponse or NoticeResponse frame with logical names and without a position.
pub(super) fn renamed(frame_bytes: &[u8], rules: &RuleSet) -> Bytes {
    let fields = frame_bytes.get(5..).and_then(|body| ErrorFields::read(body).ok());
    let (Some(fields), Some(kind)) = (fields, frame_bytes.first()) else { return Bytes::copy_from_slice(frame_bytes) };
    let constraint = constraint(&fields, rules);
    let mut out = BytesMut::new();
    frame::write(&mut out, *kind, |out| {
        for (code, value) in fields.iter().filter(|(code, _)| *code != b'P') {
            out.extend_from_slice(&[code]);
            match std::str::from_utf8(value) {
                Ok(text) => out.extend_from_slice(of_field(code, text, constraint.as_ref(), rules).as_bytes()),
                Err(_) => out.extend_from_slice(value),
            }
            out.extend_from_slice(&[0]);
        }
        out.extend_from_slice(&[0]);
    });
    out.freeze()
}

/// A constraint or index that an error is about, and has another name on each physical table.
struct Constraint<'a> {
    physical: &'a str,
    logical: String,
}

/// Returns the constraint that the fields name together with its physical table.
fn constraint<'a>(fields: &ErrorFields<'a>, rules: &RuleSet) -> Option<Constraint<'a>> {
    let (schema, table, physical) = (fields.get(b's')?, fields.get(b't')?, fields.get(b'n')?);
    let key = if schema == "public" { table.to_owned() } else { format!("{schema}.{table}") };
    let logical = rules.logical_of(&key)?;
    let split = rules.split_of(logical)?;
    let slot = split.names.iter().position(|name| name == table)?;
    let logical = split.logical_name(physical, logical, slot);
    Some(Constraint { physical, logical })
}

/// A table's or constraint's name stands alone, in texts names are quoted.
fn of_field<'a>(code: u8, text: &'a str, constraint: Option<&Constraint<'_>>, rules: &RuleSet) -> Cow<'a, str> {
    let of_name = |name: &str| match constraint {
        Some(constraint) if constraint.physical == name => Some(constraint.logical.clone()),
        Some(_) | None => of_name(name, rules),
    };
    match code {
        b't' | b'n' => of_name(text).map_or(Cow::Borrowed(text), Cow::Owned),
        b'M' | b'D' | b'H' | b'W' => quoted(text, of_name),
        _ => Cow::Borrowed(text),
    }
}

/// Replaces what stands between double quotes.
fn quoted<'a>(text: &'a str, of_name: impl Fn(&str) -> Option<String>) -> Cow<'a, str> {
    let parts: Vec<&str> = text.split('"').collect();
    let inside = |index: usize| index % 2 == 1 && index + 1 < parts.len();
    let new = parts.iter().enumerate().map(|(index, part)| {
        let name = if inside(index) { of_name(part) } else { None };
        name.map_or(Cow::Borrowed(*part), Cow::Owned)
    });
    let new: Vec<Cow<'_, str>> = new.collect();
    if new.iter().all(|part| matches!(part, Cow::Borrowed(_))) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(new.join("\""))
    }
}

/// Returns the logical name of a physical table, or of an index or constraint that is named like one.
fn of_name(name: &str, rules: &RuleSet) -> Option<String> {
    if let Some(logical) = rules.logical_of(name) {
        return Some(logical.to_owned());
    }
    let bare = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    rules.physical.iter().find_map(|(physical, logical)| {
        let rest = name.strip_prefix(&bare(physical))?;
        (rest.is_empty() || rest.starts_with('_')).then(|| format!("{}{rest}", bare(logical)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RuleFile;

    fn rules() -> RuleSet {
        let text = "kind: Topology
database: d
buckets: 4
shards: {s0: {primary: \"h:1\"}}
placement: {s0: [\"0-3\"]}
home: s0
---
kind: TableGroup
name: g
key: {type: bigint}
tables: {items: {key: k, split: {into: 4, pattern: \"items_{00}\"}}}
";
        RuleSet::parse(&[RuleFile { path: "r.yaml".into(), text: text.into() }]).expect("they hold")
    }

    #[test]
    fn errors_name_logical_tables() {
        let mut error = BytesMut::new();
        let fields = [
            (b'S', "ERROR"),
            (b'M', "duplicate key value violates unique constraint \"items_02_pkey\""),
            (b'D', "Key (k)=(1) in \"items_02\" and \"other\" and \"items_0"),
            (b'P', "8"),
            (b's', "public"),
            (b't', "items_02"),
            (b'n', "items_02_pkey"),
        ];
        crate::wire::backend::write_error_fields(&mut error, b'E', &fields);
        let renamed = renamed(&error, &rules());
        let read = ErrorFields::read(&renamed[5..]).expect("it is an error");
        assert_eq!(read.get(b'M'), Some("duplicate key value violates unique constraint \"items_pkey\""));
        assert_eq!(read.get(b'D'), Some("Key (k)=(1) in \"items\" and \"other\" and \"items_0"));
        assert_eq!((read.get(b't'), read.get(b'n'), read.get(b'P')), (Some("items"), Some("items_pkey"), None));
        assert_eq!(renamed.len() - 1, u32::from_be_bytes(renamed[1..5].try_into().unwrap()) as usize);
    }

    #[test]
    fn a_constraint_loses_the_number_of_its_table() {
        let told = |name| {
            let mut error = BytesMut::new();
            let fields =
                [(b'M', "constraint \"own_2\" of \"k_2\""), (b's', "public"), (b't', "items_02"), (b'n', name)];
            crate::wire::backend::write_error_fields(&mut error, b'E', &fields);
            let renamed = renamed(&error, &rules());
            ErrorFields::read(&renamed[5..]).expect("it is an error").get(b'M').map(str::to_owned)
        };
        assert_eq!(told("own_2").as_deref(), Some("constraint \"own\" of \"k_2\""));
        assert_eq!(told("own_1").as_deref(), Some("constraint \"own_2\" of \"k_2\""));
    }

    #[test]
    fn names_that_only_begin_alike_stay() {
        assert_eq!(of_name("items_020", &rules()), None);
        assert_eq!(of_name("item", &rules()), None);
        assert_eq!(of_name("items_03_a_idx", &rules()).as_deref(), Some("items_a_idx"));
    }
}
