//! Ids that clients give: where the rules say so they are held against the tag and against the bucket of their row.
//!
//! Reads trust what is held here: the bucket in an id says where its row is (`route: true`).

use super::catalog::Catalog;
use crate::rules::{IdRule, IdSource};
use crate::types::{BucketId, Refusal, SqlState};

/// PostgreSQL's oids of smallint and integer.
const NARROW: [u32; 2] = [21, 23];

/// Checks one id of a row whose key has this bucket.
///
/// # Errors
/// 23514 for an id of another bucket or tag, or one that the layout cannot have made.
pub fn check(id: i64, bucket: Option<BucketId>, table: &str, rule: &IdRule) -> Result<(), Refusal> {
    let IdSource::Snowflake { layout, .. } = rule.source else { return Ok(()) };
    let violated = |what: String, hint: &str| Err(Refusal::new(SqlState::CHECK_VIOLATION, what).with_hint(hint));
    let column = &rule.column;
    if rule.route && (layout.bucket_of(id).is_none() || layout.bucket_of(id) != bucket.map(|bucket| bucket.0)) {
        return violated(
            format!(
                "the id {id} in \"{column}\" of table \"{table}\" does not carry the bucket of its row's sharding key"
            ),
            "Leave the column out, so that the proxy makes the id; the rules route by it (route: true).",
        );
    }
    if rule.check_tag && layout.tag_of(id) != Some(rule.tag_code) {
        return violated(
            format!("the id {id} in \"{column}\" of table \"{table}\" is not of the tag \"{}\"", rule.tag),
            "Leave the column out, take the id from shardloom.next_id, or drop check_tag from the rules.",
        );
    }
    Ok(())
}

/// The refusal of a statement whose ids nobody could check.
pub(super) fn unchecked(table: &str, rule: &IdRule, what: &str) -> Refusal {
    Refusal::unsupported(
        format!("{what} cannot be checked for the ids that the rules want in \"{}\" of table \"{table}\"", rule.column),
        "Insert the rows as values, or take route and check_tag from the table's rule.",
    )
    .with_reason("unchecked_id")
}

/// The refusal of a new value for an id that says where its row is.
pub(super) fn update(table: &str, rule: &IdRule) -> Refusal {
    Refusal::unsupported(
        format!("UPDATE of \"{}\" of table \"{table}\", whose ids the rules check", rule.column),
        "Delete the row and insert it anew.",
    )
    .with_reason("checked_id_update")
}

/// The refusal of a new sharding key beside an id that has the bucket of the old one.
pub(super) fn key_update(table: &str, key: &str) -> Refusal {
    Refusal::unsupported(
        format!("UPDATE of the sharding key \"{key}\" of table \"{table}\", whose ids carry its bucket"),
        "Delete the row and insert it with the new key, leaving the id out.",
    )
    .with_reason("checked_id_update")
}

/// The refusal of an id of another tag or layout in the column.
pub(super) fn other_source(table: &str, rule: &IdRule) -> Refusal {
    Refusal::new(
        SqlState::CHECK_VIOLATION,
        format!("\"{}\" of table \"{table}\" takes ids of the tag \"{}\" and its layout only", rule.column, rule.tag),
    )
    .with_hint("Leave the column out, or call shardloom.next_id with that tag.")
}

/// A column that is too narrow would take the first ids of a segment and fail one day; others fail at once.
pub(super) fn check_width(table: &str, id: &IdRule, catalog: &Catalog) -> Result<(), Refusal> {
    let column = catalog.table(table).and_then(|table| table.column(&id.column));
    let small = column.filter(|column| NARROW.contains(&column.type_oid));
    match (small, id.source) {
        (Some(column), IdSource::Snowflake { .. } | IdSource::Segment(_)) => Err(narrow(table, id, &column.type_name)),
        (Some(_), IdSource::Uuid { .. }) | (None, _) => Ok(()),
    }
}

/// The refusal of a generated id for a column that cannot hold it.
fn narrow(table: &str, rule: &IdRule, type_name: &str) -> Refusal {
    let column = &rule.column;
    let message =
        format!("the generated id \"{column}\" of table \"{table}\" is of type {type_name}, which is too small");
    Refusal::new(SqlState::DATATYPE_MISMATCH, message)
        .with_hint(format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE bigint"))
}

/// The refusal of an id that cannot be told from the statement.
pub(super) fn not_told(refusal: Refusal, table: &str, rule: &IdRule) -> Refusal {
    if refusal.state != SqlState::FEATURE_NOT_SUPPORTED {
        return refusal;
    }
    unchecked(table, rule, "an id that is computed in the statement")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{gene_layout, standard_layout};

    fn rule(source: IdSource, route: bool, check_tag: bool) -> IdRule {
        let (column, layout, tag) = ("id".into(), "l".into(), "order".into());
        IdRule { column, layout, tag, tag_code: 3, source, route, check_tag }
    }

    #[test]
    fn the_bucket_of_a_routed_id_is_its_rows() {
        let rule = rule(IdSource::Snowflake { layout: gene_layout(), tag_code: 3 }, true, false);
        let id = 77 << 23 | 4095 << 11 | 9;
        assert!(check(id, Some(BucketId(4095)), "t", &rule).is_ok());
        for (id, bucket) in
            [(id, Some(BucketId(4094))), (id, None), (-1, Some(BucketId(4095))), (42, Some(BucketId(1)))]
        {
            assert_eq!(check(id, bucket, "t", &rule).unwrap_err().state, SqlState::CHECK_VIOLATION);
        }
    }

    #[test]
    fn a_checked_tag_is_the_columns() {
        let layout = standard_layout();
        let checked = rule(IdSource::Snowflake { layout, tag_code: 3 }, false, true);
        assert!(check(5 << 22 | 3 << 16, None, "t", &checked).is_ok());
        assert!(check(5 << 22 | 4 << 16, None, "t", &checked).is_err());
        assert!(check(-5, None, "t", &checked).is_err());
        let unchecked = rule(IdSource::Snowflake { layout, tag_code: 3 }, false, false);
        assert!(check(-5, None, "t", &unchecked).is_ok());
    }
}
