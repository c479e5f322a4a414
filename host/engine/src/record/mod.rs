//! The record of what people did: its checkpoints are signed and kept elsewhere, and it is exported
//! and checked. What is due, and what does not fit, is decided by `core::audit`.

mod checkpoints;
mod export;
mod verify;

use std::sync::Arc;

use tombolo_core::audit::{Checkpoint, Signs};
use tombolo_core::ports::checkpoints::Checkpoints;

pub(crate) use checkpoints::run;
pub use export::{ExportError, export_record};
pub use verify::verify_record;

/// Entries read at once.
const ENTRIES_AT_ONCE: u32 = 1_000;

/// Who signs checkpoints, and who keeps them.
#[derive(Clone)]
pub struct Notary {
    /// Signs.
    pub signer: Arc<dyn Signs>,
    /// Where each checkpoint is kept, with the place's name for the log.
    pub places: Vec<(&'static str, Arc<dyn Checkpoints>)>,
    /// The newest checkpoint of each tenant that an earlier process signed, as it was kept.
    pub known: Vec<Checkpoint>,
}
