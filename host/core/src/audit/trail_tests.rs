//! Every way to tamper with a record, and what is found of it.

use std::collections::BTreeMap;

use serde_json::json;

use super::testing::{chain, rehash, tenant};
use super::*;

const COUNT: u64 = 10;

/// The roots that were signed after so many entries.
fn signed(entries: &[Chained], sizes: &[u64]) -> BTreeMap<u64, AuditHash> {
    let mut tree = Tree::default();
    let mut roots = BTreeMap::new();
    for entry in entries {
        tree.push(entry.hash);
        if sizes.contains(&tree.size()) {
            roots.insert(tree.size(), tree.root());
        }
    }
    roots
}

/// Walks along `entries`, of which `original` was signed after 4 and 8, and the last is known.
fn walk(entries: &[Chained], original: &[Chained]) -> Verdict {
    let mut trail = Trail::new(tenant(1), signed(original, &[4, 8]), vec![tenant(2)]);
    trail.expect(original[original.len() - 1].head(), Witness::Head);
    entries.iter().for_each(|entry| trail.read(Stored::Read(Box::new(entry.clone()))));
    trail.end(None)
}

fn found(verdict: &Verdict) -> Vec<(u64, Trouble)> {
    let place = |finding: &Finding| (finding.seq.unwrap(), finding.trouble.clone());
    verdict.findings.iter().map(place).collect()
}

fn other_roots(verdict: &Verdict) -> Vec<u64> {
    let other = |(_, trouble): &(u64, Trouble)| matches!(trouble, Trouble::OtherRoot { .. });
    found(verdict).iter().filter(|found| other(found)).map(|(seq, _)| *seq).collect()
}

#[test]
fn a_whole_record_is_fine() {
    let entries = chain(tenant(1), 0, COUNT);
    let verdict = walk(&entries, &entries);
    assert_eq!(verdict.findings, []);
    assert_eq!((verdict.entries, verdict.roots_checked, verdict.head.seq), (COUNT, 2, COUNT));
}

#[test]
fn a_changed_entry_is_found_where_it_is() {
    let original = chain(tenant(1), 0, COUNT);
    let mut entries = original.clone();
    entries[2].record.entry.detail = json!({"reason": 3});
    assert_eq!(found(&walk(&entries, &original)), [(3, Trouble::Altered)]);
}

#[test]
fn a_deleted_entry_is_found_where_it_was() {
    let original = chain(tenant(1), 0, COUNT);
    let mut entries = original.clone();
    entries.remove(4);
    assert_eq!(found(&walk(&entries, &original)), [(5, Trouble::Missing { first: 5, last: 5 })]);
}

#[test]
fn a_cut_tail_is_known_to_the_database_and_to_checkpoints() {
    let original = chain(tenant(1), 0, COUNT);
    let cut = |known, found, by| (found + 1, Trouble::CutTail { known, found, by });
    let verdict = walk(&original[..9], &original);
    assert_eq!(found(&verdict), [cut(10, 9, Witness::Head)]);
    let verdict = walk(&original[..6], &original);
    let both = [cut(10, 6, Witness::Head), cut(8, 6, Witness::Checkpoint)];
    assert_eq!(found(&verdict), both);
}

#[test]
fn swapped_entries_are_told_from_changed_ones() {
    let original = chain(tenant(1), 0, COUNT);
    let mut entries = original.clone();
    entries.swap(2, 5);
    let out_of_order = found(&walk(&entries, &original));
    assert!(out_of_order.contains(&(3, Trouble::OutOfOrder { after: 6 })), "{out_of_order:?}");

    // With the numbers of their new places.
    (entries[2].record.seq, entries[5].record.seq) = (3, 6);
    let verdict = walk(&entries, &original);
    let moved = found(&verdict);
    assert!(moved.contains(&(3, Trouble::Moved { from: 6 })), "{moved:?}");
    assert!(moved.contains(&(6, Trouble::Moved { from: 3 })), "{moved:?}");
    assert_eq!(other_roots(&verdict), [4, 8]);
}

