//! The id column of a table: which of its keys go together, and what its layout must have.

use std::collections::BTreeMap;

use super::ids::STANDARD;
use super::{Algorithm, IdLayout, IdRule, IdRules, IdSource, names};
use crate::yaml::{Findings, Node};

/// What the table around the column says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    /// The columns of the sharding key.
    pub key: &'a [String],
    /// How the group finds shards.
    pub algorithm: &'a Algorithm,
    /// How many buckets there are; `None` if the topology could not be read.
    pub buckets: Option<u32>,
}

/// Reads the id column of a table.
pub(super) fn read(node: &Node, rules: &IdRules, around: Around<'_>, findings: &mut Findings) -> Option<IdRule> {
    let column = node.get("column").and_then(|column| match names::column(column.name()?) {
        Ok(name) => Some(name),
        Err(message) => {
            findings.report(&column.place, message);
            None
        }
    });
    let is_uuid = node.get("strategy").and_then(Node::text) == Some("uuid");
    let rule = if is_uuid { uuid(node, findings) } else { tagged(node, rules, around, findings) };
    let rule = IdRule { column: column?, ..rule? };
    check_key(node, &rule, around, findings);
    Some(rule)
}

/// A generated id is in the row before its shard is known only if it does not depend on the shard.
fn check_key(node: &Node, rule: &IdRule, around: Around<'_>, findings: &mut Findings) {
    let needs_place = match rule.source {
        IdSource::Snowflake { layout, .. } => layout.has_bucket,
        IdSource::Uuid { prefixed } => prefixed,
        IdSource::Segment(_) => false,
    };
    if needs_place && around.key.contains(&rule.column) {
        let message = format!("{:?} is the sharding key: its id cannot name the place that it decides", rule.column);
        findings.report(&node.place, message);
    }
}

fn uuid(node: &Node, findings: &mut Findings) -> Option<IdRule> {
    for key in ["tag", "layout", "route", "check_tag"] {
        if let Some(other) = node.get(key) {
            findings.report(&other.place, format!("an id of strategy uuid has no {key}"));
        }
    }
    let source = IdSource::Uuid { prefixed: node.get("prefix").is_some() };
    Some(rule(source))
}

fn rule(source: IdSource) -> IdRule {
    let (column, layout, tag) = (String::new(), String::new(), String::new());
    IdRule { column, layout, tag, tag_code: 0, source, route: false, check_tag: false }
}

fn tagged(node: &Node, rules: &IdRules, around: Around<'_>, findings: &mut Findings) -> Option<IdRule> {
    if let Some(prefix) = node.get("prefix") {
        findings.report(&prefix.place, "a prefix goes with strategy: uuid");
    }
    let Some(tag) = node.get("tag") else {
        findings.report(&node.place, "an id needs the key \"tag\"");
        return None;
    };
    let strategy = node.get("strategy").and_then(Node::text);
    if let Some(source) = tag.text().and_then(|name| rules.segment(name)).filter(|_| strategy != Some("snowflake")) {
        for key in ["layout", "route", "check_tag"] {
            if let Some(other) = node.get(key) {
                findings.report(&other.place, format!("the dense ids of a segment have no {key}"));
            }
        }
        return Some(IdRule { tag: tag.text()?.to_owned(), ..rule(source) });
    }
    if strategy == Some("segment") {
        let message = "strategy segment needs a tag of the segments in the Ids file".to_owned();
        findings.report_word(&tag.place, message, tag.text()?, rules.segments.keys().map(String::as_str));
        return None;
    }
    let layout = match node.get("layout") {
        Some(name) => known(name, "layout", &rules.layouts, findings),
        None => rules.layouts.get_key_value(STANDARD),
    };
    let (layout_name, layout) = layout?;
    let (tag_name, code) = known(tag, "tag", &rules.tags, findings)?;
    if layout_name != STANDARD && !layout.has_bucket && !fits(*code, layout) {
        findings.report(&node.place, misfit(tag_name, *code, layout_name, layout));
    }
    if layout.has_bucket {
        check_buckets(node, layout_name, layout, around, findings);
    }
    let source = IdSource::Snowflake { layout: *layout, tag_code: *code };
    let (route, check_tag) = (flag(node, "route"), flag(node, "check_tag"));
    if route && !layout.has_bucket {
        findings.report(&node.place, format!("route: true needs a layout with a bucket, {layout_name:?} has none"));
    }
    if check_tag && (layout.has_bucket || layout.tag_bits == 0) {
        findings.report(&node.place, format!("check_tag: true needs a layout with a tag, {layout_name:?} has none"));
    }
    Some(IdRule {
        layout: layout_name.clone(),
        tag: tag_name.clone(),
        tag_code: *code,
        route,
        check_tag,
        ..rule(source)
    })
}

fn flag(node: &Node, key: &str) -> bool {
    node.get(key).and_then(Node::boolean) == Some(true)
}

fn check_buckets(node: &Node, name: &str, layout: &IdLayout, around: Around<'_>, findings: &mut Findings) {
    let has_buckets = match around.algorithm {
        Algorithm::Hash | Algorithm::Lookup(_) => true,
        Algorithm::Mod(shards) => shards.is_empty(),
        Algorithm::List(_) | Algorithm::Range(_) | Algorithm::Interval(_) | Algorithm::Composite(_) => false,
    };
    if !has_buckets {
        let message =
            format!("the layout {name:?} needs a group with buckets: algorithm hash, lookup, or mod without shards");
        findings.report(&node.place, message);
    }
    let room = 1u64 << layout.tag_bits;
    if let Some(buckets) = around.buckets.filter(|buckets| u64::from(*buckets) > room) {
        let bits = layout.tag_bits;
        let message = format!("{buckets} buckets do not fit the {bits} bucket bits of the layout {name:?}");
        findings.report(&node.place, message);
    }
}

fn known<'a, T>(
    node: &Node,
    what: &str,
    map: &'a BTreeMap<String, T>,
    findings: &mut Findings,
) -> Option<(&'a String, &'a T)> {
    let name = node.text()?;
    let found = map.get_key_value(name);
    if found.is_none() {
        let message = format!("no {what} is named {name:?} in the Ids file");
        findings.report_word(&node.place, message, name, map.keys().map(String::as_str));
    }
    found
}

/// Tells whether a layout has room for the code; one without tags has no codes, and all tags share its ids.
pub(super) fn fits(code: u16, layout: &IdLayout) -> bool {
    layout.tag_bits == 0 || u64::from(code) < 1 << layout.tag_bits.min(16)
}

pub(super) fn misfit(tag: &str, code: u16, name: &str, layout: &IdLayout) -> String {
    let bits = layout.tag_bits;
    format!("code {code} of the tag {tag:?} does not fit the {bits} tag bits of the layout {name:?}")
}
