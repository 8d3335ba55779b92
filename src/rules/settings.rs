//! `missing_key`, `key_update` and `multi_shard`, with their defaults.

use super::{AssumedCount, MissingKey, MultiShardRule, OnDead, OnKeyUpdate, OnMissingKey, RuleMode, WhenTargetDown};
use crate::yaml::{Findings, Node};

/// Whose `multi_shard` it is; the defaults differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A TableGroup.
    Group,
    /// ReferenceTables.
    Reference,
}

/// Reads `missing_key`: reads scatter and writes are rejected unless it says otherwise.
pub fn missing_key(node: Option<&Node>) -> MissingKey {
    let word = |key| node.and_then(|node| node.get(key)).and_then(Node::text);
    let read = |word: Option<&str>, default| match word {
        Some("reject") => OnMissingKey::Reject,
        Some("scatter") => OnMissingKey::Scatter,
        Some(_) | None => default,
    };
    MissingKey { read: read(word("read"), OnMissingKey::Scatter), write: read(word("write"), OnMissingKey::Reject) }
}

/// Reads `key_update`: rejected unless it says otherwise.
pub fn key_update(node: Option<&Node>) -> OnKeyUpdate {
    if node.and_then(Node::text) == Some("move") { OnKeyUpdate::Move } else { OnKeyUpdate::Reject }
}

/// Reads `multi_shard`: auto, defer, and `park_key` for groups or `resync` for reference tables.
pub fn multi_shard(node: Option<&Node>, owner: Owner, findings: &mut Findings) -> MultiShardRule {
    let field = |key| node.and_then(|node| node.get(key));
    let word = |key| field(key).and_then(Node::text);
    let mode = match word("mode") {
        Some("eventual") => RuleMode::Eventual,
        Some("eager") => RuleMode::Eager,
        Some("two_phase") => RuleMode::TwoPhase,
        Some("reject") => RuleMode::Reject,
        Some(_) | None => RuleMode::Auto,
    };
    if let (RuleMode::Eager | RuleMode::TwoPhase, Owner::Reference, Some(node)) = (mode, owner, field("mode")) {
        findings
            .report(&node.place, "copies of reference tables always follow home by replay: auto, eventual or reject");
    }
    let on_dead = match word("on_dead") {
        Some("park_key") => OnDead::ParkKey,
        Some("stop_lane") => OnDead::StopLane,
        Some("skip") => OnDead::Skip,
        Some("resync") => OnDead::Resync,
        Some("compensate") => OnDead::Compensate,
        Some(_) | None => match owner {
            Owner::Group => OnDead::ParkKey,
            Owner::Reference => OnDead::Resync,
        },
    };
    if let (OnDead::Resync, Owner::Group, Some(node)) = (on_dead, owner, field("on_dead")) {
        findings.report(&node.place, "\"resync\" is for reference tables: a sharded row has no second copy");
    }
    if let (OnDead::Compensate, Owner::Reference, Some(node)) = (on_dead, owner, field("on_dead")) {
        findings.report(
            &node.place,
            "\"compensate\" is for table groups: home's rows of a reference table are never undone",
        );
    }
    let when_target_down = match word("when_target_down") {
        Some("error") => WhenTargetDown::Error,
        Some(_) | None => WhenTargetDown::Defer,
    };
    let assumed_count = if word("assumed_count") == Some("keys") { AssumedCount::Keys } else { AssumedCount::None };
    if let (AssumedCount::Keys, Some(node)) = (assumed_count, field("assumed_count")) {
        if mode != RuleMode::Eventual || owner == Owner::Reference {
            findings
                .report(&node.place, "counts are assumed where UPDATEs are deferred: in table groups of mode eventual");
        } else if on_dead == OnDead::Compensate {
            findings.report(
                &node.place,
                "an UPDATE has no undo: with on_dead compensate none is deferred, no count assumed",
            );
        }
    }
    MultiShardRule { mode, on_dead, when_target_down, assumed_count }
}
