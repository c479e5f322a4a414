//! Stand-ins of repair: what is asked is written down, and redriven runs come to the end that the
//! test says, in the real store.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::oneshot;
use tombolo_core::clock::Clock;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::json::Json;
use tombolo_core::ports::callback::CallbackAddresses;
use tombolo_core::ports::repair::{By, Redriven, RepairError, Repairs, ReplayOrder, ReplayPlan};
use tombolo_core::ports::store::{
    LetterFilter, Letters, Next, Open, Opened, Settle, Signal, Signalled, StepKey, Store, WorkerId,
};
use tombolo_core::run::{Explanation, Redrive, Repeat, RunState, StepState, Why};

use crate::harness::{Counter, ManualClock};

/// What was asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    Redrive(RunId, Redrive, By),
    Resolve(RunId, StepKey, Json, By),
    Discard(RunId, StepKey, By),
    Plan(ReplayOrder),
    Replay(ReplayOrder, By),
}

/// Holds a repair in its middle: says that it came there, waits, and says that it is done.
pub struct Gate {
    pub entered: oneshot::Sender<()>,
    pub go: oneshot::Receiver<()>,
    pub done: oneshot::Sender<()>,
}

/// What is told of the next repair of a run.
pub type Refuse = Box<dyn Fn() -> RepairError + Send>;

pub struct ScriptedRepairs {
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    ids: Arc<Counter>,
    pub asked: Mutex<Vec<Asked>>,
    /// Where redriven runs come to; those after the last stay in the queue.
    pub ends: Mutex<VecDeque<RunState>>,
    pub refuse: Mutex<HashMap<RunId, Refuse>>,
    /// For the next redrive.
    pub gate: Mutex<Option<Gate>>,
    /// New runs by dedupe key.
    replays: Mutex<HashMap<(RunId, String), RunId>>,
}

impl ScriptedRepairs {
    pub fn new(store: Arc<dyn Store>, clock: Arc<ManualClock>, ids: Arc<Counter>) -> Self {
        let (asked, ends, refuse, gate, replays) = Default::default();
        Self { store, clock, ids, asked, ends, refuse, gate, replays }
    }

    /// What was asked so far. Forgets it.
    pub fn taken(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    pub fn refuse(&self, run: RunId, error: impl Fn() -> RepairError + Send + 'static) {
        self.refuse.lock().unwrap().insert(run, Box::new(error));
    }

    /// Who asks for a run of another tenant learns what the engine tells, too: there is none.
    async fn ask(&self, tenant: TenantId, run: RunId, asked: Asked) -> Result<(), RepairError> {
        if self.store.run(tenant, run).await?.is_none() {
            return Err(RepairError::UnknownRun(run));
        }
        self.asked.lock().unwrap().push(asked);
        match self.refuse.lock().unwrap().get(&run) {
            Some(error) => Err(error()),
            None => Ok(()),
        }
    }

    /// The letters of the run go, and it comes to its end or stays in the queue.
    async fn go_on(&self, tenant: TenantId, run: RunId) -> Vec<StepKey> {
        let filter = LetterFilter { run: Some(run), ..LetterFilter::default() };
        let letters = self.store.letters(tenant, &filter, None, 1_000).await.unwrap();
        let closed: Vec<StepKey> = letters.into_iter().map(|letter| letter.step).collect();
        let now = self.clock.now();
        let worker = WorkerId("repairs".to_owned());
        let open = Open { tenant, run, worker, now, until: now.plus(Duration::from_secs(1)) };
        let Opened::Run { run, .. } = self.store.open(open).await.unwrap() else {
            panic!("nobody else works on it");
        };
        let next = match self.ends.lock().unwrap().pop_front() {
            Some(state) => Next::End { state, output: None, error: None },
            None => Next::Park {
                state: RunState::Queued,
                available_at: Some(now),
                connections: Default::default(),
            },
        };
        let letters = Letters { opened: Vec::new(), closed: closed.clone() };
        let settle = Settle { letters, ..Settle::new(tenant, run.lease, next, now) };
        self.store.settle(settle).await.unwrap();
        closed
    }
}

#[async_trait]
impl Repairs for ScriptedRepairs {
    async fn redrive(
        &self,
        tenant: TenantId,
        run: RunId,
        redrive: Redrive,
        by: By,
    ) -> Result<Redriven, RepairError> {
        self.ask(tenant, run, Asked::Redrive(run, redrive, by)).await?;
        let gate = self.gate.lock().unwrap().take();
        let done = match gate {
            Some(gate) => {
                gate.entered.send(()).unwrap();
                gate.go.await.unwrap();
                Some(gate.done)
            }
            None => None,
        };
        let steps = self.go_on(tenant, run).await;
        // Nobody has to wait for it.
        done.map(|done| done.send(()).ok());
        Ok(Redriven { steps })
    }

