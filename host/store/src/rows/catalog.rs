//! Plugins, and workflows with their versions.

use bytes::Bytes;
use tombolo_core::id::{TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{Plugin, WorkflowVersion};

use super::{Columns, ReadFault};
use crate::record::{content_hash, from_json, unpack, unsigned};

/// The columns that [`version`] reads, of a workflow `w` and its version `v`, and their tables.
macro_rules! versions {
    ($rest:literal) => {
        concat!(
            "SELECT w.tenant_id, w.id, w.name, v.version, v.version = w.live_version,
               v.definition, v.pins, v.created_at
             FROM workflow w JOIN workflow_version v
               ON v.tenant_id = w.tenant_id AND v.workflow_id = w.id ",
            $rest
        )
    };
}

pub(crate) use versions;

/// Reads a version.
pub(crate) fn version(row: &impl Columns) -> Result<WorkflowVersion, ReadFault> {
    Ok(WorkflowVersion {
        tenant: TenantId(row.id(0)?),
        id: WorkflowId(row.id(1)?),
        name: row.text(2)?.to_owned(),
        version: unsigned(row.number(3)?)?,
        live: row.flag(4)?,
        definition: Json::from_trusted(row.text(5)?),
        pins: from_json(row.text(6)?, "a version's pins")?,
        created_at: row.time(7)?,
    })
}

/// Reads a plugin's hash, descriptor and size, and when it came.
pub(crate) fn plugin(row: &impl Columns) -> Result<Plugin, ReadFault> {
    Ok(Plugin {
        hash: content_hash(row.bytes(0)?)?,
        descriptor: from_json(row.text(1)?, "a plugin's descriptor")?,
        size: unsigned(row.number(2)?)?,
        created_at: row.time(3)?,
    })
}

/// Reads the bytes and the encoding of a payload that is a component.
pub(crate) fn component(row: &impl Columns) -> Result<Bytes, ReadFault> {
    let stored = row.maybe_bytes(0)?.unwrap_or_default();
    Ok(Bytes::from(unpack(stored, row.number(1)?)?.into_owned()))
}
