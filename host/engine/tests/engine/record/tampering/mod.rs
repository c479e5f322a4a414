//! Whoever can write the database can write anything into it. What of that is found, and where.

mod base;

use tombolo_core::audit::{
    Actor, AuditEntry, CheckpointHistory, CheckpointRule, Finding, Head, Moment, Signing, Stored,
    Trouble, Verdict, Witness,
};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{Store, Tenant};
use uuid::Uuid;

use self::base::Base;
use super::{Key, entry, history};

const ACME: TenantId = TenantId(Uuid::from_u128(1));
const GLOBEX: TenantId = TenantId(Uuid::from_u128(2));
const ENTRIES: i64 = 12;

/// Two records of twelve entries each, of which checkpoints were kept over 4, 8 and 11.
struct Scene {
    base: Base,
    checkpoints: Vec<String>,
}

impl Scene {
    async fn new(base: Base) -> Self {
        let mut checkpoints = Vec::new();
        base.with_store(async |store| {
            for (tenant, name) in [(ACME, "acme"), (GLOBEX, "globex")] {
                let named = Tenant { id: tenant, name: name.to_owned() };
                store.ensure_tenant(named, Timestamp(0)).await.unwrap();
                let mut signing = Signing::new(tenant, None);
                for n in 1..=ENTRIES {
                    let mut entry = entry(n);
                    entry.actor = Actor(name.to_owned());
                    store.record(tenant, entry).await.unwrap();
                    if [4, 8, 11].contains(&n) {
                        checkpoints.push(sign(store, &mut signing, tenant).await);
                    }
                }
            }
        })
        .await;
        Self { base, checkpoints }
    }

    /// Runs statements. Whoever tampers begins with the triggers.
    async fn tamper(&self, statements: &str) {
        self.base.without_triggers(&self.base.spelled(statements)).await;
    }

    async fn verdicts(&self, history: &CheckpointHistory) -> Vec<Verdict> {
        self.base.verdicts(history).await
    }

    /// What is found in acme's record; globex's is as it was.
    async fn found(&self) -> Vec<(u64, Trouble)> {
        let history = history(&self.checkpoints);
        let verdicts = self.verdicts(&history).await;
        assert_eq!((verdicts[1].tenant, &verdicts[1].findings[..]), (GLOBEX, &[][..]));
        verdicts[0].findings.iter().map(place).collect()
    }
}

fn place(finding: &Finding) -> (u64, Trouble) {
    (finding.seq.unwrap(), finding.trouble.clone())
}

async fn sign(store: &dyn Store, signing: &mut Signing, tenant: TenantId) -> String {
    let heads = store.audit_heads().await.unwrap();
    let head = heads.iter().find(|(of, _)| *of == tenant).unwrap().1;
    let rule = CheckpointRule { entries: 1, every: std::time::Duration::ZERO };
    assert!(signing.is_due(head, Timestamp(0), (rule, Moment::OneOfMany)).unwrap());
    for (seq, leaf) in store.audit_leaves(tenant, signing.size(), 100).await.unwrap() {
        signing.add(seq, leaf).unwrap();
    }
    signing.sign(head, &Key(1), Timestamp(0)).unwrap();
    CheckpointHistory::line(signing.newest().unwrap(), Timestamp(0))
}

async fn what_nobody_touched_is_fine(base: Base) {
    let scene = Scene::new(base).await;
    let verdicts = scene.verdicts(&history(&scene.checkpoints)).await;
    for verdict in verdicts {
        assert_eq!(verdict.findings, []);
        assert_eq!((verdict.entries, verdict.roots_checked), (12, 3));
    }
}

/// One bit in each column of an entry, one after the other, and back again.
async fn a_flipped_bit_is_found_wherever_it_is(base: Base) {
    let scene = Scene::new(base).await;
    for column in ["actor", "action", "subject", "detail", "correlation_id"] {
        let before = scene.base.text(column, 6).await;
        // The last bit of the last letter, or of the one before the bracket of an object.
        let mut bytes = before.clone().into_bytes();
        let at = bytes.len() - if column == "detail" { 3 } else { 1 };
        bytes[at] ^= 1;
        let flipped = String::from_utf8(bytes).unwrap();
        for (text, found) in [(flipped, vec![(6, Trouble::Altered)]), (before, Vec::new())] {
            let text = text.replace('\'', "''");
            let update = format!("UPDATE audit SET {column} = '{text}' WHERE {{acme}} AND seq = 6");
            scene.tamper(&update).await;
            assert_eq!(scene.found().await, found, "{column}");
        }
    }
    let flip = "UPDATE audit SET at = (at | 1) - (at & 1) WHERE {acme} AND seq = 6";
    for found in [vec![(6, Trouble::Altered)], Vec::new()] {
        scene.tamper(flip).await;
        assert_eq!(scene.found().await, found);
    }
    scene.tamper("UPDATE audit SET hash = {zeros} WHERE {acme} AND seq = 6").await;
    assert!(scene.found().await.contains(&(6, Trouble::Altered)));
    scene.tamper("UPDATE audit SET detail = '{' WHERE {acme} AND seq = 6").await;
    let found = scene.found().await;
    assert!(matches!(&found[..], [(6, Trouble::Unreadable { .. }), ..]), "{found:?}");
}

