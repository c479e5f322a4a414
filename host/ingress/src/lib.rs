//! The way in: webhooks. Verifies, reads, splits and dedupes a request, and hands it to the intake.
//!
//! Never starts a run itself, and never answers before the intake says that the event is durable.

mod answer;
mod body;
mod budget;
mod dedupe;
mod delivery;
mod event;
mod expression;
mod hooks;
mod kept;
mod problem;
mod room;
mod rules;
mod secrets;
mod tenants;
#[cfg(test)]
mod testing;
pub mod verify;

use std::sync::Arc;

use tombolo_core::clock::Clock;
use tombolo_core::id::IdSource;
use tombolo_core::ports::intake::{Intake, Subscriptions};
use tombolo_core::ports::quota::RunQuotas;
use tombolo_core::ports::sandbox::Sandbox;
use tombolo_core::ports::store::Store;
use tombolo_core::ports::vault::Vault;

pub use hooks::router;
pub use rules::Rules;

/// Most items that `split` may make of one request.
pub const MAX_SPLIT: usize = 1_000;

/// Most bytes that the bodies of all deliveries take together, from the first byte to the answer;
/// as much as one body may have, if that is more. Beyond it the answer is 503. The senders of most
/// of these bytes are not verified yet, so this bounds what a stranger can make the host hold.
pub const MAX_BODIES_IN_FLIGHT_BYTES: usize = 256 * 1024 * 1024;

/// What the webhooks work with.
#[derive(Clone)]
pub struct IngressState {
    /// Connections, whose signing secrets verify.
    pub store: Arc<dyn Store>,
    /// Opens the secrets.
    pub vault: Arc<dyn Vault>,
    /// Evaluates `split` and `dedupe`.
    pub sandbox: Arc<dyn Sandbox>,
    /// Where events go.
    pub intake: Arc<dyn Intake>,
    /// Whether the tenant may start more runs.
    pub quotas: Arc<dyn RunQuotas>,
    /// Who listens where.
    pub subscriptions: Arc<dyn Subscriptions>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// New correlation ids.
    pub ids: Arc<dyn IdSource>,
    /// Bounds and addresses.
    pub settings: IngressSettings,
}

/// Bounds and addresses of the webhooks.
#[derive(Debug, Clone)]
pub struct IngressSettings {
    /// How senders reach this host, without a slash at the end: some sign the address they call.
    pub public_url: String,
    /// Largest body in bytes; more is answered with 413.
    pub body_limit: usize,
}
