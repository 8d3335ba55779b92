//! `check --live`: reads the shards' catalogs, schema version and, if asked, rows as the service user; changes nothing.

use std::sync::Arc;

use shardloom::plan::catalog::{Catalog, SCHEMA_QUERY, SchemaRow, schema_differences};
use shardloom::rules::{RuleSet, Shard};
use shardloom::server::{Options, ServiceRole, ShardLink, load_catalog, schema_row};
use shardloom::tls::Connector;
use shardloom::types::ShardId;

use super::arguments::CheckArguments;
use super::failure::Failure;
use super::live_compare::{ShardTables, compare};
use super::live_ids::{Registered, check_registered};
use super::live_lookup::check_lookups;
use super::live_rows::check_rows;

/// The version of the `shardloom` schema on a shard; no row without it.
const VERSION_QUERY: &str = "SELECT version FROM shardloom.version";

/// Layouts and tags that ids were made with.
const LAYOUTS_QUERY: &str =
    "SELECT name, epoch_ms, time_bits, tag_bits, worker_bits, sequence_bits FROM shardloom.id_layout";
const TAGS_QUERY: &str = "SELECT code, name FROM shardloom.id_tag";

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What must be mended.
    pub findings: Vec<String>,
    /// What is good to know, such as tables that no rule names.
    pub notices: Vec<String>,
}

/// What a shard says of itself.
struct Found {
    catalog: Catalog,
    schema: Vec<SchemaRow>,
    registered: Registered,
}

/// Compares all shards with the rules.
pub fn check(arguments: &CheckArguments, rules: &RuleSet) -> Result<Report, Failure> {
    let options = Options::read(&arguments.config).map_err(Failure::refused)?;
    let role = ServiceRole::of(&options.config.service);
    let connector = Arc::new(Connector::default());
    connector.load(&options.config.server_tls).map_err(|error| Failure::Problem(format!("server_tls: {error}")))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Problem(format!("the system gives no runtime: {error}")))?;
    runtime.block_on(async {
        let mut report = Report::default();
        let (mut tables, mut schemas) = (Vec::new(), Vec::new());
        check_lookups(rules, &mut ShardLink::new(rules.shard(rules.home), &role, &connector), &mut report).await;
        for (index, shard) in rules.shards.iter().enumerate() {
            let mut link = ShardLink::new(shard, &role, &connector);
            match read(shard, &mut link, &mut report).await {
                Ok(Found { mut catalog, schema, registered }) => {
                    check_registered(rules, &shard.name, &registered, &mut report);
                    catalog.adopt(rules);
                    let id = ShardId(index as u16);
                    if arguments.rows {
                        check_rows(rules, (id, &catalog), &mut link, &mut report).await;
                    }
                    tables.push(ShardTables { name: shard.name.clone(), catalog });
                    schemas.push((id, schema));
                }
                Err(error) => report.findings.push(format!("{}: {error}", place(shard))),
            }
        }
        compare(rules, &tables, &mut report);
        // Columns are compared above, by name: their order is told here.
        for difference in schema_differences(rules, &schemas).iter().filter(|difference| difference.kind != "table") {
            report.findings.push(format!("{}: {difference}", place(rules.shard(difference.shard))));
        }
        Ok(report)
    })
}

async fn read(shard: &Shard, link: &mut ShardLink, report: &mut Report) -> Result<Found, String> {
    let catalog = load_catalog(link).await?;
    match link.query(VERSION_QUERY).await {
        Ok(rows) if !rows.is_empty() => {}
        Ok(_) | Err(_) => {
            report
                .findings
                .push(format!("{}: the shardloom schema is not installed; start the proxy once", place(shard)));
        }
    }
    let schema = link.query(SCHEMA_QUERY).await?.into_iter().filter_map(schema_row).collect();
    Ok(Found { catalog, schema, registered: registered(link).await })
}

/// Reads what the shard knows of ids; nothing where the schema is older or missing.
async fn registered(link: &mut ShardLink) -> Registered {
    let mut registered = Registered::default();
    for row in link.query(LAYOUTS_QUERY).await.unwrap_or_default() {
        let mut row = row.into_iter().flatten();
        let Some(name) = row.next() else { continue };
        let numbers: Vec<i64> = row.filter_map(|number| number.parse().ok()).collect();
        if let Ok(numbers) = <[i64; 5]>::try_from(numbers) {
            registered.layouts.insert(name, numbers);
        }
    }
    for row in link.query(TAGS_QUERY).await.unwrap_or_default() {
        let mut row = row.into_iter().flatten();
        if let (Some(Ok(code)), Some(name)) = (row.next().map(|code| code.parse()), row.next()) {
            registered.tags.insert(code, name);
        }
    }
    registered
}

/// Findings about a server have no line: the place is `shard NAME:0:0`, so that the form stays `file:line:column`.
fn place(shard: &Shard) -> String {
    format!("shard {}:0:0", shard.name)
}