async fn a_deleted_row_is_found(base: Base) {
    let scene = Scene::new(base).await;
    scene.tamper("DELETE FROM audit WHERE {acme} AND seq IN (5, 6)").await;
    assert_eq!(scene.found().await, [(5, Trouble::Missing { first: 5, last: 6 })]);
}

async fn a_cut_tail_is_found(base: Base) {
    let cut = |known, found, by| (found + 1, Trouble::CutTail { known, found, by });
    let scene = Scene::new(base).await;
    scene.tamper("DELETE FROM audit WHERE {acme} AND seq > 9").await;
    let both = [cut(12, 9, Witness::Head), cut(11, 9, Witness::Checkpoint)];
    assert_eq!(scene.found().await, both);
    // Whoever cuts knows of the head, too.
    scene
        .tamper(
            "UPDATE audit_head SET seq = 9, hash = (SELECT hash FROM audit WHERE {acme} AND seq = 9)
             WHERE {acme}",
        )
        .await;
    assert_eq!(scene.found().await, [cut(11, 9, Witness::Checkpoint)]);
    scene.tamper("DELETE FROM audit WHERE {acme}; DELETE FROM audit_head WHERE {acme}").await;
    assert_eq!(scene.found().await, [cut(11, 0, Witness::Checkpoint)]);
}

async fn a_row_before_the_first_is_found(base: Base) {
    let scene = Scene::new(base).await;
    let put = |seq: i64| {
        format!(
            "INSERT INTO audit (tenant_id, seq, prev_hash, hash, at, actor, action, subject, detail,
               correlation_id)
             SELECT tenant_id, {seq}, prev_hash, hash, at, 'token:forged', action, subject, detail,
               correlation_id
             FROM audit WHERE {{acme}} AND seq = 1;"
        )
    };
    scene.tamper(&put(0)).await;
    assert_eq!(scene.found().await, [(0, Trouble::OutOfOrder { after: 0 })]);
    scene.tamper(&put(-7)).await;
    let found = scene.found().await;
    assert!(matches!(found[0], (0, Trouble::Unreadable { .. })), "{found:?}");
    scene
        .base
        .with_store(async |store| {
            let listed = store.audit(ACME, 100, None).await.unwrap();
            assert_eq!(listed.len(), 12, "what is no entry is not shown as one");
        })
        .await;
}

async fn a_note_of_the_end_that_is_not_there_or_wrong_is_found(base: Base) {
    let scene = Scene::new(base).await;
    let behind = |noted| [(12, Trouble::HeadBehind { noted, found: 12 })];
    let at_9 =
        "UPDATE audit_head SET seq = 9, hash = (SELECT hash FROM audit WHERE {acme} AND seq = 9)
                WHERE {acme}";
    scene.tamper(at_9).await;
    assert_eq!(scene.found().await, behind(9));
    for statement in [
        "UPDATE audit_head SET seq = -5 WHERE {acme}",
        "UPDATE audit_head SET seq = 12, hash = {short} WHERE {acme}",
    ] {
        scene.tamper(statement).await;
        let history = history(&scene.checkpoints);
        let verdicts = scene.verdicts(&history).await;
        let found: Vec<&Trouble> = verdicts[0].findings.iter().map(|one| &one.trouble).collect();
        assert!(matches!(found[..], [Trouble::UnreadableHead { .. }]), "{found:?}");
        assert_eq!(verdicts[1].findings, [], "the others are checked all the same");
    }
    scene.tamper("DELETE FROM audit_head WHERE {acme}").await;
    assert_eq!(scene.found().await, behind(0));
}

