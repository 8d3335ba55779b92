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
        let mut filled = understand::read_issued(&text, &self.snapshot)?;
        filled.route.clone_from(&understood.route);
        let call = Call { text: text.into(), literals: None, ..call.clone() };
        let plan = self.plan_when_known(&call, &filled).await?;
        self.client.position = Position::Unknown;
        Ok(Some((call, filled, plan)))
    }
}
