//! The record of what people did, as columns, the same for every database.

use tombolo_core::audit::{
    Actor, AuditEntry, AuditHash, Chained, Head, NotCanonical, Record, Stored, canonical,
};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;

use super::read::{Damaged, from_json, unsigned};
use super::text::text;

/// An entry as its row has it.
#[derive(Debug)]
pub(crate) struct AuditRow {
    pub(crate) seq: i64,
    pub(crate) prev: Vec<u8>,
    pub(crate) hash: Vec<u8>,
    pub(crate) at: i64,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) subject: String,
    /// Canonical JSON.
    pub(crate) detail: String,
    pub(crate) correlation_id: Option<String>,
}

impl AuditRow {
    /// The row of an entry that goes behind `head`. Its hash is of the entry as every database can hold
    /// it, so that it holds after a copy, too.
    pub(crate) fn behind(
        head: Head,
        tenant: TenantId,
        entry: AuditEntry,
    ) -> Result<(Self, Head), NotCanonical> {
        let chained = head.append(tenant, storable(entry))?;
        let (head, record) = (chained.head(), chained.record);
        let detail = canonical(&record.entry.detail)?;
        let row = Self {
            seq: record.seq.cast_signed(),
            prev: record.prev.0.to_vec(),
            hash: chained.hash.0.to_vec(),
            at: record.entry.at.0,
            actor: record.entry.actor.0,
            action: record.entry.action,
            subject: record.entry.subject,
            detail: String::from_utf8_lossy(&detail).into_owned(),
            correlation_id: record.entry.correlation_id,
        };
        Ok((row, head))
    }

    /// The entry, for those who don't check it.
    pub(crate) fn entry(self) -> Result<AuditEntry, Damaged> {
        Ok(AuditEntry {
            at: Timestamp(self.at),
            actor: Actor(self.actor),
            action: self.action,
            subject: self.subject,
            detail: from_json(&self.detail, "what is on record of an action")?,
            correlation_id: self.correlation_id,
        })
    }

    /// The entry in its place, for those who check it.
    pub(crate) fn stored(self, tenant: TenantId) -> Stored {
        let seq = audit_seq(self.seq);
        match self.chained(tenant) {
            Ok(chained) => Stored::Read(Box::new(chained)),
            Err(Damaged(why)) => Stored::Damaged { seq: Some(seq), why },
        }
    }

    fn chained(self, tenant: TenantId) -> Result<Chained, Damaged> {
        let (seq, prev, hash) =
            (unsigned(self.seq)?, audit_hash(&self.prev)?, audit_hash(&self.hash)?);
        let detail = self.detail.clone();
        let entry = self.entry()?;
        // What reads back to the same and looks different was not written by us.
        if canonical(&entry.detail).is_ok_and(|bytes| bytes != detail.as_bytes()) {
            return Err(Damaged("its detail is not canonical JSON".to_owned()));
        }
        Ok(Chained { record: Record { tenant, seq, prev, entry }, hash })
    }
}

/// The entry as every database can hold it. Its detail is JSON, which writes U+0000 in other letters.
fn storable(entry: AuditEntry) -> AuditEntry {
    AuditEntry {
        actor: Actor(text(&entry.actor.0).into_owned()),
        action: text(&entry.action).into_owned(),
        subject: text(&entry.subject).into_owned(),
        correlation_id: entry.correlation_id.as_deref().map(|id| text(id).into_owned()),
        ..entry
    }
}

/// The 32 bytes of a hash.
/// The number of an entry for those who check it: 0 for one that can be none.
pub(crate) fn audit_seq(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(crate) fn audit_hash(bytes: &[u8]) -> Result<AuditHash, Damaged> {
    let read = bytes.try_into().map(AuditHash);
    read.map_err(|_| Damaged(format!("a hash has {} bytes, not 32", bytes.len())))
}

/// The end of a record.
pub(crate) fn audit_head(seq: i64, hash: &[u8]) -> Result<Head, Damaged> {
    Ok(Head { seq: unsigned(seq)?, hash: audit_hash(hash)? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const TENANT: TenantId = TenantId(Uuid::from_u128(1));

    fn row() -> AuditRow {
        let entry = AuditEntry {
            at: Timestamp(5),
            actor: Actor("token:tok_1".to_owned()),
            action: "step-redriven".to_owned(),
            subject: "run/steps/1".to_owned(),
            detail: json!({"b": 10.5, "a": u64::MAX}),
            correlation_id: None,
        };
        AuditRow::behind(Head::EMPTY, TENANT, entry).unwrap().0
    }

    #[test]
    fn a_row_reads_back_with_its_hash() {
        let Stored::Read(chained) = row().stored(TENANT) else { panic!("it is whole") };
        assert_eq!(chained.record.hash(), Ok(chained.hash));
        assert_eq!(row().detail, r#"{"a":"18446744073709551615","b":"10.5"}"#);
    }

    #[test]
    fn a_row_that_is_none_is_damaged_at_its_number() {
        let spaced = |row: AuditRow| AuditRow { detail: row.detail.replacen(':', ": ", 1), ..row };
        for broken in [
            AuditRow { prev: vec![1], ..row() },
            AuditRow { detail: "{".to_owned(), ..row() },
            spaced(row()),
        ] {
            let stored = broken.stored(TENANT);
            assert!(matches!(stored, Stored::Damaged { seq: Some(1), .. }), "{stored:?}");
        }
    }
}