async fn swapped_rows_are_found(base: Base) {
    let scene = Scene::new(base).await;
    scene
        .tamper(
            "UPDATE audit SET seq = -1 WHERE {acme} AND seq = 3;
             UPDATE audit SET seq = 3 WHERE {acme} AND seq = 6;
             UPDATE audit SET seq = 6 WHERE {acme} AND seq = -1;",
        )
        .await;
    let found = scene.found().await;
    assert!(found.contains(&(3, Trouble::Moved { from: 6 })), "{found:?}");
    assert!(found.contains(&(6, Trouble::Moved { from: 3 })), "{found:?}");
}

async fn a_chain_that_was_made_anew_is_caught_by_the_checkpoints(base: Base) {
    let scene = Scene::new(base).await;
    let mut entries = Vec::new();
    scene
        .base
        .with_store(async |store| {
            for stored in store.audit_trail(ACME, None, 100).await.unwrap() {
                let Stored::Read(chained) = stored else { panic!("it is whole") };
                entries.push(chained.record.entry);
            }
        })
        .await;
    // Entry 6 was never done, and all hashes fit.
    entries.remove(5);
    scene.tamper("DELETE FROM audit WHERE {acme}; DELETE FROM audit_head WHERE {acme}").await;
    make_anew(&scene, entries).await;

    let found = scene.found().await;
    let roots: Vec<u64> = found.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(roots, [8, 11], "{found:?}");
    assert!(found.iter().all(|(_, trouble)| matches!(trouble, Trouble::OtherRoot { .. })));
    // Without them nobody can tell.
    let blind = scene.verdicts(&CheckpointHistory::default()).await;
    assert_eq!(blind[0].findings, []);
}

/// As the store would write it, each with the head that its trigger would set.
async fn make_anew(scene: &Scene, entries: Vec<AuditEntry>) {
    let mut head = Head::EMPTY;
    for entry in entries {
        head = head.append(ACME, entry.clone()).unwrap().head();
        scene.base.with_store(async |store| store.record(ACME, entry).await.unwrap()).await;
        let (seq, hash) = (head.seq, scene.base.bytes(&head.hash.0));
        let set = format!(
            "INSERT INTO audit_head (tenant_id, seq, hash) VALUES ({{id}}, {seq}, {hash})
             ON CONFLICT (tenant_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash"
        );
        scene.tamper(&set).await;
    }
}

async fn a_row_of_another_tenant_is_found(base: Base) {
    let scene = Scene::new(base).await;
    scene
        .tamper(
            "DELETE FROM audit WHERE {acme} AND seq = 7;
             INSERT INTO audit (tenant_id, seq, prev_hash, hash, at, actor, action, subject, detail,
               correlation_id)
             SELECT {id}, seq, prev_hash, hash, at, actor, action, subject, detail, correlation_id
             FROM audit WHERE NOT {acme} AND seq = 7;",
        )
        .await;
    let found = scene.found().await;
    assert_eq!(found[0], (7, Trouble::Foreign { of: GLOBEX }), "{found:?}");
}

async fn a_replayed_checkpoint_is_found(base: Base) {
    let mut scene = Scene::new(base).await;
    let (first, of_acme_only) = (scene.checkpoints[0].clone(), scene.checkpoints[..3].to_vec());
    scene.checkpoints = [of_acme_only, vec![first]].concat();
    let replayed = history(&scene.checkpoints);
    let found: Vec<_> = replayed.findings().iter().map(place).collect();
    assert_eq!(found, [(4, Trouble::OlderCheckpoint { newer: 11 })]);
    // In the place of the newer ones it hides nothing that the newer ones were kept for elsewhere.
    let forged = scene.checkpoints[2].replace("\\n11\\n", "\\n10\\n");
    assert_ne!(forged, scene.checkpoints[2]);
    assert_eq!(history(&[forged]).bad_lines().len(), 1);
}

/// Each case on both databases.
macro_rules! tampered {
    ($($case:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(super::Base::file()).await;
                }
            )+
        }

        mod on_postgres {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(super::Base::postgres().await).await;
                }
            )+
        }
    };
}

tampered! {
    what_nobody_touched_is_fine,
    a_flipped_bit_is_found_wherever_it_is,
    a_deleted_row_is_found,
    a_cut_tail_is_found,
    a_row_before_the_first_is_found,
    a_note_of_the_end_that_is_not_there_or_wrong_is_found,
    swapped_rows_are_found,
    a_chain_that_was_made_anew_is_caught_by_the_checkpoints,
    a_row_of_another_tenant_is_found,
    a_replayed_checkpoint_is_found,
}
