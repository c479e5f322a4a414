//! The driver: takes events in, claims runs, runs their steps, parks and settles.
//!
//! Decides nothing that `tombolo-core` can decide: which step is ready, what follows a failure and
//! how a run ends are asked there. Never opens a socket and never runs a guest itself.

mod alerts;
mod asked;
mod attempt;
mod builtins;
mod cancels;
mod claims;
mod desk;
mod drive;
mod endings;
mod errors;
mod failures;
mod flow;
mod follow;
mod give_up;
mod head;
mod housekeeping;
mod intake;
mod leases;
mod others;
mod owed;
mod record;
mod registry;
mod repair;
mod respond;
mod set_back;
mod settings;
mod slots;
mod spread;
mod starts;
mod steps;

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tombolo_core::clock::Clock;
use tombolo_core::id::IdSource;
use tombolo_core::ports::alert::Alerts;
use tombolo_core::ports::callback::CallbackAddresses;
use tombolo_core::ports::sandbox::Sandbox;
use tombolo_core::ports::store::{Store, StoreError, WorkerId};
use tombolo_core::random::Random;

use alerts::News;
use follow::Followers;
use leases::Leases;
use slots::Slots;

pub use record::{ExportError, Notary, export_record, verify_record};
pub use registry::Registry;
pub use settings::EngineSettings;

/// What the engine works with.
#[derive(Clone)]
pub struct Ports {
    /// Where everything durable is.
    pub store: Arc<dyn Store>,
    /// Where plugins and expressions run.
    pub sandbox: Arc<dyn Sandbox>,
    /// Plans and hooks of the live workflows.
    pub registry: Arc<Registry>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// New identifiers.
    pub ids: Arc<dyn IdSource>,
    /// Jitter.
    pub random: Arc<dyn Random>,
    /// Addresses that let nodes go on.
    pub callbacks: Arc<dyn CallbackAddresses>,
    /// Where people are told.
    pub alerts: Arc<dyn Alerts>,
    /// Who signs the record of what people did; None where nobody does.
    pub notary: Option<Notary>,
}

/// The engine of one process. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    ports: Ports,
    settings: EngineSettings,
    worker: WorkerId,
    /// One for each run that is worked on.
    slots: Arc<Slots>,
    /// One for each run that is ended while no slot is free.
    ending_slots: Arc<Slots>,
    /// Something is due earlier than the claim loop thinks.
    wake: Notify,
    /// A run is to end that may wait for a slot.
    ending: Notify,
    leases: Leases,
    followers: Followers,
    /// What alerts are made from.
    news: News,
    /// Runs under way.
    tracker: TaskTracker,
    /// No new claims from now on.
    closing: CancellationToken,
    /// Give runs back as they are.
    abandon: CancellationToken,
}

impl Engine {
    /// An engine that does nothing until [`Engine::start`].
    pub fn new(ports: Ports, settings: EngineSettings) -> Self {
        let worker = WorkerId(format!("w_{}", ports.ids.next().simple()));
        Self(Arc::new(Inner {
            slots: Slots::new(settings.concurrent_runs),
            ports,
            settings,
            worker,
            ending_slots: Slots::new(endings::ENDED_AT_ONCE),
            wake: Notify::new(),
            ending: Notify::new(),
            leases: Leases::default(),
            followers: Followers::default(),
            news: News::default(),
            tracker: TaskTracker::new(),
            closing: CancellationToken::new(),
            abandon: CancellationToken::new(),
        }))
    }

    /// Takes over what a dead process left, and starts claiming and renewing: what the settings say
    /// this process does. Where others share the store, what a dead one left is claimed when its
    /// leases have ended.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn start(&self) -> Result<(), StoreError> {
        let EngineSettings { works, keeps_house, shared, .. } = self.0.settings;
        if !shared {
            let left = self.0.ports.store.take_over(self.0.ports.clock.now()).await?;
            if left > 0 {
                tracing::info!(runs = left, "going on with runs that an earlier process left");
            }
        }
        let tracker = &self.0.tracker;
        if works {
            tracker.spawn(claims::run(self.0.clone()));
            tracker.spawn(endings::run(self.0.clone()));
            tokio::spawn(leases::renew(self.0.clone()));
        }
        if keeps_house {
            tracker.spawn(set_back::run(self.0.clone()));
            tracker.spawn(housekeeping::run(self.0.clone()));
        }
        tokio::spawn(alerts::run(self.0.clone()));
        if keeps_house {
            tracker.spawn(record::run(self.0.clone()));
        }
        if shared {
            tracker.spawn(others::run(self.0.clone()));
        }
        Ok(())
    }

    /// Claims nothing more, and waits until the runs under way have parked or ended, at most for
    /// the drain time. What is left then is given back with the results it has, and gone on with
    /// after the next start.
    pub async fn stop(&self) {
        self.0.closing.cancel();
        self.0.tracker.close();
        if tokio::time::timeout(self.0.settings.drain(), self.0.tracker.wait()).await.is_err() {
            let left = self.0.tracker.len();
            tracing::warn!(runs = left, "runs were still under way at the end of the drain time");
        }
        self.0.abandon.cancel();
        self.0.tracker.wait().await;
    }
}
