//! Runs one call in an instance: waits for a turn, makes or takes the instance, sets its bounds,
//! calls, and says how it ended. Knows nothing of workflows.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tombolo_core::ports::sandbox::{Interrupt, LogLine, StateWrite};
use wasmtime::component::Component;
use wasmtime::{Engine, Store, StoreContextMut, UpdateDeadline};

use crate::bindings::exports::tombolo::node::node::{NodeError, Outcome};
use crate::bindings::{Plugin as Instance, PluginPre};
use crate::calls::Taken;
use crate::engine::TICK;
use crate::failure::{Applied, Failure, OutOfCpu};
use crate::guest::{Guest, Setup};
use crate::settings::SandboxSettings;
use crate::state::StateBuffer;
use crate::warm::{WarmKey, WarmPool};

/// Beside an answer's text: its ports and what surrounds them; bytes.
const ANSWER_SLACK_BYTES: usize = 64 * 1024;

/// Makes and keeps instances.
pub(crate) struct Runner {
    engine: Engine,
    settings: Arc<SandboxSettings>,
    calling: Semaphore,
    computing: Semaphore,
    warm: WarmPool<Warm>,
}

/// An instance that waits for its next call.
struct Warm {
    store: Store<Guest>,
    instance: Instance,
    calls: u32,
}

/// What is called.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work<'a> {
    Describe,
    /// `params` is JSON text. Owned, because the generated code wants it so.
    Invoke {
        operation: &'a str,
        params: &'a String,
    },
}

/// How far a call reaches, and so what it may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It computes.
    Inside,
    /// It may wait for other systems.
    Outside,
}

/// One call.
pub(crate) struct Request<'a> {
    pub(crate) work: Work<'a>,
    pub(crate) reach: Reach,
    pub(crate) timeout: Duration,
    pub(crate) output_bytes: usize,
    /// Under which key an instance may be reused; None for a fresh one that is thrown away.
    pub(crate) keep: Option<WarmKey>,
    /// Ends the call early.
    pub(crate) interrupt: Option<Arc<dyn Interrupt>>,
}

impl Request<'_> {
    async fn interrupted(&self) {
        match &self.interrupt {
            Some(interrupt) => interrupt.interrupted().await,
            None => std::future::pending().await,
        }
    }
}

/// What the guest answered.
pub(crate) enum Answer {
    Described(String),
    Done(Outcome),
    Failed(NodeError),
}

/// Why a call has no answer.
enum Ended {
    /// The guest, or what it asked of the host.
    Itself(wasmtime::Error),
    /// The host ended it.
    By(Failure),
}

/// How a call ended, and what it left behind.
pub(crate) struct Ran {
    pub(crate) answer: Result<Answer, Failure>,
    pub(crate) logs: Vec<LogLine>,
    pub(crate) calls: Taken,
    pub(crate) state: Vec<StateWrite>,
}

