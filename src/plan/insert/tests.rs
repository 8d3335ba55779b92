//! Golden plans: every case of `cases.sql` against one small set of rules; the expected plans are the snapshot.

use std::fmt::Write;

use crate::plan::CarryForm;
use crate::plan::catalog::Catalog;
use crate::plan::context::Values;
use crate::plan::{ParameterSource, Plan, Redo, Statement, WriteEffect, classify};
use crate::rules::IdSource;
use crate::sql::{LiteralKind, literals, splice};
use crate::types::Refusal;

use super::fixture::{catalog, rules};
use super::{IdValue, Parameters, PreparedInsert, reason};

/// A case: `-- params: 1|\N` makes it extended with these text parameters, `-- no catalog` empties the catalog.
fn run(case: &str) -> String {
    let mut lines = case.lines().peekable();
    let mut values: Option<Vec<Option<String>>> = None;
    let mut catalog = catalog();
    while let Some(line) = lines.peek() {
        if let Some(list) = line.strip_prefix("-- params:") {
            let value = |text: &str| (text != "\\N").then(|| text.to_owned());
            values = Some(if list.trim().is_empty() { vec![] } else { list.trim().split('|').map(value).collect() });
        } else if *line == "-- no catalog" {
            catalog = Catalog::empty();
        } else if !line.starts_with("-- #") {
            break;
        }
        lines.next();
    }
    let text = lines.collect::<Vec<_>>().join("\n");
    match planned(&text, &catalog, values.as_deref()) {
        Ok(plan) => show(&plan, &text),
        Err(refusal) => {
            let reason = reason(&refusal).map(|reason| format!(" {reason}")).unwrap_or_default();
            format!("refused {}{reason}: {}\n", refusal.state, refusal.message)
        }
    }
}

fn planned(text: &str, catalog: &Catalog, values: Option<&[Option<String>]>) -> Result<Plan, Refusal> {
    let rules = rules();
    let prepared = PreparedInsert::new(text, crate::sql::insert::read(text)?, &rules, catalog)?;
    planned_by(&prepared, text, catalog, values).map(|plan| plan.expect("it is the text that was read"))
}

fn planned_by(
    prepared: &PreparedInsert,
    text: &str,
    catalog: &Catalog,
    values: Option<&[Option<String>]>,
) -> Result<Option<Plan>, Refusal> {
    let bytes: Vec<Option<&[u8]>> =
        values.unwrap_or_default().iter().map(|value| value.as_deref().map(str::as_bytes)).collect();
    let parameters = Parameters { is_extended: values.is_some(), values: &bytes, ..Parameters::default() };
    let mut next = 0;
    let values = Values { text, literals: &literals(text), parameters };
    prepared.plan(&rules(), catalog, &values, &mut |wanted| {
        let IdSource::Snowflake { tag_code, .. } = wanted.source else { panic!("no tag") };
        next += wanted.count as i64;
        let ids = next - wanted.count as i64..next;
        Ok(ids.map(|number| IdValue::Bigint(i64::from(tag_code) * 1000 + number)).collect())
    })
}

fn show(plan: &Plan, text: &str) -> String {
    let mut out = String::new();
    match plan {
        Plan::Direct(direct) => {
            let reads = if direct.reads_reference { " reads-reference" } else { "" };
            let _ = writeln!(out, "direct s{}{reads}: {}", direct.shard.0, statement(&direct.statement));
            out += &effect(direct.effect.as_ref().unwrap(), &direct.statement, text);
        }
        Plan::MultiWrite(multi) => {
            for part in &multi.parts {
                let _ = writeln!(out, "s{} rows {:?}: {}", part.shard.0, part.rows, statement(&part.statement));
            }
            let _ = writeln!(out, "returning {:?}", multi.returning);
            out += &effect(&multi.effect, &multi.parts[0].statement, text);
        }
        Plan::Carry(carry) => {
            let _ = writeln!(out, "carry {}: {}", carry.source, carry.checked_on.map_or(0, |shard| shard.0));
            let _ = match &carry.form {
                CarryForm::Rows { head, tail } => writeln!(out, "  {head} VALUES … {tail}"),
                CarryForm::Cells(spans) => {
                    writeln!(out, "  {:?}", spans.iter().map(|span| &text[span.clone()]).collect::<Vec<_>>())
                }
                CarryForm::Move { .. } | CarryForm::Query { .. } => panic!("not a plan of INSERT"),
            };
        }
        Plan::Scatter(_) | Plan::Gather(_) | Plan::Copy(_) | Plan::CopyOut(_) | Plan::Everywhere { .. } => {
            panic!("not a plan of INSERT")
        }
    }
    out
}

fn statement(statement: &Statement) -> String {
    match statement {
        Statement::Original => "(original)".into(),
        Statement::Rewritten { sql, parameters } => {
            let source = |source: &ParameterSource| match source {
                ParameterSource::Client(index) => format!("client {index}"),
                ParameterSource::Bigint(id) => format!("bigint {id}"),
                ParameterSource::Text(id) => format!("text {id}"),
            };
            let list: Vec<String> = parameters.iter().map(source).collect();
            if list.is_empty() { sql.clone() } else { format!("{sql}\n    [{}]", list.join(", ")) }
        }
    }
}

