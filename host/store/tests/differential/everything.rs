//! Everything that can be read of what is there, at intervals and at the end.

use tombolo_core::ports::store::{LetterFilter, Page, RunFilter};

use crate::memory::Memory;
use crate::op::Read;

/// More than there are.
const ALL: u32 = 100_000;

/// The questions.
pub fn questions(memory: &Memory) -> Vec<Read> {
    let mut questions = vec![Read::NextDue, Read::LiveWorkflows, Read::LiveRevision];
    let all = RunFilter::default;
    for tenant in memory.tenants.iter().copied() {
        questions.extend([
            Read::Runs(tenant, all(), Page { after: None, limit: ALL }),
            Read::Audit(tenant, ALL, 0),
            Read::Letters(tenant, LetterFilter::default(), None, ALL),
            Read::Letters(
                tenant,
                LetterFilter { discarded: true, ..Default::default() },
                None,
                ALL,
            ),
            Read::LetterCount(tenant),
            Read::Workflows(tenant),
            Read::Connections(tenant),
            Read::Plugins(tenant),
        ]);
    }
    for flow in &memory.flows {
        questions.push(Read::Versions(flow.tenant, flow.name.clone()));
    }
    for (tenant, workflow, node, key) in memory.entries.keys().cloned() {
        questions.push(Read::NodeState(tenant, workflow, node, key));
    }
    for run in &memory.runs {
        questions.push(Read::Run(run.tenant, run.id));
        questions.push(Read::Calls(run.tenant, run.id));
        questions.push(Read::Signals(run.tenant, run.id));
    }
    for (tenant, event) in memory.events.iter().copied() {
        questions.push(Read::Event(tenant, event));
    }
    for hash in memory.components.iter().copied() {
        questions.push(Read::Component(hash));
    }
    let runs: Vec<_> = memory.runs.iter().map(|run| run.id).collect();
    questions.push(Read::CancelRequested(runs.clone()));
    questions.push(Read::Signalled(runs));
    questions
}