    async fn resolve(
        &self,
        tenant: TenantId,
        run: RunId,
        step: StepKey,
        output: Json,
        by: By,
    ) -> Result<(), RepairError> {
        self.ask(tenant, run, Asked::Resolve(run, step, output, by)).await
    }

    async fn discard(
        &self,
        tenant: TenantId,
        run: RunId,
        step: StepKey,
        by: By,
    ) -> Result<(), RepairError> {
        self.ask(tenant, run, Asked::Discard(run, step, by)).await
    }

    async fn plan_replay(&self, order: &ReplayOrder) -> Result<ReplayPlan, RepairError> {
        self.ask(order.tenant, order.run, Asked::Plan(order.clone())).await?;
        Ok(plan())
    }

    async fn replay(&self, order: ReplayOrder, by: By) -> Result<(RunId, ReplayPlan), RepairError> {
        self.ask(order.tenant, order.run, Asked::Replay(order.clone(), by)).await?;
        let new = || RunId::new(&*self.ids);
        let run = match order.dedupe_key {
            Some(key) => *self.replays.lock().unwrap().entry((order.run, key)).or_insert_with(new),
            None => new(),
        };
        Ok((run, plan()))
    }

    async fn explain(&self, tenant: TenantId, run: RunId) -> Result<Explanation, RepairError> {
        let view = self.store.run(tenant, run).await?.ok_or(RepairError::UnknownRun(run))?;
        let why = Why {
            code: "retry",
            message: "attempt 1 failed, another one follows".to_owned(),
            until: view.available_at,
            action: None,
        };
        Ok(Explanation { run, state: view.run.state, why, steps: Vec::new() })
    }

    async fn signal(
        &self,
        tenant: TenantId,
        run: RunId,
        step: StepKey,
        body: Json,
        by: By,
    ) -> Result<Signalled, RepairError> {
        let view = self.store.run(tenant, run).await?.ok_or(RepairError::UnknownRun(run))?;
        if view.run.state.ended() {
            return Ok(Signalled::Ended(view.run.state));
        }
        if view.steps.iter().any(|row| row.key() == step && row.state.ended()) {
            return Ok(Signalled::Taken);
        }
        let (at, subject) = (self.clock.now(), format!("{run}/steps/{}/{}", step.node, step.item));
        let decided = body.value().get("decision").is_some();
        let detail = if decided { body.value().clone() } else { Value::Null };
        let entry = by.entry(at, "step-signalled", subject, detail);
        let signal = Signal { tenant, run, step, body, at };
        Ok(self.store.signal(signal, Some(entry)).await?)
    }
}

fn plan() -> ReplayPlan {
    let repeat = Repeat {
        node: "ask".to_owned(),
        uses: "crm.ask".to_owned(),
        effect: "unsafe",
        was: StepState::Dead,
        items: None,
    };
    ReplayPlan { version: 1, takes_over: vec!["deal".to_owned()], repeats: vec![repeat] }
}

/// Proofs that a test can make itself.
pub struct PlainProofs;

pub fn proof(tenant: TenantId, run: RunId, node: &str) -> String {
    format!("proof-{tenant}-{run}-{node}")
}

pub fn path(tenant: TenantId, run: RunId, node: &str) -> String {
    format!("/callbacks/{tenant}/{run}/{node}/{}", proof(tenant, run, node))
}

impl CallbackAddresses for PlainProofs {
    fn address(&self, tenant: TenantId, run: RunId, node: &str) -> String {
        format!("https://tombolo.example{}", path(tenant, run, node))
    }

    fn proves(&self, tenant: TenantId, run: RunId, node: &str, given: &str) -> bool {
        proof(tenant, run, node) == given
    }
}
