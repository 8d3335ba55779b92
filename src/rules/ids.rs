//! The Ids document: tags and layouts, and the id columns of tables that use them.

use std::collections::{BTreeMap, HashMap};

use super::formats::epoch_ms;
use super::id_column::{fits, misfit};
use super::{IdLayout, IdRule, IdRules, IdSource, SegmentRule};
use crate::yaml::{Findings, Node};

/// The layout of transaction ids, and of all ids whose column names no other.
pub const STANDARD: &str = "standard";

/// The most bits of an id: a bigint without its sign.
const ID_BITS_MAX: u64 = 63;

/// 2026-01-01T00:00:00Z, the epoch of the layouts that are there without being declared.
const EPOCH_MS: i64 = 1_767_225_600_000;

/// How many ids a proxy reserves at a time where the rules say nothing: a restart leaves a gap of that size.
const SEGMENT_STEP: i64 = 1000;

/// Returns the `standard` layout as it is without a declaration: time 41, tag 6, worker 7, sequence 9.
pub fn standard_layout() -> IdLayout {
    built_in([41, 6, 7, 9], false)
}

/// Returns the layout whose ids name their row's bucket: time 40, bucket 12, worker 5, sequence 6.
pub fn gene_layout() -> IdLayout {
    built_in([40, 12, 5, 6], true)
}

/// Returns the layout whose ids a JavaScript number holds exactly (53 bits): time 41, tag 4, worker 4, sequence 4.
pub fn js53_layout() -> IdLayout {
    built_in([41, 4, 4, 4], false)
}

const fn built_in([time_bits, tag_bits, worker_bits, sequence_bits]: [u8; 4], has_bucket: bool) -> IdLayout {
    IdLayout { epoch_ms: EPOCH_MS, time_bits, tag_bits, worker_bits, sequence_bits, has_bucket }
}

impl IdLayout {
    /// Returns the bucket in an id; `None` if the layout has none or cannot have made the id.
    pub fn bucket_of(&self, id: i64) -> Option<u32> {
        let id = u64::try_from(id).ok().filter(|_| self.has_bucket)?;
        let below = u32::from(self.worker_bits) + u32::from(self.sequence_bits);
        let all = below + u32::from(self.tag_bits) + u32::from(self.time_bits);
        let beyond = id.checked_shr(all).unwrap_or(0);
        (beyond == 0).then_some((id >> below) as u32 & ((1 << self.tag_bits) - 1))
    }

    /// Returns the tag's code in an id; `None` if the layout has none or cannot have made the id.
    pub fn tag_of(&self, id: i64) -> Option<u16> {
        let tagged = Self { has_bucket: !self.has_bucket, ..*self };
        tagged.bucket_of(id).and_then(|code| u16::try_from(code).ok())
    }
}

impl IdRules {
    /// Returns where the ids of a tag come from; those of the clock are of the layout that all columns of the tag have, if
    /// that needs no row, else of `standard`.
    pub fn of_tag(&self, tag: &str) -> Option<IdSource> {
        if let Some(source) = self.of_columns.get(tag) {
            return Some(*source);
        }
        if let Some(&tag_code) = self.tags.get(tag) {
            let layout = self.layouts.get(STANDARD).copied().unwrap_or_else(standard_layout);
            return Some(IdSource::Snowflake { layout, tag_code });
        }
        self.segment(tag)
    }

    /// Returns the names of all tags, those of segments last.
    pub fn tag_names(&self) -> impl Iterator<Item = &str> {
        self.tags.keys().chain(self.segments.keys()).map(String::as_str)
    }

    /// Learns the layouts that columns of the tags have.
    pub(super) fn learn_columns<'a>(&mut self, columns: impl Iterator<Item = &'a IdRule>) {
        let mut sources: BTreeMap<&str, Vec<IdSource>> = BTreeMap::new();
        for column in columns.filter(|column| matches!(column.source, IdSource::Snowflake { .. })) {
            sources.entry(&column.tag).or_default().push(column.source);
        }
        let only = |sources: &[IdSource]| match sources {
            [first @ IdSource::Snowflake { layout, .. }, rest @ ..] => {
                (!layout.has_bucket && rest.iter().all(|other| other == first)).then_some(*first)
            }
            _ => None,
        };
        let found = sources.into_iter().filter_map(|(tag, sources)| Some((tag.to_owned(), only(&sources)?)));
        self.of_columns = found.collect();
    }

    pub(super) fn segment(&self, tag: &str) -> Option<IdSource> {
        let place = self.segments.keys().position(|name| name == tag)?;
        u16::try_from(place).ok().map(IdSource::Segment)
    }
}

