//! The present in what several shards run: one moment for all of them, as one server has it.

use postgres_protocol::escape::escape_identifier;

use crate::plan::{Direct, Freeze, ParameterSource, Plan, Scatter, Statement, WriteEffect, classify, with_moments};
use crate::sql::{Scanner, Token, identifier};

use super::call::Call;
use super::direct::{TRANSACTION_TIME, literal_of, moment};
use super::failure::Failure;
use super::link::{Link, Role};
use super::position::Position;
use super::understand::Understood;

/// What every name of the present has in it.
const PARTS: [&[u8]; 5] = [b"now", b"timestamp", b"current_date", b"current_time", b"localtime"];

/// Words behind which an expression gives no column its name.
const CONDITIONS: [&str; 8] = ["where", "on", "limit", "offset", "from", "join", "values", "set"];
/// Words behind which it may, or must be written as where it does.
const OUTPUTS: [&str; 7] = ["select", "group", "order", "by", "distinct", "having", "returning"];

/// Tells, from the bytes alone, whether a text may name the present; most do not.
pub(super) fn may_name_the_present(text: &str) -> bool {
    PARTS.iter().any(|part| text.as_bytes().windows(part.len()).any(|bytes| bytes.eq_ignore_ascii_case(part)))
}

impl Link {
    /// Returns `now()` of the open transaction, or of one that begins now, in UTC.
    pub(super) async fn present(&mut self) -> Result<String, Failure> {
        let home = self.snapshot.rules.home;
        if !self.transaction.is_open() {
            return Ok(moment(&self.ask(home, TRANSACTION_TIME).await?));
        }
        if self.transaction.members.is_empty() {
            self.enlist(home, Role::Reader).await?;
        }
        self.transaction_time().await
    }

    /// Tells whether a shard may have to be told the moment of the transaction, because another one joined first.
    pub fn has_another_moment(&self, plan: &Direct, text: &str) -> bool {
        let is_beside = self.transaction.members.first().is_some_and(|first| first.server.shard() != plan.shard);
        let target = plan.effect.as_ref().and_then(WriteEffect::may_leave_time);
        let leaves_it = |table: &str| !matches!(with_moments(text, table, &self.snapshot.catalog), Ok(None));
        is_beside && (may_name_the_present(text) || target.is_some_and(leaves_it))
    }

    /// For what runs on several connections and says the present: the call with a moment in its place, and its plan. Each
    /// connection would have another one.
    pub(super) async fn with_one_moment(
        &mut self,
        call: &Call,
        understood: &Understood,
        plan: &Plan,
    ) -> Result<Option<(Call, Understood, Plan)>, Failure> {
        let open = self.transaction.is_open();
        let target = match plan {
            // In a transaction the two steps have its moment.
            Plan::Carry(steps) if !open => Some(steps.table.as_str()),
            Plan::Gather(gather) if open && gather.reads_clock => None,
            _ => return Ok(None),
        };
        let catalog = &self.snapshot.catalog;
        if !may_name_the_present(&call.text) || classify::present(&call.text, catalog).is_empty() {
            return Ok(None);
        }
        let filled = match target {
            Some(target) => with_moments(&call.text, target, catalog)?,
            None => None,
        };
        let text = filled.as_deref().unwrap_or(&call.text);
        let spans = classify::present(text, catalog);
        let now = self.present().await?;
        Ok(Some(self.planned_anew(call, understood, in_place(text, &spans, &now)).await?))
    }

    /// Puts a moment in the place of the present; `None` where a read does not name it.
    pub(super) async fn with_one_present(&mut self, call: &Call, plan: &Scatter) -> Result<Option<Scatter>, Failure> {
        let Some((statement, now)) = self.at_the_present(call, &plan.statement).await? else { return Ok(None) };
        let mut presented = Scatter { statement, ..plan.clone() };
        if let Some(unlocked) = presented.lock_first.as_mut().and_then(|first| first.unlocked.as_mut()) {
            *unlocked = self.presented(call, unlocked, &now);
        }
        if !matches!(self.client.position, Position::Physical(_)) {
            self.client.position = Position::Unknown;
        }
        Ok(Some(presented))
    }

    /// Puts a moment in the place of the present, and returns that moment; `None` where a statement does not name it.
    pub(super) async fn at_the_present(
        &mut self,
        call: &Call,
        statement: &Statement,
    ) -> Result<Option<(Statement, String)>, Failure> {
        let text = call.sql(statement);
        if !may_name_the_present(text) || classify::present(text, &self.snapshot.catalog).is_empty() {
            return Ok(None);
        }
        let now = Box::pin(self.present()).await?;
        Ok(Some((self.presented(call, statement, &now), now)))
    }

