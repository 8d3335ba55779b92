//! EXPLAIN of a statement that one shard answers. `EXPLAIN (ROUTE)` is answered by the session, not here.

use std::ops::Range;

use super::context::{Context, Values};
use super::insert::MakeIds;
use super::plan_types::{Plan, Statement};
use super::prepare::{PrepareError, Prepared, prepare};
use crate::sql::{Control, control, literals};
use crate::types::{Refusal, SqlState};

/// An EXPLAIN that was read.
#[derive(Debug, Clone)]
pub(super) struct Explain {
    inner: Box<Prepared>,
    span: Range<usize>,
    analyze: bool,
}

impl Explain {
    /// Reads the statement that stands in `span` of `text`.
    pub(super) fn read(
        text: &str,
        span: Range<usize>,
        analyze: bool,
        context: &Context<'_>,
    ) -> Result<Self, PrepareError> {
        let inside = text.get(span.clone()).unwrap_or("");
        if matches!(control(inside), Some(Control::Explain { .. })) {
            let refusal = Refusal::new(SqlState::SYNTAX_ERROR, "EXPLAIN of EXPLAIN");
            return Err(PrepareError::Unreadable(refusal.with_hint("Say EXPLAIN once.").with_reason("unreadable")));
        }
        let inner = Box::new(prepare(inside, context)?);
        Ok(Self { inner, span, analyze })
    }

    /// Tells whether the rules split a table of the statement.
    pub(super) fn is_split(&self) -> bool {
        self.inner.is_split()
    }

    /// Returns what servers can parse in the place of `text`, as the statement explained is parsed.
    pub(super) fn parsed_text(&self, text: &str) -> Result<Option<String>, Refusal> {
        let (before, inside) = text.split_at_checked(self.span.start).unwrap_or(("", text));
        Ok(self.inner.parsed_text(inside)?.map(|parsed| format!("{before}{parsed}")))
    }

    /// Sends the EXPLAIN where the statement would go.
    pub(super) fn plan(
        &self,
        context: &Context<'_>,
        values: &Values<'_>,
        ids: &mut MakeIds<'_>,
    ) -> Result<Plan, Refusal> {
        let text = values.text.get(self.span.clone()).unwrap_or("");
        let inside = Values { text, literals: &literals(text), parameters: values.parameters };
        match self.inner.plan(context, &inside, ids)? {
            Plan::Direct(mut direct) => {
                if let Statement::Rewritten { sql, .. } = &mut direct.statement {
                    sql.insert_str(0, &values.text[..self.span.start]);
                }
                direct.effect = direct.effect.filter(|_| self.analyze);
                Ok(Plan::Direct(direct))
            }
            Plan::Scatter(_)
            | Plan::Gather(_)
            | Plan::MultiWrite(_)
            | Plan::Carry(_)
            | Plan::Copy(_)
            | Plan::CopyOut(_)
            | Plan::Everywhere { .. } => Err(Refusal::unsupported(
                "EXPLAIN of a statement over several shards asks each of them and is not routed as one statement",
                "Ask for the route of the statement itself, or run the EXPLAIN through the proxy.",
            )
            .with_reason("explain_scatter")),
        }
    }
}
