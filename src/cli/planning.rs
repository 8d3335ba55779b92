//! One statement with text parameters through the planner, offline: an empty catalog, ids made on the spot.

use std::path::Path;

use shardloom::dev::SHOP_DATABASE;
use shardloom::plan::catalog::Catalog;
use shardloom::plan::{Context, IdValue, IdsWanted, Parameters, Plan, PrepareError, Values, insert, prepare};
use shardloom::rules::{IdSource, RuleSet, Shard, Topology};
use shardloom::server::RuleSource;
use shardloom::sql;
use shardloom::types::Refusal;

/// The first of the ids that stand for generated ones: such a row's shard is an example, not a promise.
const FIRST_ID: i64 = 1;

/// The port of the first shard of a made Topology.
const FIRST_PORT: u16 = 5501;

/// Names where rules come from; with `shards` a Topology is made as `dev` makes one, in place of the files' own.
pub fn source(directory: &Path, shards: Option<u16>) -> RuleSource {
    let shard = |index: u16| Shard {
        name: format!("s{index}"),
        host: "127.0.0.1".to_owned(),
        // Nobody connects; the ports only tell the shards apart.
        port: FIRST_PORT + index,
        database: SHOP_DATABASE.to_owned(),
    };
    let topology = shards.map(|count| Topology::even(SHOP_DATABASE, (0..count).map(shard).collect()));
    RuleSource { directory: directory.to_owned(), topology }
}

/// Plans `sql`; each parameter is text, `None` is NULL.
pub fn plan(rules: &RuleSet, sql: &str, parameters: &[Option<String>]) -> Result<Plan, Refusal> {
    let values: Vec<Option<&[u8]>> = parameters.iter().map(|text| text.as_ref().map(String::as_bytes)).collect();
    let catalog = Catalog::empty();
    let context = Context { rules, catalog: &catalog };
    let prepared = match prepare(sql, &context) {
        Ok(prepared) => prepared,
        Err(PrepareError::Refused(refusal) | PrepareError::Unreadable(refusal)) => return Err(refusal),
    };
    let literals = sql::literals(sql);
    let parameters = Parameters { is_extended: !values.is_empty(), values: &values, ..Parameters::default() };
    let mut next = FIRST_ID;
    let mut ids = |wanted: IdsWanted| {
        let made = (next..).take(wanted.count).map(|number| example(wanted, number)).collect();
        next += wanted.count as i64;
        Ok(made)
    };
    prepared.plan(&context, &Values { text: sql, literals: &literals, parameters }, &mut ids)
}

/// Returns an id for show: small, but with the bucket of its row where the layout has one.
fn example(wanted: IdsWanted, number: i64) -> IdValue {
    match (wanted.source, wanted.bucket) {
        (IdSource::Snowflake { layout, .. }, Some(bucket)) => {
            IdValue::Bigint(i64::from(bucket.0) << (layout.worker_bits + layout.sequence_bits) | number)
        }
        (IdSource::Snowflake { .. } | IdSource::Segment(_), _) => IdValue::Bigint(number),
        (IdSource::Uuid { .. }, _) => IdValue::Uuid((number as u128).to_be_bytes()),
    }
}

/// Returns the reason's word, as golden tests write it.
pub fn reason(refusal: &Refusal) -> Option<&str> {
    if refusal.reason.is_empty() { insert::reason(refusal) } else { Some(refusal.reason) }
}
