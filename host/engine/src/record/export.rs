//! A record as lines.

use std::io;

use tombolo_core::audit::{Head, Stored, Summary};
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{AuditTrail, StoreError};

use super::ENTRIES_AT_ONCE;

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// An entry cannot be read.
    #[error("entry {seq} cannot be read: {why}; `tombolo audit verify` tells all that is wrong")]
    Damaged {
        /// Its number.
        seq: u64,
        /// Why.
        why: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lines cannot be written.
    #[error("the export cannot be written: {0}")]
    Writing(#[from] io::Error),
}

/// Writes a tenant's record, one line an entry, and a summary as the last line. Entries that come
/// meanwhile may be in it or not.
///
/// # Errors
/// If an entry cannot be read, or a line cannot be written.
pub async fn export_record(
    store: &dyn AuditTrail,
    tenant: TenantId,
    mut write: impl FnMut(&str) -> io::Result<()>,
) -> Result<Summary, ExportError> {
    let mut head = Head::EMPTY;
    loop {
        let entries = store.audit_trail(tenant, Some(head.seq), ENTRIES_AT_ONCE).await?;
        if entries.is_empty() {
            break;
        }
        for stored in entries {
            match stored {
                Stored::Read(chained) => {
                    write(&chained.line())?;
                    head = chained.head();
                }
                Stored::Damaged { seq, why } => {
                    return Err(ExportError::Damaged { seq: seq.unwrap_or(head.seq + 1), why });
                }
            }
        }
    }
    let summary = Summary::of(tenant, head);
    write(&summary.line())?;
    Ok(summary)
}
