//! Steps and calls as columns.

use tombolo_core::clock::Timestamp;
use tombolo_core::id::{ContentHash, RunId, TenantId};
use tombolo_core::ports::store::{Call, StepRow};
use tombolo_core::run::StepState;

use super::{Body, Lasts, Text, Texts, to_json};

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
    pub(crate) ports: Option<Text>,
    pub(crate) error: Option<Text>,
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) plugin: Option<ContentHash>,
    pub(crate) logs: Option<Text>,
    pub(crate) child: Option<RunId>,
    pub(crate) edits: u32,
    pub(crate) redriven_after: u32,
}

impl StepRecord {
    /// Makes the columns; their texts go to `texts`.
    pub(crate) fn new(tenant: TenantId, step: StepRow, texts: &mut Texts) -> Self {
        texts.begin_row(match step.state {
            StepState::Pending | StepState::Waiting => Lasts::UntilReplaced,
            _ => Lasts::Long,
        });
        Self {
            input: texts.json(tenant, step.input.as_ref()),
            output: texts.json(tenant, step.output.as_ref()),
            ports: (!step.ports.is_empty()).then(|| texts.text(to_json(&step.ports))),
            error: step.error.as_ref().map(|error| texts.text(to_json(error))),
            logs: (!step.logs.is_empty()).then(|| texts.text(to_json(&step.logs))),
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

    /// Which of the write's packs its texts are in, if any is.
    pub(crate) fn pack(&self) -> Option<usize> {
        self.texts().find_map(Text::pack)
    }

    /// Bytes of the texts that stand in the row.
    pub(crate) fn len(&self) -> usize {
        self.node.len() + self.texts().map(Text::len).sum::<usize>()
    }

    fn texts(&self) -> impl Iterator<Item = &Text> {
        let texts = [&self.input.text, &self.output.text, &self.ports, &self.error, &self.logs];
        texts.into_iter().flatten()
    }
}

/// A row of `effect`, without tenant and run.
#[derive(Debug, Clone)]
pub(crate) struct EffectRecord {
    pub(crate) node: String,
    pub(crate) item: u32,
    pub(crate) attempt: u32,
    pub(crate) sequence: u32,
    pub(crate) record: Text,
}

impl EffectRecord {
    /// Makes the columns; the record goes to `texts`.
    pub(crate) fn new(call: Call, texts: &mut Texts) -> Self {
        texts.begin_row(Lasts::Long);
        Self {
            sequence: call.record.sequence,
            record: texts.text(to_json(&call.record)),
            node: call.node,
            item: call.item,
            attempt: call.attempt,
        }
    }
}