impl Runner {
    pub(crate) fn new(engine: Engine, settings: Arc<SandboxSettings>) -> Self {
        let turns = |count: u32| {
            let count = usize::try_from(count).unwrap_or(Semaphore::MAX_PERMITS);
            Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS))
        };
        Self {
            engine,
            calling: turns(settings.instances),
            computing: turns(settings.computing_instances),
            warm: WarmPool::new(settings.warm),
            settings,
        }
    }

    /// How many instances wait for their next call.
    pub(crate) fn warm_instances(&self) -> usize {
        self.warm.len()
    }

    /// Runs one call. `setup` is asked when the turn has come, with the time the call will end.
    /// Dropping the future ends the call.
    pub(crate) async fn run(
        &self,
        plugin: &PluginPre<Guest>,
        request: Request<'_>,
        setup: impl FnOnce(Instant) -> Setup,
    ) -> Ran {
        let asked = Instant::now();
        let turns = match request.reach {
            Reach::Inside => &self.computing,
            Reach::Outside => &self.calling,
        };
        let turn = tokio::select! {
            // Nothing begins that is to be ended.
            biased;
            () = request.interrupted() => return Ran::nothing(Failure::Interrupted),
            turn = tokio::time::timeout(self.settings.queue_timeout(), turns.acquire()) => turn,
        };
        let Ok(Ok(_turn)) = turn else {
            let waited_ms = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
            return Ran::nothing(Failure::Busy { waited_ms });
        };
        let setup = setup(Instant::now() + request.timeout);
        let warm = request.keep.and_then(|key| self.warm.take(&key, std::time::Instant::now()));
        let (mut store, instance, calls) = match warm {
            Some(Warm { mut store, instance, calls }) => {
                store.data_mut().next_call(&self.settings, setup);
                (store, Some(instance), calls)
            }
            None => (self.store(setup), None, 0),
        };
        store.set_hostcall_fuel(request.output_bytes.saturating_add(ANSWER_SLACK_BYTES));
        store.set_epoch_deadline(1);

        let called = call(plugin, instance, &mut store, request.work);
        let limit_ms = u64::try_from(request.timeout.as_millis()).unwrap_or(u64::MAX);
        let called = tokio::select! {
            biased;
            called = tokio::time::timeout(request.timeout, called) => {
                called.map_err(|_elapsed| Failure::Timeout { limit_ms })
            }
            () = request.interrupted() => Err(Failure::Interrupted),
        };
        let (instance, answer) = match called {
            Ok(Ok((instance, answer))) => (Some(instance), Ok(answer)),
            Ok(Err(error)) => (None, Err(Ended::Itself(error))),
            Err(failure) => (None, Err(Ended::By(failure))),
        };
        let ran = self.ran(&mut store, &request, answer);
        if let (Some(key), Some(instance), Ok(Answer::Done(_))) =
            (request.keep, instance, &ran.answer)
            && self.warm.keeps(calls + 1, store.data().limiter.memory())
        {
            let kept = Warm { store, instance, calls: calls + 1 };
            self.warm.put(key, kept, std::time::Instant::now());
        }
        ran
    }

    fn store(&self, setup: Setup) -> Store<Guest> {
        let mut store = Store::new(&self.engine, Guest::new(&self.settings, setup));
        store.limiter(|guest| &mut guest.limiter);
        store.set_max_component_handles(self.settings.call.handles);
        store.epoch_deadline_callback(tick);
        store
    }

    /// Collects what a call left behind.
    fn ran(
        &self,
        store: &mut Store<Guest>,
        request: &Request<'_>,
        answer: Result<Answer, Ended>,
    ) -> Ran {
        let guest = store.data_mut();
        let logs = guest.logs.take();
        let calls = guest.outgoing.calls().take();
        let state =
            std::mem::replace(&mut guest.state, StateBuffer::new(None, self.settings.state));
        let applied = Applied {
            cpu_ms: self.settings.call.cpu_ms,
            output_bytes: request.output_bytes,
            handles: self.settings.call.handles,
            header_bytes: self.settings.http.header_bytes,
        };
        let answer = match answer {
            Ok(answer) => self.within_bounds(answer, request.output_bytes),
            Err(Ended::Itself(error)) => Err(Failure::of(&error, &guest.limiter, applied, &logs)),
            Err(Ended::By(failure)) => Err(failure),
        };
        // Whatever the guest made of it: it is not the guest that the journal was written for.
        let answer = match &calls.stuck {
            Some(stuck) => Err(stuck.clone()),
            None => answer,
        };
        Ran { answer, logs, calls, state: state.into_writes() }
    }

    fn within_bounds(&self, answer: Answer, limit: usize) -> Result<Answer, Failure> {
        let ports = self.settings.call.ports;
        match &answer {
            Answer::Described(text) if text.len() > limit => Err(Failure::Output { limit }),
            Answer::Done(outcome) if outcome.output.len() > limit => Err(Failure::Output { limit }),
            Answer::Done(outcome) if outcome.ports.len() > ports => {
                Err(Failure::Ports { count: outcome.ports.len(), limit: ports })
            }
            _ => Ok(answer),
        }
    }
}

impl Ran {
    fn nothing(failure: Failure) -> Self {
        Self { answer: Err(failure), logs: Vec::new(), calls: Taken::default(), state: Vec::new() }
    }
}

async fn call(
    plugin: &PluginPre<Guest>,
    instance: Option<Instance>,
    store: &mut Store<Guest>,
    work: Work<'_>,
) -> wasmtime::Result<(Instance, Answer)> {
    let instance = match instance {
        Some(instance) => instance,
        None => plugin.instantiate_async(&mut *store).await?,
    };
    let node = instance.tombolo_node_node();
    let answer = match work {
        Work::Describe => Answer::Described(node.call_describe(store).await?),
        Work::Invoke { operation, params } => {
            match node.call_invoke(store, operation, params).await? {
                Ok(outcome) => Answer::Done(outcome),
                Err(error) => Answer::Failed(error),
            }
        }
    };
    Ok((instance, answer))
}

/// Every 10 ms of a running guest: others get their turn, and its processor time is counted.
fn tick(mut store: StoreContextMut<'_, Guest>) -> wasmtime::Result<UpdateDeadline> {
    let call = &mut store.data_mut().call;
    call.ticks = call.ticks.checked_sub(1).ok_or(OutOfCpu)?;
    Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
}

/// Processor time in ticks.
pub(crate) fn ticks(cpu_ms: u64) -> u64 {
    let tick = u64::try_from(TICK.as_millis()).unwrap_or(1);
    cpu_ms.div_ceil(tick).max(1)
}

/// Binds a component to the contract, so that an instance needs no more lookups.
pub(crate) fn prepare(
    linker: &wasmtime::component::Linker<Guest>,
    component: &Component,
) -> wasmtime::Result<PluginPre<Guest>> {
    PluginPre::new(linker.instantiate_pre(component)?)
}
