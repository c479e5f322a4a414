//! Steps and calls as columns.

use tombolo_core::clock::Timestamp;
use tombolo_core::id::{ContentHash, RunId, TenantId};
use tombolo_core::ports::store::{Call, StepRow};

use super::{Body, Payload, to_json};

/// A row of `step`, without tenant and run.
#[derive(Debug, Clone)]
pub(crate) struct StepRecord {
    pub(crate) node: String,
    pub(crate) item: u32,
    pub(crate) state: &'static str,
    pub(crate) attempt: u32,
    pub(crate) spent: u32,
    pub(crate) input: Body,
    pub(crate) output: Body,
    pub(crate) ports: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) plugin: Option<ContentHash>,
    pub(crate) logs: Option<String>,
    pub(crate) child: Option<RunId>,
    pub(crate) edits: u32,
    pub(crate) redriven_after: u32,
}

impl StepRecord {
    /// Makes the columns; long JSON goes to `payloads`.
    pub(crate) fn new(tenant: TenantId, step: StepRow, payloads: &mut Vec<Payload>) -> Self {
        Self {
            input: Body::new(tenant, step.input.as_ref(), payloads),
            output: Body::new(tenant, step.output.as_ref(), payloads),
            ports: (!step.ports.is_empty()).then(|| to_json(&step.ports)),
            error: step.error.as_ref().map(to_json),
            logs: (!step.logs.is_empty()).then(|| to_json(&step.logs)),
            state: step.state.name(),
            node: step.node,
            item: step.item,
            attempt: step.attempt,
            spent: step.spent,
            due_at: step.due_at,
            started_at: step.started_at,
            ended_at: step.ended_at,
            plugin: step.plugin,
            child: step.child,
            edits: step.edits,
            redriven_after: step.redriven_after,
        }
    }

    /// Bytes of its texts.
    pub(crate) fn len(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.node.len()
            + self.input.len()
            + self.output.len()
            + text(&self.ports)
            + text(&self.error)
            + text(&self.logs)
    }
}

/// A row of `effect`, without tenant and run.
#[derive(Debug, Clone)]
pub(crate) struct EffectRecord {
    pub(crate) node: String,
    pub(crate) item: u32,
    pub(crate) attempt: u32,
    pub(crate) sequence: u32,
    pub(crate) record: String,
}

impl EffectRecord {
    /// Makes the columns.
    pub(crate) fn new(call: Call) -> Self {
        Self {
            sequence: call.record.sequence,
            record: to_json(&call.record),
            node: call.node,
            item: call.item,
            attempt: call.attempt,
        }
    }
}
