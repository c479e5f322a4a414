//! Rows of `audit` and `audit_head`.

use tombolo_core::audit::{AuditEntry, AuditHash, Head, Stored};
use tombolo_core::id::TenantId;

use super::{Columns, ReadFault};
use crate::record::{AuditRow, audit_hash, audit_head, audit_seq, unsigned};

/// The columns of an entry, in the order that [`audit_row`] reads them in.
macro_rules! audit_columns {
    () => {
        "seq, prev_hash, hash, at, actor, action, subject, detail, correlation_id"
    };
}

pub(crate) use audit_columns;

fn audit_row(row: &impl Columns) -> Result<AuditRow, ReadFault> {
    Ok(AuditRow {
        seq: row.number(0)?,
        prev: row.bytes(1)?.to_vec(),
        hash: row.bytes(2)?.to_vec(),
        at: row.number(3)?,
        actor: row.text(4)?.to_owned(),
        action: row.text(5)?.to_owned(),
        subject: row.text(6)?.to_owned(),
        detail: row.text(7)?.to_owned(),
        correlation_id: row.maybe_text(8)?.map(str::to_owned),
    })
}

/// Reads an entry with its number, for those who don't check it.
pub(crate) fn audit_entry(row: &impl Columns) -> Result<(u64, AuditEntry), ReadFault> {
    let read = audit_row(row)?;
    Ok((unsigned(read.seq)?, read.entry()?))
}

/// Reads an entry in its place, for those who check it.
pub(crate) fn audit_stored(row: &impl Columns, tenant: TenantId) -> Result<Stored, ReadFault> {
    match audit_row(row) {
        Ok(read) => Ok(read.stored(tenant)),
        Err(fault) => {
            Ok(Stored::Damaged { seq: Some(audit_seq(row.number(0)?)), why: fault.to_string() })
        }
    }
}

/// The number above which those of a trail are, as the database has numbers.
pub(crate) fn audit_after(after: Option<u64>) -> i64 {
    after.map_or(i64::MIN, |after| i64::try_from(after).unwrap_or(i64::MAX))
}

/// Reads a number and the hash of its entry.
pub(crate) fn audit_leaf(row: &impl Columns) -> Result<(u64, AuditHash), ReadFault> {
    Ok((unsigned(row.number(0)?)?, audit_hash(row.bytes(1)?)?))
}

/// Reads a tenant, and the number and hash of the last entry of its record.
pub(crate) fn audit_end(row: &impl Columns) -> Result<(TenantId, Head), ReadFault> {
    Ok((TenantId(row.id(0)?), audit_head(row.number(1)?, row.bytes(2)?)?))
}