fn effect(effect: &WriteEffect, sent: &Statement, text: &str) -> String {
    let sent = match sent {
        Statement::Original => text,
        Statement::Rewritten { sql, .. } => sql,
    };
    let redo = match &effect.redo {
        Redo::Exact => "exact".into(),
        Redo::AfterFreeze => {
            let freezes = classify::freezes(sent, &Catalog::empty());
            format!("freeze {:?}", freezes.iter().map(|freeze| &sent[freeze.span.clone()]).collect::<Vec<_>>())
        }
        Redo::Never(reason) => format!("never ({reason})"),
    };
    let reference = if effect.reference { " reference" } else { "" };
    let deferrable = if effect.deferrable { " deferrable" } else { "" };
    format!("{}{reference} {}{deferrable}, redo {redo}\n", effect.tables.join(","), effect.mode.name())
}

#[test]
fn plans_are_as_reviewed() {
    let cases: Vec<&str> =
        include_str!("cases.sql").split("\n\n").map(str::trim).filter(|case| !case.is_empty()).collect();
    assert!(cases.len() >= 80, "{} cases", cases.len());
    let shown: Vec<String> = cases.iter().map(|case| format!("{case}\n=> {}", run(case))).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

/// A text that differs in constants only is planned from the one that was read as if it had been read itself.
#[test]
fn other_constants_make_the_plan_that_reading_them_makes() {
    let numbers = ["0", "7", "123456789", "2.5"];
    let texts = ["''", "'now'", "'zebra''s'", "'2147483648'", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"];
    let mut compared = 0;
    for case in include_str!("cases.sql").split("\n\n").filter(|case| !case.contains("-- ")) {
        let text = case.trim();
        let Ok(facts) = crate::sql::insert::read(text) else { continue };
        let Ok(template) = PreparedInsert::new(text, facts, &rules(), &catalog()) else { continue };
        for round in 0..10 {
            let change = |(place, literal): (usize, &crate::sql::Literal)| {
                let new = match literal.kind {
                    LiteralKind::Number => numbers[(round + place) % numbers.len()],
                    _ => texts[(round + place) % texts.len()],
                };
                (literal.range(), new.to_owned())
            };
            let other = splice(text, &literals(text).iter().enumerate().map(change).collect::<Vec<_>>());
            let Ok(Some(by_template)) = planned_by(&template, &other, &catalog(), None).map_err(|refusal| {
                let read = planned(&other, &catalog(), None).expect_err("reading it is refused too");
                assert_eq!((&refusal.state, &refusal.message), (&read.state, &read.message), "{other}");
            }) else {
                continue;
            };
            assert_eq!(by_template, planned(&other, &catalog(), None).unwrap(), "{text}\n{other}");
            compared += usize::from(other != text);
        }
    }
    assert!(compared > 200, "{compared} plans");
}

/// Whatever is split, the parts together hold each row once, and each part reads back as an INSERT of its rows.
#[test]
fn parts_read_back_as_the_rows_they_hold() {
    let rows: Vec<String> = (0..50).map(|key| format!("( {key} /* , */, 'é)({key}''',\n$${key}$$)")).collect();
    let text =
        format!("insert into carts (user_id, item, n) values {} on conflict do nothing", rows.join(" -- ),(\n ,"));
    let Plan::MultiWrite(multi) = planned(&text, &catalog(), None).unwrap() else { panic!() };
    assert_eq!(multi.parts.len(), 4);
    let mut seen: Vec<u32> = Vec::new();
    for part in &multi.parts {
        let Statement::Rewritten { sql, .. } = &part.statement else { panic!() };
        let facts = crate::sql::insert::read(sql).unwrap();
        let crate::sql::insert::Source::Values(read) = facts.source else { panic!() };
        let texts: Vec<&str> = read.iter().map(|row| &sql[row.span.clone()]).collect();
        let wanted: Vec<&str> = part.rows.iter().map(|row| rows[*row as usize].as_str()).collect();
        assert_eq!(texts, wanted);
        seen.extend(&part.rows);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<u32>>());
}

#[test]
fn the_described_text_is_the_one_that_runs() {
    let text = "insert into orders (user_id, note) values ($2, $1), ($2, 'x')";
    let facts = crate::sql::insert::read(text).unwrap();
    let prepared = PreparedInsert::new(text, facts, &rules(), &catalog()).unwrap();
    let described = prepared.describe_text(text).expect("it is the text that was read");
    assert_eq!(described.injected, 2);
    let values = [Some("n".to_owned()), Some("7".to_owned())];
    let Plan::Direct(direct) = planned(text, &catalog(), Some(&values)).unwrap() else { panic!() };
    let Statement::Rewritten { sql, parameters } = direct.statement else { panic!() };
    assert_eq!(sql, described.sql);
    assert_eq!(parameters.len(), 4);
}

#[test]
fn a_short_answer_of_the_generator_is_an_error() {
    let text = "insert into orders (user_id) values (1)";
    let prepared = PreparedInsert::new(text, crate::sql::insert::read(text).unwrap(), &rules(), &catalog()).unwrap();
    let values = Values { text, literals: &literals(text), parameters: Parameters::default() };
    let none = prepared.plan(&rules(), &catalog(), &values, &mut |_| Ok(Vec::new()));
    assert_eq!(none.unwrap_err().state.code(), "XX000");
}