#[test]
fn an_entry_written_anew_does_not_fit_the_next() {
    let original = chain(tenant(1), 0, COUNT);
    let mut entries = original.clone();
    entries[2].record.entry.actor = Actor("somebody else".to_owned());
    entries[2] = rehash(entries[2].record.clone());
    let verdict = walk(&entries, &original);
    assert_eq!(found(&verdict)[0], (4, Trouble::BrokenLink));
    assert_eq!(other_roots(&verdict), [4, 8]);
}

#[test]
fn a_chain_made_anew_is_caught_by_the_checkpoints() {
    let original = chain(tenant(1), 0, COUNT);
    let forged = chain(tenant(1), 100, COUNT);
    let mut trail = Trail::new(tenant(1), signed(&original, &[4, 8]), Vec::new());
    // Whoever writes the chain anew writes its known end anew, too.
    trail.expect(forged[9].head(), Witness::Head);
    forged.iter().for_each(|entry| trail.read(Stored::Read(Box::new(entry.clone()))));
    let verdict = trail.end(None);
    assert_eq!(other_roots(&verdict), [4, 8]);
    assert_eq!(verdict.findings.len(), 2);
}

#[test]
fn a_chain_made_anew_behind_the_last_checkpoint_is_caught_by_its_end() {
    let original = chain(tenant(1), 0, COUNT);
    let mut entries = original.clone();
    entries[9].record.entry.actor = Actor("somebody else".to_owned());
    entries[9] = rehash(entries[9].record.clone());
    assert_eq!(found(&walk(&entries, &original)), [(10, Trouble::OtherHead)]);
}

#[test]
fn an_entry_of_another_tenant_is_named() {
    let (original, theirs) = (chain(tenant(1), 0, COUNT), chain(tenant(2), 50, COUNT));
    let mut entries = original.clone();
    entries.insert(3, theirs[3].clone());
    assert_eq!(found(&walk(&entries, &original)), [(4, Trouble::Foreign { of: tenant(2) })]);

    // Copied over one of ours, under our name, at its number and at another one.
    for from in [3, 6] {
        let mut entries = original.clone();
        entries[3] = theirs[from].clone();
        (entries[3].record.tenant, entries[3].record.seq) = (tenant(1), 4);
        let first = found(&walk(&entries, &original)).remove(0);
        assert_eq!(first, (4, Trouble::Foreign { of: tenant(2) }), "{from}");
    }
}

#[test]
fn a_damaged_entry_is_named_and_the_rest_is_read() {
    let original = chain(tenant(1), 0, COUNT);
    let mut trail = Trail::new(tenant(1), signed(&original, &[4, 8]), Vec::new());
    for entry in &original {
        let damaged = Stored::Damaged { seq: Some(3), why: "torn".to_owned() };
        let read = Stored::Read(Box::new(entry.clone()));
        trail.read(if entry.record.seq == 3 { damaged } else { read });
    }
    let verdict = trail.end(None);
    assert_eq!(found(&verdict), [(3, Trouble::Unreadable { why: "torn".to_owned() })]);
    assert_eq!(verdict.head, original[9].head());
}

#[test]
fn a_summary_is_the_exact_end() {
    let entries = chain(tenant(1), 0, COUNT);
    let walk = |count: usize, summary: Head| {
        let mut trail = Trail::new(tenant(1), BTreeMap::new(), Vec::new());
        entries[..count].iter().for_each(|entry| trail.read(Stored::Read(Box::new(entry.clone()))));
        found(&trail.end(Some(summary)))
    };
    assert_eq!(walk(10, entries[9].head()), []);
    let cut = Trouble::CutTail { known: 10, found: 7, by: Witness::Summary };
    assert_eq!(walk(7, entries[9].head()), [(8, cut)]);
    assert_eq!(walk(10, entries[6].head()), [(7, Trouble::OtherHead)]);
}

#[test]
fn findings_are_bounded() {
    let original = chain(tenant(1), 0, 2_000);
    let mut entries = original.clone();
    entries.iter_mut().for_each(|entry| entry.record.entry.actor.0.push('x'));
    let mut trail = Trail::new(tenant(1), BTreeMap::new(), vec![tenant(2)]);
    entries.iter().for_each(|entry| trail.read(Stored::Read(Box::new(entry.clone()))));
    let verdict = trail.end(None);
    assert_eq!(verdict.findings.len(), 1_001);
    assert_eq!(verdict.findings[1_000].trouble, Trouble::More { count: 1_000 });
}
