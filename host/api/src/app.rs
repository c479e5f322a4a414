//! What the routes work with: the ports, the settings, and the gates that bound what is costly.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use tombolo_core::clock::{Clock, Timestamp};
use tombolo_core::id::IdSource;
use tombolo_core::ports::authoring::Authoring;
use tombolo_core::ports::callback::CallbackAddresses;
use tombolo_core::ports::intake::{Intake, Subscriptions};
use tombolo_core::ports::repair::Repairs;
use tombolo_core::ports::sandbox::Sandbox;
use tombolo_core::ports::store::Store;
use tombolo_core::ports::vault::Vault;

use crate::access::{Gate, Randomness};
use crate::extract::Budget;

/// The ports that the API stands on. The server fills them in.
pub struct ApiState {
    /// Plugins, workflows, connections, runs, tokens.
    pub store: Arc<dyn Store>,
    /// Checks and compiles uploads.
    pub sandbox: Arc<dyn Sandbox>,
    /// Seals the secrets of connections.
    pub vault: Arc<dyn Vault>,
    /// Starts, follows and cancels runs.
    pub intake: Arc<dyn Intake>,
    /// Repairs runs that do not go on.
    pub repairs: Arc<dyn Repairs>,
    /// Checks the addresses that let nodes go on.
    pub callbacks: Arc<dyn CallbackAddresses>,
    /// The live workflows.
    pub subscriptions: Arc<dyn Subscriptions>,
    /// Checks and applies workflow files.
    pub authoring: Arc<dyn Authoring>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn IdSource>,
    /// What is known of those who call. Whoever makes it lets it [`run`](Gate::run).
    pub gate: Arc<Gate>,
    /// Where new tokens come from.
    pub randomness: Arc<dyn Randomness>,
    /// Cancelled when the process stops: streams end, so that stopping need not wait for them.
    pub stopping: CancellationToken,
    /// Bounds.
    pub settings: Settings,
}

/// Bounds of requests. Each has a default and a documented problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Largest component; bytes. The sandbox has the same bound. Problem `component-too-large`.
    pub max_component_bytes: usize,
    /// Largest workflow file; bytes. Problem `body-too-large`.
    pub max_workflow_bytes: usize,
    /// Largest input of a run; bytes. Problem `body-too-large`.
    pub max_input_bytes: usize,
    /// Largest body of a call of a callback address; bytes. Problem `body-too-large`.
    pub max_callback_bytes: usize,
    /// What the bodies of all calls of callback addresses take together; bytes. As much as one body
    /// may have, if that is more. Problem `too-many-bodies`.
    pub max_callback_bodies_bytes: usize,
    /// Largest body of any other request; bytes. Problem `body-too-large`.
    pub max_body_bytes: usize,
    /// How long a body may take to arrive. Problem `body-timeout`.
    pub body_timeout: Duration,
    /// How long an answer may take, reading the body and `Prefer: wait` included. Problem `timeout`.
    pub answer_timeout: Duration,
    /// The longest `Prefer: wait`; a longer one is cut to it, and the answer says so.
    pub max_wait: Duration,
    /// Uploads of components at a time. Problem `too-many-uploads`.
    pub max_uploads: usize,
    /// Followed runs at a time. Problem `too-many-followers`.
    pub max_followers: usize,
    /// How long one stream of events lives; its reader connects again.
    pub max_follow: Duration,
    /// How long a check of readiness holds.
    pub readiness_age: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_component_bytes: 20 * 1024 * 1024,
            max_workflow_bytes: 1024 * 1024,
            max_input_bytes: 16 * 1024 * 1024,
            max_callback_bytes: 16 * 1024 * 1024,
            max_callback_bodies_bytes: 64 * 1024 * 1024,
            max_body_bytes: 64 * 1024,
            body_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(150),
            max_wait: Duration::from_secs(60),
            max_uploads: 4,
            max_followers: 1_000,
            max_follow: Duration::from_secs(60 * 60),
            readiness_age: Duration::from_secs(1),
        }
    }
}

/// What handlers are given.
pub(crate) type Shared = Arc<App>;

/// The ports with the gates.
pub(crate) struct App {
    pub ports: ApiState,
    pub uploads: Semaphore,
    pub followers: Arc<Semaphore>,
    /// For the bodies of those who show an address and no token.
    pub callback_bodies: Budget,
    /// The latest check of readiness; held while one is under way, so that there is one at a time.
    pub readiness: Mutex<Option<(Timestamp, Result<(), String>)>>,
    /// True once it has been ready: before, it only starts.
    pub was_ready: AtomicBool,
}

impl App {
    pub fn new(ports: ApiState) -> Self {
        let settings = &ports.settings;
        let bodies = settings.max_callback_bodies_bytes.max(settings.max_callback_bytes);
        Self {
            callback_bodies: Budget::new(bodies),
            uploads: Semaphore::new(ports.settings.max_uploads),
            followers: Arc::new(Semaphore::new(ports.settings.max_followers)),
            readiness: Mutex::new(None),
            was_ready: AtomicBool::new(false),
            ports,
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.ports.settings
    }
}
