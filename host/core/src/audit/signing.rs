//! When a tenant's record is signed, and when it must not be: what was signed once is never
//! contradicted. Grows with the record's leaves; what is kept of them is a tree's few hashes.

use std::time::Duration;

use super::{AuditHash, Checkpoint, Head, SignedCheckpoint, Signs, Tree};
use crate::clock::Timestamp;
use crate::id::TenantId;

/// How soon a checkpoint follows what it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointRule {
    /// At once after so many entries.
    pub entries: u64,
    /// So long after the last checkpoint, if there is a new entry.
    pub every: Duration,
}

/// Whether this is the last time that anybody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Somebody asks again soon.
    OneOfMany,
    /// The host stops: whatever is new is signed.
    Last,
}

/// The record is not what was signed before, or no chain at all. Nothing is signed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// It is shorter.
    #[error("{signed} entries were signed, and there are {found}")]
    Shorter {
        /// What was signed.
        signed: u64,
        /// What there is.
        found: u64,
    },
    /// Its entries give another root.
    #[error("the root over {size} entries is not the one that was signed")]
    OtherRoot {
        /// Over how many.
        size: u64,
    },
    /// An entry is missing.
    #[error("entry {seq} is missing")]
    Missing {
        /// Which.
        seq: u64,
    },
    /// It does not end as the store says.
    #[error("entry {seq} is not the one that the record ends with")]
    OtherEnd {
        /// Which.
        seq: u64,
    },
}

/// The signing of one record.
#[derive(Debug)]
pub struct Signing {
    tenant: TenantId,
    tree: Tree,
    last: AuditHash,
    /// What an earlier process signed, until the entries have proved it.
    unproved: Option<Checkpoint>,
    signed: Option<SignedCheckpoint>,
    signed_at: Option<Timestamp>,
}

impl Signing {
    /// Of a record of which that was signed last, by an earlier process.
    pub fn new(tenant: TenantId, known: Option<Checkpoint>) -> Self {
        Self {
            tenant,
            tree: Tree::default(),
            last: AuditHash::ZERO,
            unproved: known,
            signed: None,
            signed_at: None,
        }
    }

    /// Entries that were taken in.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The newest checkpoint.
    pub fn newest(&self) -> Option<&SignedCheckpoint> {
        self.signed.as_ref()
    }

    /// True if the leaves up to the head are to be taken in, and then signed.
    ///
    /// # Errors
    /// If the record has grown shorter.
    pub fn is_due(
        &self,
        head: Head,
        now: Timestamp,
        (rule, moment): (CheckpointRule, Moment),
    ) -> Result<bool, Contradiction> {
        let of_signed = self.signed.as_ref().map(|signed| signed.checkpoint);
        let signed = self.unproved.or(of_signed).map_or(0, |checkpoint| checkpoint.size);
        let Some(new) = head.seq.checked_sub(signed) else {
            return Err(Contradiction::Shorter { signed, found: head.seq });
        };
        let waited = self.signed_at.is_none_or(|at| now.since(at) >= rule.every);
        let soon = waited || new >= rule.entries || moment == Moment::Last;
        Ok(self.unproved.is_some() || (new > 0 && soon))
    }

