//! What the maker of operations remembers: of what it made itself, and of what SQLite answered.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_core::clock::Timestamp;
use tombolo_core::id::{ContentHash, EventId, RunId, TenantId, WorkflowId};
use tombolo_core::ports::store::{
    Accept, Accepted, Applied, CancelRequest, Lease, NewRun, Next, Parent, Settle, StepKey,
    StoreError, SweepCursor,
};
use uuid::Uuid;

use crate::answer::{Answer, Open, Told};
use crate::dice::Dice;
use crate::op::{Op, Read, Write};

/// Where the clock of a history begins.
pub const START: Timestamp = Timestamp(1_700_000_000_000);

/// Runs that are remembered. Older ones that have ended are forgotten first.
const RUNS: usize = 200;

/// A run, as far as it was seen.
#[derive(Debug, Clone)]
pub struct Known {
    pub id: RunId,
    pub tenant: TenantId,
    pub workflow: WorkflowId,
    pub parent: Option<Parent>,
    /// The last lease that was seen.
    pub lease: Option<Lease>,
    pub held: bool,
    pub ended: bool,
    pub steps: BTreeSet<StepKey>,
    pub letters: BTreeSet<StepKey>,
}

/// A workflow.
#[derive(Debug, Clone)]
pub struct KnownWorkflow {
    pub tenant: TenantId,
    pub id: WorkflowId,
    pub name: String,
    pub version: u32,
}

/// An event's tenant, source and key.
pub type Key = (TenantId, String, String);

/// An entry of a node's state.
pub type Entry = (TenantId, WorkflowId, String, String);

pub struct Memory {
    pub dice: Dice,
    pub now: Timestamp,
    made: u64,
    pub tenants: Vec<TenantId>,
    pub flows: Vec<KnownWorkflow>,
    pub runs: Vec<Known>,
    /// Runs that are remembered no more.
    pub gone: Vec<(TenantId, RunId)>,
    pub events: Vec<(TenantId, EventId)>,
    pub keys: Vec<Key>,
    pub correlations: Vec<String>,
    pub entries: BTreeMap<Entry, u64>,
    pub components: Vec<ContentHash>,
    pub tokens: Vec<(TenantId, [u8; 32])>,
    pub sweep: Option<SweepCursor>,
}

