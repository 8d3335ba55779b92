//! One statement file, once through one protocol, in a database of its own.

use crate::support::{Differential, Proxy, ProxyOptions, RawClient, Reply, TestDatabase};

use super::blocks::{Block, Expectation, blocks};
use super::compare::{difference, error_of, not_refused};
use super::extended;

/// The tables of all files.
pub const RULES: &str = include_str!("rules.yaml");
/// Their schema and rows; it runs on both sides before each file.
pub const SCHEMA: &str = include_str!("schema.sql");

/// How the statements travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Query messages.
    Simple,
    /// Parse to Sync in one batch, results as text.
    Text,
    /// Prepared and described first, results in binary.
    Binary,
}

/// On a busy machine copies may follow late; a test is not about that.
pub fn patient() -> ProxyOptions {
    ProxyOptions { config: "limits: {wait_timeout: 30s}".to_owned(), ..ProxyOptions::default() }
}

impl Pass {
    pub(super) fn runs(self, block: &Block) -> bool {
        if self == Self::Simple { block.simple } else { block.extended }
    }

    pub(super) fn call(self, client: &mut RawClient, block: &Block) -> Reply {
        match (self, &block.copy) {
            (Self::Simple, Some(data)) => extended::copy(client, &block.sql, data),
            (Self::Simple, None) => client.simple(&block.sql),
            (Self::Text, _) => extended::at_once(client, &block.sql, &block.parameters),
            (Self::Binary, _) => extended::prepared(client, &block.sql, &block.parameters),
        }
    }
}

/// Runs all blocks and panics with every difference found.
pub async fn run(name: &str, text: &str, pass: Pass) {
    run_under(RULES, name, text, pass).await;
}

/// Runs all blocks under these rules and panics with every difference found.
pub async fn run_under(rules: &str, name: &str, text: &str, pass: Pass) {
    let database = TestDatabase::new(&format!("d_{name}"));
    let proxy = Proxy::start(&database, rules, patient()).await;
    let mut sides = Differential::through(&proxy, &database);
    let mut found: Vec<String> = Vec::new();
    wait_until_writable(&mut sides.other);
    for block in blocks(SCHEMA) {
        let Some(wrong) = check(&mut sides, &block, Pass::Simple) else { continue };
        panic!("the schema, line {}: {}\n{wrong}", block.line, block.sql);
    }
    for block in blocks(text).iter().filter(|block| pass.runs(block)) {
        if let Some(wrong) = check(&mut sides, block, pass) {
            found.push(format!("{name}.sql:{}: {}\n{wrong}", block.line, block.sql));
        }
    }
    assert!(found.is_empty(), "{} differences, {pass:?}:\n\n{}\n", found.len(), found.join("\n\n"));
}

/// Waits until the proxy has looked for what it has to redo: until then it refuses writes.
pub fn wait_until_writable(proxy: &mut RawClient) {
    // Each try waits for a second by itself.
    const TRIES_MAX: usize = 60;
    for _ in 0..TRIES_MAX {
        let reply = proxy.simple("COMMENT ON TABLE customers IS NULL");
        if reply.error().is_some_and(|(state, _)| state == "42P01") {
            return;
        }
    }
    panic!("the proxy takes no writes");
}

pub(super) fn check(sides: &mut Differential, block: &Block, pass: Pass) -> Option<String> {
    let failed = |reply: Reply| error_of(&reply).map(|fields| format!("  failed: {fields:?}"));
    match &block.expectation {
        Expectation::PlainOnly => failed(pass.call(&mut sides.plain, block)),
        Expectation::ProxyOnly => failed(pass.call(&mut sides.other, block)),
        Expectation::Refused(state) => not_refused(&pass.call(&mut sides.other, block), state),
        Expectation::Same | Expectation::SameCount | Expectation::OwnWords => {
            let (plain, proxy) = (pass.call(&mut sides.plain, block), pass.call(&mut sides.other, block));
            difference(&plain, &proxy, &block.sql, &block.expectation)
        }
    }
}
