//! `ledger ls|show|retry|skip|compensate|compensations|audit|in-doubt`, `dead-letters`, `lanes`, `targets`, `ddl` and
//! `routes`, all asked from a running proxy.

use serde_json::{Value, json};
use shardloom::admin::views::{
    AUDIT_COLUMNS, COMPENSATION_COLUMNS, DDL_COLUMNS, DEAD_LETTER_COLUMNS, DOUBT_COLUMNS, LANE_CHANGE_COLUMNS,
    LANE_COLUMNS, LEDGER_COLUMNS, PAUSED_COLUMNS, ROUTE_COLUMNS,
};

use super::arguments::{AdminTarget, LedgerChange, LedgerCommand, TargetChange, TargetsCommand};
use super::failure::Failure;
use super::output;
use super::remote::{Remote, escape};
use super::tables;

/// Target columns of `ledger show`.
const TARGET_COLUMNS: [&str; 8] =
    ["target", "state", "attempts", "expected_rows", "affected_rows", "drift", "last_sqlstate", "last_error"];

const NO_REASON: &str = "--reason must say why; it is written to the audit table";

/// Runs `ledger …`.
pub fn run(target: &AdminTarget, command: &LedgerCommand, as_json: bool) -> Result<(), Failure> {
    let remote = Remote::new(target);
    match command {
        LedgerCommand::Ls { state, limit } => list(&remote, state.as_deref(), *limit, as_json),
        LedgerCommand::Show { txid } => show(&remote, *txid, as_json),
        LedgerCommand::Retry(change) => apply(&remote, "retry", change, as_json),
        LedgerCommand::Skip(change) => apply(&remote, "skip", change, as_json),
        LedgerCommand::Compensate { txid, reason } => compensate(&remote, *txid, reason, as_json),
        LedgerCommand::Compensations => {
            let rows = remote.get("/compensations")?;
            print_rows(&rows, COMPENSATION_COLUMNS, "nothing was taken back", as_json);
            Ok(())
        }
        LedgerCommand::Verify(wanted) => tables::verify(&remote, wanted, as_json),
        LedgerCommand::Resync(wanted) => tables::resync(&remote, wanted, as_json),
        LedgerCommand::Audit { limit } => {
            print_rows(&remote.get(&format!("/audit?limit={limit}"))?, AUDIT_COLUMNS, "nothing was changed", as_json);
            Ok(())
        }
        LedgerCommand::InDoubt => {
            print_rows(&remote.get("/in-doubt")?, DOUBT_COLUMNS, "nothing is in doubt", as_json);
            Ok(())
        }
    }
}

/// Runs `dead-letters`.
pub fn dead_letters(target: &AdminTarget, as_json: bool) -> Result<(), Failure> {
    print_rows(&Remote::new(target).get("/dead-letters")?, DEAD_LETTER_COLUMNS, "no dead letters", as_json);
    Ok(())
}

/// Runs `lanes`.
pub fn lanes(target: &AdminTarget, as_json: bool) -> Result<(), Failure> {
    print_rows(&Remote::new(target).get("/lanes")?, LANE_COLUMNS, "no lanes", as_json);
    Ok(())
}

/// Runs `targets …`.
pub fn targets(target: &AdminTarget, command: &TargetsCommand, as_json: bool) -> Result<(), Failure> {
    let remote = Remote::new(target);
    match command {
        TargetsCommand::Ls => {
            print_rows(&remote.get("/targets")?, PAUSED_COLUMNS, "nothing stands still", as_json);
            Ok(())
        }
        TargetsCommand::Pause(change) => pause(&remote, "pause", change, as_json),
        TargetsCommand::Resume(change) => pause(&remote, "resume", change, as_json),
    }
}

/// Runs `ddl`.
pub fn ddl(target: &AdminTarget, as_json: bool) -> Result<(), Failure> {
    print_rows(&Remote::new(target).get("/ddl")?, DDL_COLUMNS, "nothing ran shard by shard", as_json);
    Ok(())
}

/// Runs `routes`.
pub fn routes(target: &AdminTarget, as_json: bool) -> Result<(), Failure> {
    print_rows(&Remote::new(target).get("/routes")?, ROUTE_COLUMNS, "no statements yet", as_json);
    Ok(())
}

fn list(remote: &Remote, state: Option<&str>, limit: u32, as_json: bool) -> Result<(), Failure> {
    let state = state.map(|state| format!("&state={}", escape(state))).unwrap_or_default();
    let rows = remote.get(&format!("/ledger?limit={limit}{state}"))?;
    print_rows(&rows, LEDGER_COLUMNS, "no ledger entries", as_json);
    Ok(())
}

fn show(remote: &Remote, txid: i64, as_json: bool) -> Result<(), Failure> {
    let entry = remote.get(&format!("/ledger/{txid}"))?;
    if as_json {
        output::json(&entry);
        return Ok(());
    }
    let facts = entry["row"].as_object().into_iter().chain(entry.as_object()).flatten();
    for (name, value) in facts.filter(|(_, value)| !value.is_object() && !holds_objects(value)) {
        output::line(format!("{name:<16} {}", output::cell(value)));
    }
    output::table(&TARGET_COLUMNS, entry.get("targets").unwrap_or(&Value::Null), "no targets");
    Ok(())
}

/// Tells whether `value` is the list that is printed as a table.
fn holds_objects(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().any(Value::is_object))
}

fn apply(remote: &Remote, verb: &str, change: &LedgerChange, as_json: bool) -> Result<(), Failure> {
    if change.reason.trim().is_empty() {
        return Err(Failure::Usage(NO_REASON.to_owned()));
    }
    let body = json!({"reason": change.reason, "target": change.target});
    let answer = remote.post(&format!("/ledger/{}/{verb}", change.txid), &body)?;
    if as_json {
        output::json(&answer);
    } else {
        output::line(format!("{verb} of {}: {}", change.txid, output::cell(&answer["changed"])));
    }
    Ok(())
}

fn compensate(remote: &Remote, txid: i64, reason: &str, as_json: bool) -> Result<(), Failure> {
    if reason.trim().is_empty() {
        return Err(Failure::Usage(NO_REASON.to_owned()));
    }
    let answer = remote.post(&format!("/ledger/{txid}/compensate"), &json!({"reason": reason}))?;
    if as_json {
        output::json(&answer);
    } else {
        let by = output::cell(&answer["compensated_by"]);
        output::line(format!("{txid} is taken back by transaction {by}; its targets follow"));
    }
    Ok(())
}

/// Changes a shard's lanes; a home that could not be told exits with 1.
fn pause(remote: &Remote, verb: &str, change: &TargetChange, as_json: bool) -> Result<(), Failure> {
    if change.reason.trim().is_empty() {
        return Err(Failure::Usage(NO_REASON.to_owned()));
    }
    let path = format!("/targets/{}/{verb}", escape(&change.shard));
    let lanes = remote.post(&path, &json!({"reason": change.reason}))?;
    print_rows(&lanes, LANE_CHANGE_COLUMNS, "no other shard replays to it", as_json);
    let away = lanes.as_array().into_iter().flatten().filter(|lane| lane["state"] == "away");
    let away: Vec<&str> = away.filter_map(|lane| lane["home"].as_str()).collect();
    match away.is_empty() {
        true => Ok(()),
        false => Err(Failure::Problem(format!(
            "{} could not be told; type it again when the shards answer: what was told already stays",
            away.join(", ")
        ))),
    }
}

fn print_rows(rows: &Value, columns: &[&str], empty: &str, as_json: bool) {
    if as_json {
        output::json(rows);
    } else {
        output::table(columns, rows, empty);
    }
}
