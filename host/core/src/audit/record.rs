//! An entry in its place: the chain of one tenant, without gaps, from 1.

use serde_json::{Value, json};

use super::canonical::{NotCanonical, canonical};
use super::detail::recorded;
use super::{AuditEntry, AuditHash};
use crate::id::TenantId;

/// The format of what is hashed. Another one gets the next number.
pub const FORMAT: u32 = 1;

/// An entry with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Whose record it is.
    pub tenant: TenantId,
    /// Counted from 1 for each tenant.
    pub seq: u64,
    /// The hash of the entry before; [`AuditHash::ZERO`] for the first.
    pub prev: AuditHash,
    /// What was done.
    pub entry: AuditEntry,
}

impl Record {
    /// As JSON: what is hashed, and what an export holds.
    pub fn value(&self) -> Value {
        let entry = &self.entry;
        json!({
            "format": FORMAT,
            "tenant": self.tenant,
            "seq": self.seq,
            "prev": self.prev,
            "at": entry.at,
            "actor": entry.actor,
            "action": entry.action,
            "subject": entry.subject,
            "detail": entry.detail,
            "correlation_id": entry.correlation_id,
        })
    }

    /// SHA-256(0x00 || canonical JSON): the hash of a leaf (RFC 9162, section 2.1.1).
    ///
    /// # Errors
    /// Never of an entry that [`Head::append`] made.
    pub fn hash(&self) -> Result<AuditHash, NotCanonical> {
        Ok(AuditHash::of_leaf(&canonical(&self.value())?))
    }
}

/// An entry in its place with its hash.
#[derive(Debug, Clone, PartialEq)]
pub struct Chained {
    /// The entry.
    pub record: Record,
    /// Its hash, as it was written with it.
    pub hash: AuditHash,
}

/// An entry as a store or an export has it, before anybody has checked it.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// It can be read.
    Read(Box<Chained>),
    /// It cannot.
    Damaged {
        /// Its number, if that can be read.
        seq: Option<u64>,
        /// Why.
        why: String,
    },
}

/// The end of a tenant's chain: what the next entry goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of the last entry; 0 if there is none.
    pub seq: u64,
    /// Its hash; [`AuditHash::ZERO`] if there is none.
    pub hash: AuditHash,
}

impl Head {
    /// Of a chain without entries.
    pub const EMPTY: Self = Self { seq: 0, hash: AuditHash::ZERO };

    /// The entry in its place behind this one. Its detail is bounded, and its numbers are made
    /// recordable: this is the one way into a chain.
    ///
    /// # Errors
    /// After 2^53 - 1 entries.
    pub fn append(self, tenant: TenantId, entry: AuditEntry) -> Result<Chained, NotCanonical> {
        let entry = AuditEntry { detail: recorded(entry.detail), ..entry };
        let record = Record { tenant, seq: self.seq + 1, prev: self.hash, entry };
        let hash = record.hash()?;
        Ok(Chained { record, hash })
    }
}

impl Chained {
    /// The end of a chain that ends with this entry.
    pub fn head(&self) -> Head {
        Head { seq: self.record.seq, hash: self.hash }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::audit::Actor;
    use crate::clock::Timestamp;

    fn entry() -> AuditEntry {
        AuditEntry {
            at: Timestamp(1_700_000_000_123),
            actor: Actor("token:tok_1".to_owned()),
            action: "connection-set".to_owned(),
            subject: "connections/crm".to_owned(),
            detail: json!({"before": null, "after": {"n": 9_007_199_254_740_993_u64}}),
            correlation_id: Some("abc".to_owned()),
        }
    }

    #[test]
    fn an_entry_is_hashed_as_these_bytes() {
        let tenant = TenantId(Uuid::from_u128(7));
        let first = Head::EMPTY.append(tenant, entry()).unwrap();
        let bytes = canonical(&first.record.value()).unwrap();
        let expected = concat!(
            r#"{"action":"connection-set","actor":"token:tok_1","at":"2023-11-14T22:13:20.123Z","#,
            r#""correlation_id":"abc","detail":{"after":{"n":"9007199254740993"},"before":null},"#,
            r#""format":1,"#,
            r#""prev":"0000000000000000000000000000000000000000000000000000000000000000","#,
            r#""seq":1,"subject":"connections/crm","tenant":"ten_00000000000000000000000000000007"}"#,
        );
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        // Part of the format, and what `(printf '\0'; printf '%s' "$line") | sha256sum` says.
        let hash = "ec69062636ab1a258827942ed7d9473bc5b9cb550397581b9d096bb7e6d5a135";
        assert_eq!(first.hash.to_string(), hash);
    }

    #[test]
    fn every_part_of_an_entry_and_its_place_count() {
        let tenant = TenantId(Uuid::from_u128(7));
        let first = Head::EMPTY.append(tenant, entry()).unwrap();
        let second = first.head().append(tenant, entry()).unwrap();
        assert_eq!((second.record.seq, second.record.prev), (2, first.hash));
        type Change = fn(&mut Record);
        let changes: [Change; 9] = [
            |record| record.tenant = TenantId(Uuid::from_u128(8)),
            |record| record.seq = 3,
            |record| record.prev = AuditHash::ZERO,
            |record| record.entry.at = Timestamp(0),
            |record| record.entry.actor.0.push('x'),
            |record| record.entry.action.push('x'),
            |record| record.entry.subject.push('x'),
            |record| record.entry.detail = Value::Null,
            |record| record.entry.correlation_id = None,
        ];
        for (n, change) in changes.iter().enumerate() {
            let mut changed = second.record.clone();
            change(&mut changed);
            assert_ne!(changed.hash().unwrap(), second.hash, "{n}");
        }
    }
}
