//! ALTER TABLE that fills rows with the present: one moment for all shards, as one server has it.

use crate::plan::{Context, Plan, moments};

use super::call::Call;
use super::direct::splice_time;
use super::failure::Failure;
use super::link::Link;
use super::position::Position;
use super::understand::{self, Understood};

impl Link {
    /// For a statement that fills rows with the present: the call with a moment in its place, and its plan.
    pub(super) async fn at_one_moment(
        &mut self,
        call: &Call,
        understood: &Understood,
    ) -> Result<Option<(Call, Understood, Plan)>, Failure> {
        let context = Context { rules: &self.snapshot.rules, catalog: &self.snapshot.catalog };
        let Some(moments) = moments(&call.text, &context) else { return Ok(None) };
        let now = self.present().await?;
        let (head, rest) = call.text.split_at(moments.end);
        let text = format!("{}{}{rest}", splice_time(head, &moments.spans, &now), moments.again);
        Ok(Some(self.planned_anew(call, understood, text).await?))
    }

    /// Plans a call with another text, of which positions mean nothing to the client.
    pub(super) async fn planned_anew(
        &mut self,
        call: &Call,
        understood: &Understood,
        text: String,
    ) -> Result<(Call, Understood, Plan), Failure> {
        let mut anew = understand::read_issued(&text, &self.snapshot)?;
        anew.route.clone_from(&understood.route);
        let call = Call { text: text.into(), literals: None, ..call.clone() };
        let plan = self.plan_when_known(&call, &anew).await?;
        self.client.position = Position::Unknown;
        Ok((call, anew, plan))
    }
}