impl Memory {
    pub fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            now: START,
            made: 0,
            tenants: Vec::new(),
            flows: Vec::new(),
            runs: Vec::new(),
            gone: Vec::new(),
            events: Vec::new(),
            keys: Vec::new(),
            correlations: Vec::new(),
            entries: BTreeMap::new(),
            components: Vec::new(),
            tokens: Vec::new(),
            sweep: None,
        }
    }

    /// A time so many milliseconds from now.
    pub fn after(&self, ms: i64) -> Timestamp {
        Timestamp(self.now.0 + ms)
    }

    /// Time goes on: a little, or past the end of a lease, or far.
    pub fn pass(&mut self) {
        let ms = match self.dice.below(40) {
            0 => self.dice.within(30_000..90_000),
            1..=3 => self.dice.within(2_000..20_000),
            _ => self.dice.within(1..400),
        };
        self.now = self.after(ms);
    }

    /// An id of version 7 of this time; of those of one millisecond in no order.
    pub fn id(&mut self) -> Uuid {
        self.made += 1;
        let ms = u128::from(self.now.0.unsigned_abs());
        let random = u128::from(self.dice.next() >> 32);
        let low = (0b10 << 62) | (random << 24) | u128::from(self.made & 0xff_ffff);
        Uuid::from_u128((ms << 80) | (7 << 76) | low)
    }

    pub fn tenant(&mut self) -> TenantId {
        *self.dice.pick(&self.tenants)
    }

    pub fn flow_of(&mut self, tenant: TenantId) -> KnownWorkflow {
        let of: Vec<KnownWorkflow> =
            self.flows.iter().filter(|flow| flow.tenant == tenant).cloned().collect();
        self.dice.pick(&of).clone()
    }

    /// One of the runs for which that is so.
    pub fn run_where(&mut self, is_so: impl Fn(&Known) -> bool) -> Option<Known> {
        let runs: Vec<usize> =
            (0..self.runs.len()).filter(|place| is_so(&self.runs[*place])).collect();
        self.dice.any(&runs).map(|place| self.runs[*place].clone())
    }

    /// Any run: a known one nearly always, one that is gone, or one that never was.
    pub fn any_run(&mut self) -> (TenantId, RunId) {
        match self.dice.below(30) {
            0 => (self.tenant(), RunId(self.id())),
            1 => match self.dice.any(&self.gone) {
                Some(gone) => *gone,
                None => (self.tenant(), RunId(self.id())),
            },
            2 => {
                // Another tenant's.
                let tenant = self.tenant();
                self.run_where(|_| true)
                    .map_or((tenant, RunId(Uuid::nil())), |run| (tenant, run.id))
            }
            _ => match self.run_where(|_| true) {
                Some(run) => (run.tenant, run.id),
                None => (self.tenant(), RunId(self.id())),
            },
        }
    }

    fn known(&mut self, run: RunId) -> Option<&mut Known> {
        self.runs.iter_mut().find(|known| known.id == run)
    }

    /// What SQLite said to an operation.
    pub fn learn(&mut self, op: &Op, answer: &Answer) {
        match (op, answer) {
            (Op::Write(Write::Accept(batch)), Answer::Accepted(accepted)) => {
                self.learn_accepted(batch, accepted);
            }
            (Op::Write(Write::Claim(_)), Answer::Claimed(told)) => {
                told.iter().for_each(|told| self.learn_lease(told));
            }
            (Op::Write(Write::Open(_)), Answer::Opened(Open::Run(told, _))) => {
                self.learn_lease(told);
            }
            (Op::Write(Write::Settle(settle)), answer) => self.learn_settled(settle, answer),
            (Op::Write(Write::Renew(..)), Answer::Runs(lost)) => {
                for run in lost {
                    if let Some(known) = self.known(*run) {
                        known.held = false;
                    }
                }
            }
            (Op::Write(Write::Cancel(_, run)), Answer::Cancel(CancelRequest::Ended(_))) => {
                if let Some(known) = self.known(*run) {
                    known.ended = true;
                }
            }
            (Op::Write(Write::Discard(_, run, step, ..)), Answer::Flag(true)) => {
                if let Some(known) = self.known(*run) {
                    known.letters.remove(step);
                }
            }
            (Op::Write(Write::Sweep(..)), Answer::Swept(swept)) => {
                self.sweep.clone_from(&swept.next);
            }
            (Op::Write(Write::ApplyWorkflow(version)), Answer::Applied(applied)) => {
                self.learn_applied(version.tenant, &version.name, applied);
            }
            (Op::Write(Write::EnsureTenant(..)), Answer::Tenant(Some(tenant)))
                if !self.tenants.contains(&tenant.id) =>
            {
                self.tenants.push(tenant.id);
            }
            (Op::Read(Read::NodeState(tenant, workflow, node, key)), Answer::State(state)) => {
                let version = state.as_ref().map_or(0, |(_, version)| *version);
                let entry = (*tenant, *workflow, node.clone(), key.clone());
                self.entries.insert(entry, version);
            }
            (Op::Read(Read::Run(tenant, run)), Answer::View(None)) => {
                // It was forgotten.
                self.runs.retain(|known| (known.tenant, known.id) != (*tenant, *run));
            }
            _ => {}
        }
    }

    fn learn_accepted(&mut self, batch: &[Accept], accepted: &[Accepted]) {
        for (accept, accepted) in batch.iter().zip(accepted) {
            let event = &accept.event;
            let Accepted::New { runs, .. } = accepted else { continue };
            self.events.push((event.tenant, event.id));
            self.keys.push((event.tenant, event.source.clone(), event.dedupe_key.clone()));
            self.correlations.push(event.correlation_id.clone());
            let new = accept.runs.iter().zip(runs).filter(|(new, id)| new.id == **id);
            for (new, _) in new {
                self.learn_run(event.tenant, new);
            }
        }
        shorten(&mut self.events, 300);
        shorten(&mut self.keys, 300);
        shorten(&mut self.correlations, 100);
    }

    fn learn_run(&mut self, tenant: TenantId, new: &NewRun) {
        let lease = new.lease.as_ref().filter(|_| new.ended.is_none());
        let lease = lease.map(|(owner, _)| Lease { run: new.id, owner: owner.clone(), epoch: 1 });
        let known = Known {
            id: new.id,
            tenant,
            workflow: new.workflow,
            parent: new.parent.clone(),
            held: lease.is_some(),
            lease,
            ended: new.ended.is_some(),
            steps: new.steps.iter().map(|step| step.key()).collect(),
            letters: BTreeSet::new(),
        };
        self.runs.push(known);
        if self.runs.len() > RUNS {
            let oldest = self.runs.iter().position(|run| run.ended).unwrap_or_default();
            let oldest = self.runs.remove(oldest);
            self.gone.push((oldest.tenant, oldest.id));
            shorten(&mut self.gone, 50);
        }
    }

    fn learn_lease(&mut self, told: &Told) {
        let Told { run, lease, steps, .. } = told;
        if self.known(run.id).is_none() {
            self.runs.push(Known {
                id: run.id,
                tenant: run.tenant,
                workflow: run.workflow,
                parent: run.parent.clone(),
                lease: None,
                held: false,
                ended: run.state.ended(),
                steps: BTreeSet::new(),
                letters: BTreeSet::new(),
            });
        }
        if let Some(known) = self.known(run.id) {
            known.lease = Some(lease.clone());
            known.held = true;
            known.ended = run.state.ended();
            known.steps = steps.iter().map(|step| step.key()).collect();
        }
    }

    fn learn_settled(&mut self, settle: &Settle, answer: &Answer) {
        for started in &settle.starts {
            if *answer == Answer::Done {
                let runs = started.runs.iter().map(|run| run.id).collect();
                let event = started.event.id;
                // Joined or known, it is one that never was: asking for it is no harm.
                let accepted = Accepted::New { event, runs };
                self.learn_accepted(std::slice::from_ref(started), &[accepted]);
            }
        }
        let lost = matches!(answer, Answer::Failed(StoreError::LeaseLost { .. }));
        let done = *answer == Answer::Done;
        let Some(known) = self.runs.iter_mut().find(|known| known.id == settle.lease.run) else {
            return;
        };
        if lost && known.lease.as_ref() == Some(&settle.lease) && known.tenant == settle.tenant {
            known.held = false;
        }
        if !done {
            return;
        }
        known.steps.extend(settle.steps.iter().map(|step| step.key()));
        known.letters.extend(settle.letters.opened.iter().map(|letter| letter.step.clone()));
        known.letters.retain(|step| !settle.letters.closed.contains(step));
        match &settle.next {
            Next::Hold => {}
            Next::Park { .. } => (known.held, known.ended) = (false, false),
            Next::End { .. } => (known.held, known.ended) = (false, true),
        }
        for change in &settle.state {
            let (node, key) = (change.node.clone(), change.write.key.clone());
            let entry = (settle.tenant, change.workflow, node, key);
            self.entries.insert(entry, change.write.expected + 1);
        }
    }

    fn learn_applied(&mut self, tenant: TenantId, name: &str, applied: &Applied) {
        let (Applied::Created { id, version } | Applied::Unchanged { id, version }) = *applied;
        match self.flows.iter_mut().find(|flow| flow.id == id) {
            Some(flow) => flow.version = version,
            None => self.flows.push(KnownWorkflow { tenant, id, name: name.to_owned(), version }),
        }
    }
}

/// Keeps the last so many.
fn shorten<T>(list: &mut Vec<T>, most: usize) {
    if list.len() > most {
        list.drain(..list.len() - most);
    }
}
