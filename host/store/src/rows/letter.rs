//! Rows of `dead_letter`.

use tombolo_core::id::{RunId, WorkflowId};
use tombolo_core::ports::store::{Letter, StepKey};

use super::{Columns, ReadFault};
use crate::record::{from_json, step_state, unsigned};

/// The columns of a letter `d`, in the order that [`letter`] reads them in, with the expression that
/// gives the workflow's name.
macro_rules! letter_columns {
    ($workflow_name:literal) => {
        concat!(
            "d.run_id, d.node, d.item, d.workflow_id, ",
            $workflow_name,
            ", d.state, d.error, d.since, d.discarded_at, d.discard_reason"
        )
    };
}

pub(crate) use letter_columns;

/// Reads one.
pub(crate) fn letter(row: &impl Columns) -> Result<Letter, ReadFault> {
    Ok(Letter {
        run: RunId(row.id(0)?),
        step: StepKey { node: row.text(1)?.to_owned(), item: unsigned(row.number(2)?)? },
        workflow: WorkflowId(row.id(3)?),
        workflow_name: row.text(4)?.to_owned(),
        state: step_state(row.text(5)?)?,
        error: from_json(row.text(6)?, "a dead letter's error")?,
        since: row.time(7)?,
        discarded: match row.maybe_time(8)? {
            Some(at) => Some((at, row.text(9)?.to_owned())),
            None => None,
        },
    })
}