    fn presented(&self, call: &Call, statement: &Statement, now: &str) -> Statement {
        let text = call.sql(statement);
        let sql = in_place(text, &classify::present(text, &self.snapshot.catalog), now);
        let values = call.arguments.as_ref().map_or(0, |arguments| arguments.values.len());
        let parameters = match statement {
            Statement::Original => (0..values).map(ParameterSource::Client).collect(),
            Statement::Rewritten { parameters, .. } => parameters.clone(),
        };
        Statement::Rewritten { sql, parameters }
    }
}

/// Replaces each call by the moment: by a literal, or where it may name a column by a query that names it so.
pub(super) fn in_place(text: &str, calls: &[Freeze], now: &str) -> String {
    let tokens: Vec<Token> = Scanner::new(text).collect();
    let outputs = outputs(text, &tokens);
    let mut spliced = String::with_capacity(text.len() + calls.len() * 64);
    let mut from = 0;
    for call in calls {
        spliced.push_str(&text[from..call.span.start]);
        let literal = literal_of(call, now);
        let first = tokens.partition_point(|token| token.start < call.span.start);
        let own = tokens[first..].iter().take_while(|token| token.end <= call.span.end);
        match own.filter_map(|token| identifier(text, *token)).last().filter(|_| outputs[first]) {
            Some(name) => spliced.push_str(&format!("(SELECT {literal} AS {})", escape_identifier(&name))),
            None => spliced.push_str(&literal),
        }
        from = call.span.end;
    }
    spliced.push_str(&text[from..]);
    spliced
}

/// Returns for each token whether what begins there may name a column, by the clause that it stands in.
fn outputs(text: &str, tokens: &[Token]) -> Vec<bool> {
    let mut clauses = vec![true];
    let mut found = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.iter().enumerate() {
        let clause = clauses.last().copied().unwrap_or(true);
        found.push(clause);
        let is_one = |words: &[&str]| words.iter().any(|word| token.is_word(text, word));
        if token.is_mark(text, "(") {
            clauses.push(clause);
        } else if token.is_mark(text, ")") && clauses.len() > 1 {
            clauses.pop();
        } else if is_one(&CONDITIONS) {
            let is_distinct_on = token.is_word(text, "on") && at > 0 && tokens[at - 1].is_word(text, "distinct");
            clauses.pop();
            clauses.push(is_distinct_on);
        } else if is_one(&OUTPUTS) {
            clauses.pop();
            clauses.push(true);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Catalog;

    #[test]
    fn columns_keep_their_names_and_conditions_get_literals() {
        let put = |text: &str| in_place(text, &classify::present(text, &Catalog::empty()), "2026-01-02 03:04:05.6");
        let moment = "('2026-01-02 03:04:05.6+00'::pg_catalog.timestamptz)";
        assert_eq!(
            put(
                "SELECT Now()::date, count(*) FROM t WHERE at < now() AND f(a, CURRENT_TIMESTAMP) GROUP BY pg_catalog.now()"
            ),
            format!(
                "SELECT (SELECT {moment} AS \"now\")::date, count(*) FROM t WHERE at < {moment} AND f(a, {moment}) \
                 GROUP BY (SELECT {moment} AS \"now\")"
            )
        );
        assert_eq!(
            put("select random(), (select max(a) from u where b), current_date from t"),
            format!(
                "select random(), (select max(a) from u where b), (SELECT {}::pg_catalog.date) AS \"current_date\") from t",
                moment.trim_end_matches(')')
            )
        );
        assert_eq!(put("SELECT 'now()' FROM t.now"), "SELECT 'now()' FROM t.now");
        // What must be written alike is.
        let alike = put(
            "SELECT DISTINCT ON (now() - at) a FROM t GROUP BY now() - at HAVING now() - at > b ORDER BY now() - at",
        );
        assert_eq!(alike.matches(" AS \"now\") - at").count(), 4, "{alike}");
    }

    #[test]
    fn a_long_text_is_gone_through_once() {
        let text = format!("SELECT 1 WHERE a IN ({}now())", "now(), ".repeat(100_000));
        let calls = classify::present(&text, &Catalog::empty());
        assert_eq!(in_place(&text, &calls, "2026-01-02").matches("'2026-01-02+00'").count(), 100_001);
    }

    #[test]
    fn the_present_is_told_in_any_case_of_letters() {
        for text in ["select NOW()", "select Current_Date", "select localtimestamp", "select LocalTime(3)"] {
            assert!(may_name_the_present(text), "{text}");
        }
        assert!(!may_name_the_present("select 1 from t"));
    }
}
