//! `ledger verify` and `ledger resync`: reference tables and their copies.

use serde_json::{Value, json};

use super::arguments::{ResyncArguments, VerifyArguments};
use super::failure::Failure;
use super::output;
use super::remote::{Remote, escape};

/// Columns of the copies that were compared.
const COPY_COLUMNS: [&str; 4] = ["target", "state", "rows", "hash"];

/// Runs `ledger verify`; a difference that is not repaired exits with 1.
pub fn verify(remote: &Remote, wanted: &VerifyArguments, as_json: bool) -> Result<(), Failure> {
    let reason = match (wanted.repair, &wanted.reason) {
        (true, Some(reason)) if !reason.trim().is_empty() => Some(reason),
        (true, _) => {
            return Err(Failure::Usage("--repair needs --reason; it is written to the audit table".to_owned()));
        }
        (false, _) => None,
    };
    let path = format!("/tables/{}", escape(&wanted.table));
    let mut report = remote.post(&format!("{path}/verify"), &json!({}))?;
    let plan = plan(&report);
    if !as_json {
        show(&report, &plan);
    }
    let mut repaired = Vec::new();
    for (step, reason) in plan.iter().zip(reason.into_iter().cycle()) {
        let body = json!({"reason": reason, "target": step.target, "keys": step.keys});
        let done = remote.post(&format!("{path}/resync"), &body)?;
        if !as_json {
            output::line(format!("repair of {}: {} rows on their way", step.target, output::cell(&done["rows"])));
        }
        repaired.push(json!({"target": step.target, "rows": done["rows"], "txid": done["txid"]}));
    }
    if as_json {
        report["repaired"] = repaired.into();
        output::json(&report);
    }
    let copies = report["copies"].as_array().into_iter().flatten();
    let unknown: Vec<&str> =
        copies.filter(|copy| copy["state"] != "equal" && copy["state"] != "different").map(target_of).collect();
    match (plan.is_empty() || wanted.repair, unknown.is_empty()) {
        (true, true) => Ok(()),
        (false, _) => Err(Failure::Problem(format!(
            "copies of {} differ from home; `shardloom ledger verify {0} --repair --reason '…'` does what is planned",
            wanted.table
        ))),
        (true, false) => Err(Failure::Problem(format!("not compared: {}", unknown.join(", ")))),
    }
}

/// Runs `ledger resync`.
pub fn resync(remote: &Remote, wanted: &ResyncArguments, as_json: bool) -> Result<(), Failure> {
    if wanted.reason.trim().is_empty() {
        return Err(Failure::Usage("--reason must say why; it is written to the audit table".to_owned()));
    }
    let body = json!({"reason": wanted.reason, "target": wanted.target});
    let done = remote.post(&format!("/tables/{}/resync", escape(&wanted.table)), &body)?;
    if as_json {
        output::json(&done);
    } else {
        let (rows, steps, txid) = (&done["rows"], &done["steps"], &done["txid"]);
        output::line(format!(
            "resync of {}: {} rows in {} steps on their way, the last one is transaction {}",
            wanted.table,
            output::cell(rows),
            output::cell(steps),
            output::cell(txid)
        ));
    }
    Ok(())
}

/// What is to be done to one copy: the rows named, or the whole table.
struct Step {
    target: String,
    keys: Option<Vec<String>>,
}

/// Returns what would make the copies equal.
fn plan(report: &Value) -> Vec<Step> {
    let copies = report["copies"].as_array().into_iter().flatten();
    copies
        .filter(|copy| copy["state"] == "different")
        .map(|copy| {
            let named: Vec<String> = rows(copy).filter_map(|row| row["key"].as_str().map(str::to_owned)).collect();
            let whole = copy["more"] == true || named.is_empty();
            Step { target: target_of(copy).to_owned(), keys: (!whole).then_some(named) }
        })
        .collect()
}

fn show(report: &Value, plan: &[Step]) {
    let cell = |name| output::cell(&report[name]);
    output::line(format!("{} on home {}: {} rows, hash {}", cell("table"), cell("home"), cell("rows"), cell("hash")));
    output::table(&COPY_COLUMNS, &report["copies"], "no copies");
    for copy in report["copies"].as_array().into_iter().flatten() {
        for row in rows(copy) {
            output::line(format!("{}: {} {}", target_of(copy), output::cell(&row["key"]), output::cell(&row["kind"])));
        }
        if copy["more"] == true {
            output::line(format!("{}: and more", target_of(copy)));
        }
    }
    for step in plan {
        let what =
            step.keys.as_ref().map_or_else(|| "the whole table".to_owned(), |keys| format!("{} rows", keys.len()));
        output::line(format!("plan: copy {what} from home to {} again", step.target));
    }
}

fn rows(copy: &Value) -> impl Iterator<Item = &Value> {
    copy["differences"].as_array().into_iter().flatten()
}

fn target_of(copy: &Value) -> &str {
    copy["target"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_rows_are_repaired_and_a_table_with_more_as_a_whole() {
        let row = |key: &str| json!({"key": key, "kind": "missing"});
        let report = json!({"copies": [
            {"target": "s1", "state": "different", "differences": [row("a"), row("b")], "more": false},
            {"target": "s2", "state": "different", "differences": [row("a")], "more": true},
            {"target": "s3", "state": "equal", "differences": [], "more": false},
            {"target": "s4", "state": "PENDING", "differences": [], "more": false},
        ]});
        let steps: Vec<_> = plan(&report).into_iter().map(|step| (step.target, step.keys)).collect();
        assert_eq!(steps, [("s1".to_owned(), Some(vec!["a".to_owned(), "b".to_owned()])), ("s2".to_owned(), None)]);
    }
}
