//! The rules' version: equal content, equal version, whatever the order of files, keys and comments.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::{Algorithm, Distribution, OnKeyUpdate, RuleSet, TableRule};

/// Bytes of the SHA-256 that the version keeps: enough to tell rule sets apart, short enough for a ledger row.
const VERSION_BYTES: usize = 8;

/// The first line of the text that is hashed; a change of that text gives it a new number.
const FORM: &str = "shardloom rules 1";

/// Returns the fingerprint of everything but the golden tests, in hexadecimal.
pub fn version(rules: &RuleSet) -> String {
    let digest = Sha256::digest(canonical(rules).as_bytes());
    digest.iter().take(VERSION_BYTES).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Writes the rules in one order, one fact per line. `Debug` quotes texts, so that no text can look like two facts.
fn canonical(rules: &RuleSet) -> String {
    let mut lines = vec![FORM.to_owned()];
    lines.push(format!("database {:?} home {} unlisted {:?}", rules.database, rules.home.0, rules.unlisted));
    for shard in &rules.shards {
        lines.push(format!("shard {:?} {:?} {} {:?}", shard.name, shard.host, shard.port, shard.database));
    }
    let owners = (0..rules.placement.buckets()).map(|bucket| rules.placement.owner(crate::types::BucketId(bucket)).0);
    for run in owners.collect::<Vec<_>>().chunk_by(|one, next| one == next) {
        lines.push(format!("buckets {} on {}", run.len(), run[0]));
    }
    lines.extend(rules.ids.tags.iter().map(|(tag, code)| format!("tag {tag:?} {code}")));
    lines.extend(rules.ids.layouts.iter().map(|(name, layout)| format!("layout {name:?} {layout:?}")));
    lines.extend(rules.ids.segments.iter().map(|(name, segment)| format!("segment {name:?} {segment:?}")));
    let mut rest = groups(rules);
    rest.extend(rules.tables.iter().map(|(name, rule)| table(rules, name, rule)));
    rest.sort();
    lines.append(&mut rest);
    lines.join("\n")
}

fn groups(rules: &RuleSet) -> Vec<String> {
    let line = |group: &super::TableGroup| {
        let settings = (&group.missing_key, &group.multi_shard);
        let line = format!("group {:?} {:?} {:?} {:?}", group.name, group.key_type, settings.0, settings.1);
        let line = match group.key_update {
            OnKeyUpdate::Reject => line,
            OnKeyUpdate::Move => format!("{line} key_update: move"),
        };
        match &group.algorithm {
            Algorithm::Hash => line,
            other => format!("{line} {other:?}"),
        }
    };
    rules.groups.iter().map(line).collect()
}

fn table(rules: &RuleSet, name: &str, rule: &TableRule) -> String {
    let distribution = match &rule.distribution {
        Distribution::Sharded { group, key, more } if more.is_empty() => {
            format!("in {:?} by {key:?}", rules.group(*group).name)
        }
        Distribution::Sharded { group, key, more } => {
            format!("in {:?} by {key:?} and {more:?}", rules.group(*group).name)
        }
        Distribution::Reference { home, multi_shard } => format!("reference {} {multi_shard:?}", home.0),
        Distribution::Single { shard } => format!("single {}", shard.0),
    };
    let line = format!("table {name:?} {distribution} id {:?}", rule.id);
    let line = match &rule.split {
        None => line,
        Some(split) => format!("{line} split {split:?}"),
    };
    match &rule.undo {
        None => line,
        Some(undo) => format!("{line} {undo:?}"),
    }
}
