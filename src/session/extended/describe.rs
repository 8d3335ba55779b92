//! What a statement takes and returns, asked of a server where the proxy itself answers Describe.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::{Buf, Bytes};

use crate::execute::{Description, Failure, Meaning, Position, Prepared, Understood};
use crate::sql::Control;
use crate::wire::{backend, frame};

use super::super::conversation::Session;
use super::super::ids::parameter_types;
use super::super::ledger_call;
use super::pipeline::Step;
use super::portal::Portal;
use super::told::{Held, Told};

/// The longest description that is read; a statement has 1,664 columns at most.
const DESCRIPTION_BYTES_MAX: usize = 64 * 1024 * 1024;

impl Session {
    /// Fails a Bind at the front, in PostgreSQL's words, if the client would misread the rows: it was told other columns,
    /// and does not ask again.
    pub(super) async fn check_columns(&mut self, steps: &VecDeque<Step>) -> Result<(), Failure> {
        let Some(Step::Bind(portal)) = steps.front() else { return Ok(()) };
        let remembers = !self.link.schema_dirty;
        if !portal.is_outdated(remembers) || portal.takes_any_columns() && is_described(portal, steps) {
            return Ok(());
        }
        self.check_told(&portal.statement, &portal.told).await
    }

    /// Fails in PostgreSQL's words if the client was told other columns of the statement.
    pub(in super::super) async fn check_told(&mut self, statement: &Prepared, told: &Told) -> Result<(), Failure> {
        let remembers = !self.link.schema_dirty;
        if told.is_outdated(statement, remembers) {
            let understood = Rc::clone(&statement.meaning.borrow());
            let frames = self.described(statement, &understood).await?;
            told.check(statement, remembers, &frames)?;
        }
        Ok(())
    }

    pub(super) async fn describe_statement(&mut self, held: &Held) -> Result<(), Failure> {
        let statement = &held.prepared;
        let understood = Rc::clone(&statement.meaning.borrow());
        match &understood.meaning {
            Meaning::Empty => {
                backend::write_parameter_description(self.link.client.output(), &[]);
                backend::write_no_data(self.link.client.output());
                Ok(())
            }
            Meaning::Control(control) => {
                let types = match control {
                    Control::NextIds(wanted) => parameter_types(wanted, &statement.types),
                    Control::Ledger(asked) => ledger_call::parameter_types(asked, &statement.types),
                    _no_parameters => Vec::new(),
                };
                backend::write_parameter_description(self.link.client.output(), &types);
                self.describe_control(&statement.sql, control, &[]).await
            }
            Meaning::Plan(_) | Meaning::Keyed(_) => {
                let frames = self.described(statement, &understood).await?;
                held.told.note_statement(statement, !self.link.schema_dirty, &frames);
                self.link.client.output().extend_from_slice(&frames);
                Ok(())
            }
        }
    }

    /// Asks a server what a rewritten statement takes and returns; parameters that the proxy adds are left out.
    pub(in super::super) async fn described(
        &mut self,
        statement: &Prepared,
        understood: &Understood,
    ) -> Result<Bytes, Failure> {
        let generation = self.link.snapshot.generation;
        let remembers = !self.link.schema_dirty;
        let is_current = |known: &&Description| remembers && known.generation == generation;
        if let Some(known) = statement.description.borrow().as_ref().filter(is_current) {
            if known.has_rows() {
                self.refuse_if_failed()?;
            }
            return Ok(known.frames.clone());
        }
        let (sql, parameters) = match &understood.meaning {
            Meaning::Keyed(keyed) => {
                let inner = self.link.worker.plans.understand(&keyed.text, &self.link.snapshot)?;
                inner.described_text(&keyed.text)
            }
            Meaning::Empty | Meaning::Control(_) | Meaning::Plan(_) => understood.described_text(&statement.sql),
        };
        if sql != *statement.sql && !self.link.snapshot.rules.physical.is_empty() {
            self.link.client.position = Position::Physical(std::sync::Arc::clone(&self.link.snapshot.rules));
        }
        let frames = match &understood.described_over {
            Some(copies) => Box::pin(self.link.describe_over_copies(copies, &sql, &statement.types)).await?,
            None => {
                let shard = understood.parsing_shard.unwrap_or(self.link.snapshot.rules.home);
                self.link.describe_on(shard, &sql, &statement.types, parameters).await?
            }
        };
        let description = Description { generation, frames: frames.clone() };
        if description.has_rows() {
            self.refuse_if_failed()?;
        }
        if remembers {
            *statement.description.borrow_mut() = Some(description);
        }
        Ok(frames)
    }

    pub(super) async fn describe_portal(&mut self, portal: &Portal) -> Result<(), Failure> {
        let understood = Rc::clone(&portal.statement.meaning.borrow());
        match &understood.meaning {
            Meaning::Empty => {
                backend::write_no_data(self.link.client.output());
                Ok(())
            }
            Meaning::Control(control) => {
                let formats = &portal.arguments.result_formats;
                self.describe_control(&portal.statement.sql, control, formats).await
            }
            Meaning::Plan(_) | Meaning::Keyed(_) => {
                let frames = self.described(&portal.statement, &understood).await?;
                portal.told.note_statement(&portal.statement, !self.link.schema_dirty, &frames);
                let rows = with_formats(row_part(&frames), &portal.arguments.result_formats);
                self.link.client.output().extend_from_slice(&rows);
                Ok(())
            }
        }
    }

    /// Notes what the client is about to be told of the columns of a named statement.
    pub(super) async fn note_columns(&mut self, portal: &Portal, understood: &Understood) -> Result<(), Failure> {
        let remembers = !self.link.schema_dirty;
        if portal.plan.is_some() && portal.told.wants_note(&portal.statement, remembers) {
            let frames = self.described(&portal.statement, understood).await?;
            portal.told.note_statement(&portal.statement, remembers, &frames);
        }
        Ok(())
    }
}

/// Tells whether a portal that the front binds is described before it runs.
fn is_described(portal: &Rc<Portal>, steps: &VecDeque<Step>) -> bool {
    let next = steps.iter().find(|step| match step {
        Step::DescribePortal(other) | Step::Execute(other, _) => Rc::ptr_eq(other, portal),
        _ => false,
    });
    matches!(next, Some(Step::DescribePortal(_)))
}

/// Returns the RowDescription or NoData frame after a ParameterDescription.
pub(in super::super) fn row_part(frames: &Bytes) -> Bytes {
    let mut rest = frames.clone();
    if let Ok(Some(header)) = frame::header(&rest, DESCRIPTION_BYTES_MAX)
        && header.kind == b't'
    {
        rest.advance(header.length.min(rest.len()));
    }
    rest
}

/// Puts a portal's result formats into a statement's RowDescription.
pub(in super::super) fn with_formats(frame: Bytes, formats: &[i16]) -> Bytes {
    if frame.first() != Some(&b'T') || formats.is_empty() {
        return frame;
    }
    let Ok(mut fields) = backend::row_description(&frame[5..]) else { return frame };
    for (index, field) in fields.iter_mut().enumerate() {
        field.format = match formats {
            [one] => *one,
            many => many.get(index).copied().unwrap_or(0),
        };
    }
    let mut out = bytes::BytesMut::new();
    backend::write_row_description(&mut out, &fields);
    out.freeze()
}
