//! The checkpoints that were kept elsewhere, as lines of JSON: what was signed, and whether anything
//! of it contradicts itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AuditHash, BadCheckpoint, Checkpoint, Finding, PublicKey, SignedCheckpoint, Trouble};
use crate::clock::Timestamp;
use crate::id::TenantId;

/// One line of the file of checkpoints.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// When it was exported; not signed.
    at: Timestamp,
    /// The signed note.
    note: String,
}

/// Checkpoints of all tenants, in the order in which they were kept.
#[derive(Debug, Default)]
pub struct CheckpointHistory {
    tenants: BTreeMap<TenantId, BTreeMap<u64, AuditHash>>,
    lines: u64,
    findings: Vec<Finding>,
    bad: Vec<(u64, BadCheckpoint)>,
}

impl CheckpointHistory {
    /// The line of a checkpoint, without its end.
    pub fn line(signed: &SignedCheckpoint, at: Timestamp) -> String {
        let line = Line { at, note: signed.note.clone() };
        // A time and a text always serialize.
        serde_json::to_string(&line).unwrap_or_default()
    }

    /// Takes in the next line.
    pub fn read(&mut self, line: &str, key: &PublicKey) {
        self.lines += 1;
        let opened = serde_json::from_str::<Line>(line)
            .map_err(|_| BadCheckpoint::Line)
            .and_then(|line| SignedCheckpoint::open(&line.note, key));
        match opened {
            Ok(signed) => self.add(signed.checkpoint),
            Err(why) => self.bad.push((self.lines, why)),
        }
    }

    fn add(&mut self, Checkpoint { tenant, size, root }: Checkpoint) {
        let of_tenant = self.tenants.entry(tenant).or_default();
        let newest = of_tenant.keys().next_back().copied().filter(|newest| *newest > size);
        let other = of_tenant.insert(size, root).filter(|before| *before != root);
        let older = newest.map(|newer| Trouble::OlderCheckpoint { newer });
        let troubles = older.into_iter().chain(other.map(|_| Trouble::TwoRoots));
        let finding = |trouble| Finding { tenant, seq: Some(size), trouble };
        self.findings.extend(troubles.map(finding));
    }

    /// The newest of each tenant.
    pub fn newest(&self) -> impl Iterator<Item = Checkpoint> {
        self.tenants.iter().filter_map(|(tenant, sizes)| {
            let (size, root) = sizes.last_key_value()?;
            Some(Checkpoint { tenant: *tenant, size: *size, root: *root })
        })
    }

    /// What was signed of a tenant's record, by its entries.
    pub fn of(&self, tenant: TenantId) -> BTreeMap<u64, AuditHash> {
        self.tenants.get(&tenant).cloned().unwrap_or_default()
    }

    /// Tenants with a checkpoint.
    pub fn tenants(&self) -> impl Iterator<Item = TenantId> {
        self.tenants.keys().copied()
    }

    /// What contradicts itself.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Lines, counted from 1, that are no checkpoints of this key, and why.
    pub fn bad_lines(&self) -> &[(u64, BadCheckpoint)] {
        &self.bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Signs;
    use crate::audit::testing::{TestKey, tenant};

    fn line(key: &TestKey, size: u64, root: u8) -> String {
        let root = AuditHash([root; AuditHash::BYTES]);
        let signed = Checkpoint { tenant: tenant(1), size, root }.sign(key);
        CheckpointHistory::line(&signed, Timestamp(0))
    }

    fn history(lines: &[String]) -> CheckpointHistory {
        let mut history = CheckpointHistory::default();
        lines.iter().for_each(|line| history.read(line, &TestKey::new(1).public_key()));
        history
    }

    #[test]
    fn what_grows_is_fine_and_may_be_there_twice() {
        let key = TestKey::new(1);
        let grown = history(&[line(&key, 2, 2), line(&key, 5, 5), line(&key, 5, 5)]);
        assert_eq!((grown.findings(), grown.bad_lines().len()), (&[][..], 0));
        assert_eq!(grown.newest().map(|newest| newest.size).collect::<Vec<_>>(), [5]);
        assert_eq!(grown.of(tenant(1)).len(), 2);
        assert!(grown.of(tenant(2)).is_empty());
    }

    #[test]
    fn an_older_one_behind_a_newer_one_is_found() {
        let key = TestKey::new(1);
        let replayed = history(&[line(&key, 2, 2), line(&key, 5, 5), line(&key, 2, 2)]);
        let expected = Finding {
            tenant: tenant(1),
            seq: Some(2),
            trouble: Trouble::OlderCheckpoint { newer: 5 },
        };
        assert_eq!(replayed.findings(), [expected]);
        assert_eq!(replayed.newest().map(|newest| newest.size).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn two_roots_of_one_size_are_found() {
        let key = TestKey::new(1);
        let forked = history(&[line(&key, 2, 2), line(&key, 2, 3)]);
        assert_eq!(forked.findings()[0].trouble, Trouble::TwoRoots);
    }

    #[test]
    fn lines_of_others_are_named() {
        let lines = [line(&TestKey::new(1), 1, 1), line(&TestKey::new(2), 2, 2), "{}".to_owned()];
        let history = history(&lines);
        let bad: Vec<u64> = history.bad_lines().iter().map(|(line, _)| *line).collect();
        assert_eq!(bad, [2, 3]);
    }
}
