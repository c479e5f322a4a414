//! A version of a workflow beside the live one: what both databases ask before they store it, and
//! what they record once they have.

use std::collections::BTreeMap;

use tombolo_core::audit::{AuditEntry, VersionShape, workflow_applied};
use tombolo_core::id::{ContentHash, WorkflowId};
use tombolo_core::ports::store::NewVersion;

/// The live version of a workflow, as it was read.
pub(crate) struct LiveVersion {
    pub(crate) id: WorkflowId,
    pub(crate) version: u32,
    pub(crate) definition: String,
    pub(crate) pins: BTreeMap<String, ContentHash>,
}

impl LiveVersion {
    /// True if storing the other one would change nothing.
    pub(crate) fn is(&self, new: &NewVersion) -> bool {
        self.definition == new.definition.text() && self.pins == new.pins
    }
}

/// What the record says once `new` stands there as that version; nothing where nobody asked for it.
pub(crate) fn applied_entry(
    new: &NewVersion,
    live: Option<&LiveVersion>,
    version: u32,
) -> Option<AuditEntry> {
    let entry = new.audit.clone()?;
    let before = live.map(|live| VersionShape {
        version: live.version,
        definition: &live.definition,
        pins: &live.pins,
    });
    let after = VersionShape { version, definition: new.definition.text(), pins: &new.pins };
    Some(workflow_applied(entry, before, after))
}