    /// Takes in the next leaf.
    ///
    /// # Errors
    /// If it is not the next, or contradicts what was signed.
    pub fn add(&mut self, seq: u64, leaf: AuditHash) -> Result<(), Contradiction> {
        let next = self.tree.size() + 1;
        if seq != next {
            return Err(Contradiction::Missing { seq: next });
        }
        self.tree.push(leaf);
        self.last = leaf;
        match self.unproved {
            Some(known) if known.size == seq && known.root != self.tree.root() => {
                Err(Contradiction::OtherRoot { size: seq })
            }
            Some(known) if known.size == seq => {
                self.unproved = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Signs what was taken in, up to the head.
    ///
    /// # Errors
    /// If the head is another one: the record is not the one that was taken in.
    pub fn sign(
        &mut self,
        head: Head,
        signer: &dyn Signs,
        now: Timestamp,
    ) -> Result<(), Contradiction> {
        if self.tree.size() != head.seq || self.last != head.hash || self.unproved.is_some() {
            return Err(Contradiction::OtherEnd { seq: head.seq });
        }
        self.signed = Some(Checkpoint::of(self.tenant, &self.tree).sign(signer));
        self.signed_at = Some(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Chained;
    use crate::audit::testing::{TestKey, chain, tenant};

    const RULE: CheckpointRule = CheckpointRule { entries: 4, every: Duration::from_secs(60) };

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000)
    }

    fn is_due(signing: &Signing, head: Head, now: Timestamp) -> bool {
        signing.is_due(head, now, (RULE, Moment::OneOfMany)).unwrap()
    }

    /// Takes in what is new, and signs it.
    fn sign(
        signing: &mut Signing,
        entries: &[Chained],
        now: Timestamp,
    ) -> Result<Checkpoint, Contradiction> {
        for entry in &entries[usize::try_from(signing.size()).unwrap()..] {
            signing.add(entry.record.seq, entry.hash)?;
        }
        let head = entries.last().map_or(Head::EMPTY, Chained::head);
        signing.sign(head, &TestKey::new(1), now)?;
        Ok(signing.newest().unwrap().checkpoint)
    }

    #[test]
    fn it_follows_after_so_many_entries_or_so_long() {
        let entries = chain(tenant(1), 0, 10);
        let head = |n: usize| entries[n - 1].head();
        let mut signing = Signing::new(tenant(1), None);
        assert!(!is_due(&signing, Head::EMPTY, at(0)));
        assert!(is_due(&signing, head(1), at(0)), "the first at once");
        assert_eq!(sign(&mut signing, &entries[..1], at(0)).unwrap().size, 1);

        assert!(!is_due(&signing, head(1), at(1_000)), "nothing is new");
        assert!(!is_due(&signing, head(4), at(59)));
        assert!(is_due(&signing, head(4), at(60)));
        assert!(is_due(&signing, head(5), at(1)));
        let last = signing.is_due(head(2), at(1), (RULE, Moment::Last));
        assert_eq!(last, Ok(true));
    }

    #[test]
    fn what_an_earlier_process_signed_is_proved_first() {
        let entries = chain(tenant(1), 0, 10);
        let known = sign(&mut Signing::new(tenant(1), None), &entries[..6], at(0)).unwrap();
        let mut signing = Signing::new(tenant(1), Some(known));
        assert!(is_due(&signing, entries[5].head(), at(0)), "though nothing is new");
        assert_eq!(sign(&mut signing, &entries[..6], at(0)), Ok(known));
        assert_eq!(sign(&mut signing, &entries, at(0)).unwrap().size, 10);
    }

    #[test]
    fn what_contradicts_it_is_not_signed() {
        let (entries, forged) = (chain(tenant(1), 0, 10), chain(tenant(1), 50, 10));
        let known = sign(&mut Signing::new(tenant(1), None), &entries[..6], at(0)).unwrap();
        let after = || Signing::new(tenant(1), Some(known));
        let other = sign(&mut after(), &forged, at(0));
        assert_eq!(other, Err(Contradiction::OtherRoot { size: 6 }));
        let shorter = after().is_due(entries[4].head(), at(0), (RULE, Moment::OneOfMany));
        assert_eq!(shorter, Err(Contradiction::Shorter { signed: 6, found: 5 }));
        let gap = [&entries[..2], &entries[3..]].concat();
        assert_eq!(sign(&mut after(), &gap, at(0)), Err(Contradiction::Missing { seq: 3 }));

        // In one process, too.
        let mut signing = after();
        sign(&mut signing, &entries, at(0)).unwrap();
        let shorter = signing.is_due(entries[8].head(), at(0), (RULE, Moment::OneOfMany));
        assert_eq!(shorter, Err(Contradiction::Shorter { signed: 10, found: 9 }));
        let end = signing.sign(forged[9].head(), &TestKey::new(1), at(0));
        assert_eq!(end, Err(Contradiction::OtherEnd { seq: 10 }));
    }
}