/// Reads the Ids document, if there is one, whose shape was checked.
pub fn read(document: Option<&Node>, findings: &mut Findings) -> IdRules {
    let layouts = [(STANDARD, standard_layout()), ("gene", gene_layout()), ("js53", js53_layout())];
    let layouts = layouts.into_iter().map(|(name, layout)| (name.to_owned(), layout)).collect();
    let mut rules = IdRules { tags: BTreeMap::new(), layouts, segments: BTreeMap::new(), of_columns: BTreeMap::new() };
    let Some(document) = document else { return rules };
    if let Some(layouts) = document.get("layouts") {
        for entry in layouts.entries() {
            // A broken layout keeps its name, so that its users are not reported as well.
            let layout =
                layout(&entry.node, findings).unwrap_or_else(|| IdLayout { tag_bits: 16, ..standard_layout() });
            rules.layouts.insert(entry.key.clone(), layout);
        }
    }
    if let Some(tags) = document.get("tags") {
        read_tags(tags, &mut rules, findings);
    }
    for entry in document.get("segments").map(Node::entries).unwrap_or_default() {
        if rules.tags.contains_key(&entry.key) {
            let message = format!("{:?} is a tag with a code already: a segment needs a name of its own", entry.key);
            findings.report(&entry.place, message);
        }
        let number =
            |key: &str| entry.node.get(key).and_then(Node::integer).and_then(|number| i64::try_from(number).ok());
        let segment = SegmentRule { from: number("from").unwrap_or(1), step: number("step").unwrap_or(SEGMENT_STEP) };
        rules.segments.insert(entry.key.clone(), segment);
    }
    rules
}

fn layout(node: &Node, findings: &mut Findings) -> Option<IdLayout> {
    let bits = node.get("bits")?;
    let width = |key: &str| bits.get(key).and_then(Node::integer);
    let has_bucket = match (bits.get("tag"), bits.get("bucket")) {
        (Some(_), Some(both)) => {
            findings.report(&both.place, "a layout has the bits of a tag or of a bucket, not of both");
            return None;
        }
        (None, None) => {
            findings.report(&bits.place, "a layout's bits needs the key \"tag\" or \"bucket\"");
            return None;
        }
        (tag, _) => tag.is_none(),
    };
    let second = if has_bucket { "bucket" } else { "tag" };
    let widths = [width("time")?, width(second)?, width("worker")?, width("sequence")?];
    let sum = widths.iter().fold(0, |sum: u64, bits| sum.saturating_add(*bits));
    if sum > ID_BITS_MAX {
        findings.report(&bits.place, format!("the bits sum to {sum}, an id has at most {ID_BITS_MAX}"));
    }
    let [time_bits, tag_bits, worker_bits, sequence_bits] = widths.map(|bits| bits.min(ID_BITS_MAX) as u8);
    let epoch_ms = epoch_ms(node.get("epoch")?.text()?)?;
    Some(IdLayout { epoch_ms, time_bits, tag_bits, worker_bits, sequence_bits, has_bucket })
}

/// Reads the tags; each code belongs to one tag and fits the `standard` layout, which `next_id` uses.
fn read_tags(tags: &Node, rules: &mut IdRules, findings: &mut Findings) {
    let mut owners = HashMap::new();
    let standard = rules.layouts[STANDARD];
    if standard.has_bucket {
        findings.report(&tags.place, "the layout \"standard\" needs the bits of a tag, not of a bucket");
    }
    for entry in tags.entries() {
        let Some(code) = entry.node.integer().and_then(|code| u16::try_from(code).ok()) else {
            // Reported by the shape; the name stays known.
            rules.tags.insert(entry.key.clone(), 0);
            continue;
        };
        if let Some(other) = owners.insert(code, &entry.key) {
            findings.report(&entry.node.place, format!("code {code} belongs to the tag {other:?} already"));
        }
        if !fits(code, &standard) || standard.tag_bits == 0 {
            findings.report(&entry.node.place, misfit(&entry.key, code, STANDARD, &standard));
        }
        rules.tags.insert(entry.key.clone(), code);
    }
}
