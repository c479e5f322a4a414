//! Walks along a tenant's record, entry by entry, and notes what does not fit: its hashes, its
//! order, its known ends and the signed roots.

use std::collections::BTreeMap;

use super::record::{Chained, Head, Stored};
use super::{AuditHash, Finding, Tree, Trouble, Witness};
use crate::id::TenantId;

/// Findings that are listed for a tenant; the others are counted.
const MAX_FINDINGS: usize = 1_000;

/// Places tried for entries whose content is not what was hashed, to say where they are from.
const MAX_TRIES: u32 = 20_000;

/// A walk along one record.
#[derive(Debug)]
pub struct Trail {
    tenant: TenantId,
    others: Vec<TenantId>,
    signed: BTreeMap<u64, AuditHash>,
    known: BTreeMap<u64, (AuditHash, Witness)>,
    head: Head,
    entries: u64,
    /// None from the first entry on that is missing or cannot be read: no root is known then.
    tree: Option<Tree>,
    /// The hash of the entry before is not known.
    after_gap: bool,
    roots_checked: u64,
    tries: u32,
    findings: Vec<Finding>,
    more: u64,
}

/// What a walk has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whose record.
    pub tenant: TenantId,
    /// Entries seen.
    pub entries: u64,
    /// Where it ends.
    pub head: Head,
    /// Signed roots that the entries give.
    pub roots_checked: u64,
    /// What is wrong; empty if all is well.
    pub findings: Vec<Finding>,
}

impl Trail {
    /// Along the record of `tenant`, of which these roots were signed. `others`: whose entries may
    /// have been put into it.
    pub fn new(tenant: TenantId, signed: BTreeMap<u64, AuditHash>, others: Vec<TenantId>) -> Self {
        Self {
            tenant,
            others,
            signed,
            known: BTreeMap::new(),
            head: Head::EMPTY,
            entries: 0,
            tree: Some(Tree::default()),
            after_gap: false,
            roots_checked: 0,
            tries: 0,
            findings: Vec::new(),
            more: 0,
        }
    }

    /// The record has this entry, and ends there or later. To be said before the walk comes there.
    pub fn expect(&mut self, head: Head, by: Witness) {
        if head != Head::EMPTY {
            self.known.insert(head.seq, (head.hash, by));
        }
    }

    /// What the database itself notes of the end cannot be read.
    pub fn head_is_damaged(&mut self, why: String) {
        self.find(None, Trouble::UnreadableHead { why });
    }

    /// Number of the last entry so far.
    pub fn last(&self) -> u64 {
        self.head.seq
    }

    /// What the database itself noted of the end after the last entry was read.
    pub fn noted(&mut self, head: Head) {
        let (noted, found) = (head.seq, self.head.seq);
        if noted < found {
            self.find(Some(found), Trouble::HeadBehind { noted, found });
        }
    }

    /// Goes on to the next entry.
    pub fn read(&mut self, stored: Stored) {
        self.entries += 1;
        match stored {
            Stored::Read(chained) => self.entry(&chained),
            Stored::Damaged { seq, why } => {
                let seq = seq.unwrap_or(self.head.seq + 1);
                self.find(Some(seq), Trouble::Unreadable { why });
                self.tree = None;
                if seq > self.head.seq {
                    self.missing(seq);
                    self.head.seq = seq;
                    self.after_gap = true;
                }
            }
        }
    }

    fn entry(&mut self, chained: &Chained) {
        let record = &chained.record;
        let seq = record.seq;
        if record.tenant != self.tenant {
            self.find(Some(seq), Trouble::Foreign { of: record.tenant });
            return;
        }
        if seq <= self.head.seq {
            self.find(Some(seq), Trouble::OutOfOrder { after: self.head.seq });
            return;
        }
        self.missing(seq);
        let follows = self.after_gap || record.prev == self.head.hash;
        self.after_gap = false;
        if record.hash().is_ok_and(|hash| hash == chained.hash) {
            if !follows {
                self.find(Some(seq), Trouble::BrokenLink);
            }
        } else {
            let trouble = self.origin(chained);
            self.find(Some(seq), trouble);
        }
        self.head = chained.head();
        if let Some(tree) = &mut self.tree {
            tree.push(chained.hash);
        }
        self.compare();
    }

    /// Notes the entries that are missing before this one.
    fn missing(&mut self, seq: u64) {
        let first = self.head.seq + 1;
        if seq > first {
            self.find(Some(first), Trouble::Missing { first, last: seq - 1 });
            self.tree = None;
            self.after_gap = true;
        }
    }

    /// Where an entry is from whose content does not have its hash: the same place of another
    /// tenant, or any other place.
    fn origin(&mut self, chained: &Chained) -> Trouble {
        let seq = chained.record.seq;
        let known = self.signed.keys().chain(self.known.keys()).max().copied();
        let last = known.unwrap_or(0).max(seq.saturating_mul(2));
        let same_place = self.others.iter().map(|other| (*other, seq));
        let tenants = std::iter::once(self.tenant).chain(self.others.iter().copied());
        let places = tenants.flat_map(|tenant| (1..=last).map(move |seq| (tenant, seq)));
        let mut tried = chained.record.clone();
        for (tenant, seq) in same_place.chain(places) {
            if self.tries == MAX_TRIES {
                break;
            }
            self.tries += 1;
            (tried.tenant, tried.seq) = (tenant, seq);
            if tried.hash().is_ok_and(|hash| hash == chained.hash) {
                let own = tenant == self.tenant;
                return if own {
                    Trouble::Moved { from: seq }
                } else {
                    Trouble::Foreign { of: tenant }
                };
            }
        }
        Trouble::Altered
    }

    /// Compares what is known of the record up to here.
    fn compare(&mut self) {
        let Head { seq, hash } = self.head;
        if self.known.get(&seq).is_some_and(|(known, _)| *known != hash) {
            self.find(Some(seq), Trouble::OtherHead);
        }
        let (Some(signed), Some(tree)) = (self.signed.get(&seq).copied(), &self.tree) else {
            return;
        };
        let found = tree.root();
        if signed == found {
            self.roots_checked += 1;
        } else {
            self.find(Some(seq), Trouble::OtherRoot { signed, found });
        }
    }

    /// The end of the record; with the summary, if it is an export.
    pub fn end(mut self, summary: Option<Head>) -> Verdict {
        if let Some(summary) = summary {
            match summary.seq.cmp(&self.head.seq) {
                std::cmp::Ordering::Greater => self.expect(summary, Witness::Summary),
                std::cmp::Ordering::Equal if summary.hash == self.head.hash => {}
                _ => self.find(Some(summary.seq), Trouble::OtherHead),
            }
        }
        let of_signed = self.signed.last_key_value().map(|(seq, _)| (*seq, Witness::Checkpoint));
        let of_known = self.known.iter().map(|(seq, (_, by))| (*seq, *by));
        let found = self.head.seq;
        let cuts: Vec<_> = of_known.chain(of_signed).filter(|(known, _)| *known > found).collect();
        for (known, by) in cuts {
            self.find(Some(found + 1), Trouble::CutTail { known, found, by });
        }
        if self.more > 0 {
            let trouble = Trouble::More { count: self.more };
            self.findings.push(Finding { tenant: self.tenant, seq: None, trouble });
        }
        Verdict {
            tenant: self.tenant,
            entries: self.entries,
            head: self.head,
            roots_checked: self.roots_checked,
            findings: self.findings,
        }
    }

    fn find(&mut self, seq: Option<u64>, trouble: Trouble) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding { tenant: self.tenant, seq, trouble });
        } else {
            self.more += 1;
        }
    }
}
