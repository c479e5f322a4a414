//! Rows of `step`.

use tombolo_core::id::{ContentHash, RunId};
use tombolo_core::ports::store::StepRow;

use super::body::body;
use super::{BODY_PACK, Columns, Packs, ReadFault};
use crate::record::{Damaged, content_hash, from_json, step_state, unsigned};

/// The columns of a step `s`, in the order that [`step`] reads them in; the run's id is the first.
/// Databases differ in how a step names its plugin: the expression gives the hash, or no bytes where
/// that is not found.
macro_rules! step_columns {
    ($plugin:literal) => {
        concat!(
            "s.run_id, s.node, s.item, s.state, s.attempt, s.spent, \
             s.input, s.input_hash, pi.bytes, pi.encoding, s.pack, \
             s.output, s.output_hash, po.bytes, po.encoding, s.pack, \
             s.ports, s.error, s.due_at, s.started_at, s.ended_at, s.logs, s.child, \
             s.edits, s.redriven_after, ",
            $plugin
        )
    };
}

/// The tables that input and output may stand in.
macro_rules! step_payloads {
    () => {
        " LEFT JOIN payload pi ON pi.hash = s.input_hash AND pi.tenant_id = s.tenant_id \
          LEFT JOIN payload po ON po.hash = s.output_hash AND po.tenant_id = s.tenant_id"
    };
}

pub(crate) use {step_columns, step_payloads};

const INPUT: usize = 6;
const OUTPUT: usize = 11;

/// Where a step names its pack.
pub(crate) const STEP_PACK: usize = INPUT + BODY_PACK;

/// Reads one.
pub(crate) fn step(row: &impl Columns, packs: &Packs) -> Result<StepRow, ReadFault> {
    let ports = packs.text(row, 16, STEP_PACK)?;
    let error = packs.text(row, 17, STEP_PACK)?;
    let logs = packs.text(row, 21, STEP_PACK)?;
    let ports = ports.map(|text| from_json(text, "a step's ports")).transpose()?;
    let logs = logs.map(|text| from_json(text, "a step's logs")).transpose()?;
    Ok(StepRow {
        node: row.text(1)?.to_owned(),
        item: unsigned(row.number(2)?)?,
        state: step_state(row.text(3)?)?,
        attempt: unsigned(row.number(4)?)?,
        spent: unsigned(row.number(5)?)?,
        input: body(row, INPUT, packs, "a step's input")?,
        output: body(row, OUTPUT, packs, "a step's output")?,
        ports: ports.unwrap_or_default(),
        error: error.map(|text| from_json(text, "a step's error")).transpose()?,
        due_at: row.maybe_time(18)?,
        started_at: row.maybe_time(19)?,
        ended_at: row.maybe_time(20)?,
        plugin: row.maybe_bytes(25)?.map(plugin).transpose()?,
        logs: logs.unwrap_or_default(),
        child: row.maybe_id(22)?.map(RunId),
        edits: unsigned(row.number(23)?)?,
        redriven_after: unsigned(row.number(24)?)?,
    })
}

/// The plugin that the step ran.
fn plugin(hash: &[u8]) -> Result<ContentHash, Damaged> {
    if hash.is_empty() {
        return Err(Damaged("the plugin of a step is missing".to_owned()));
    }
    content_hash(hash)
}
