//! Whoever can write the file can write anything into it. What of that is found, and where.

use std::path::PathBuf;

use rusqlite::{Connection, params};
use tempfile::TempDir;
use tombolo_core::audit::{
    Actor, CheckpointHistory, CheckpointRule, Finding, Head, Moment, Signing, Stored, Trouble,
    Verdict, Witness,
};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{Access, AuditTrail, Tenant};
use tombolo_engine::verify_record;
use tombolo_store::{SqliteSettings, SqliteStore, SqliteTrail};
use uuid::Uuid;

use super::{Key, entry, history};

const ACME: TenantId = TenantId(Uuid::from_u128(1));
const GLOBEX: TenantId = TenantId(Uuid::from_u128(2));
const ENTRIES: i64 = 12;

/// A file with two records of twelve entries each, of which checkpoints were kept over 4, 8 and 11.
struct Scene {
    _folder: TempDir,
    path: PathBuf,
    checkpoints: Vec<String>,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tombolo.db");
        let store = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap();
        let mut checkpoints = Vec::new();
        for (tenant, name) in [(ACME, "acme"), (GLOBEX, "globex")] {
            let named = Tenant { id: tenant, name: name.to_owned() };
            store.ensure_tenant(named, Timestamp(0)).await.unwrap();
            let mut signing = Signing::new(tenant, None);
            for n in 1..=ENTRIES {
                let mut entry = entry(n);
                entry.actor = Actor(name.to_owned());
                store.record(tenant, entry).await.unwrap();
                if [4, 8, 11].contains(&n) {
                    checkpoints.push(sign(&store, &mut signing, tenant).await);
                }
            }
        }
        store.close().await;
        Self { _folder: folder, path, checkpoints }
    }

    /// Whoever tampers begins with the triggers.
    fn tamper(&self, statements: &str) {
        let file = Connection::open(&self.path).unwrap();
        let triggers: Vec<String> = file
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        for trigger in triggers {
            file.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
        }
        file.execute_batch(statements).unwrap();
    }

    async fn verdicts(&self, history: &CheckpointHistory) -> Vec<Verdict> {
        let trail = SqliteTrail::open(&self.path).await.unwrap();
        let tenants = trail.tenants().await.unwrap();
        verify_record(&trail, tenants, history).await.unwrap()
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

async fn sign(store: &dyn AuditTrail, signing: &mut Signing, tenant: TenantId) -> String {
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

const OF_ACME: &str = "tenant_id = x'00000000000000000000000000000001'";

fn of_acme(statement: &str) -> String {
    statement.replace("{acme}", OF_ACME)
}

#[tokio::test]
async fn a_file_that_nobody_touched_is_fine() {
    let scene = Scene::new().await;
    let verdicts = scene.verdicts(&history(&scene.checkpoints)).await;
    for verdict in verdicts {
        assert_eq!(verdict.findings, []);
        assert_eq!((verdict.entries, verdict.roots_checked), (12, 3));
    }
}

#[tokio::test]
async fn a_flipped_bit_is_found_wherever_it_is() {
    for column in ["actor", "action", "subject", "detail", "correlation_id"] {
        let scene = Scene::new().await;
        // The last bit of the last letter, or of the one before the bracket of an object.
        let flip = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            let at = bytes.len() - if column == "detail" { 3 } else { 1 };
            bytes[at] ^= 1;
            String::from_utf8(bytes).unwrap()
        };
        let file = Connection::open(&scene.path).unwrap();
        let select = of_acme(&format!("SELECT {column} FROM audit WHERE {{acme}} AND seq = 6"));
        let before: String = file.query_row(&select, [], |row| row.get(0)).unwrap();
        scene.tamper("");
        let update = of_acme(&format!("UPDATE audit SET {column} = ? WHERE {{acme}} AND seq = 6"));
        file.execute(&update, params![flip(&before)]).unwrap();
        drop(file);
        assert_eq!(scene.found().await, [(6, Trouble::Altered)], "{column}");
    }
    for (column, found) in [("at", Trouble::Altered), ("hash", Trouble::Altered)] {
        let scene = Scene::new().await;
        let flipped = match column {
            "at" => "at ^ 1",
            _ => "unhex(replace(hex(hash), substr(hex(hash), 1, 8), '00000000'))",
        };
        let flipped = flipped.replace("at ^ 1", "(at | 1) - (at & 1)");
        let update = format!("UPDATE audit SET {column} = {flipped} WHERE {{acme}} AND seq = 6");
        scene.tamper(&of_acme(&update));
        assert!(scene.found().await.contains(&(6, found)), "{column}");
    }
    let scene = Scene::new().await;
    scene.tamper(&of_acme("UPDATE audit SET detail = '{' WHERE {acme} AND seq = 6"));
    let found = scene.found().await;
    assert!(matches!(&found[..], [(6, Trouble::Unreadable { .. })]), "{found:?}");
}

#[tokio::test]
async fn a_deleted_row_is_found() {
    let scene = Scene::new().await;
    scene.tamper(&of_acme("DELETE FROM audit WHERE {acme} AND seq IN (5, 6)"));
    assert_eq!(scene.found().await, [(5, Trouble::Missing { first: 5, last: 6 })]);
}

#[tokio::test]
async fn a_cut_tail_is_found() {
    let cut = |known, found, by| (found + 1, Trouble::CutTail { known, found, by });
    let scene = Scene::new().await;
    scene.tamper(&of_acme("DELETE FROM audit WHERE {acme} AND seq > 9"));
    let both = [cut(12, 9, Witness::Head), cut(11, 9, Witness::Checkpoint)];
    assert_eq!(scene.found().await, both);
    // Whoever cuts knows of the head, too.
    scene.tamper(&of_acme(
        "UPDATE audit_head SET seq = 9, hash = (SELECT hash FROM audit WHERE {acme} AND seq = 9)
         WHERE {acme}",
    ));
    assert_eq!(scene.found().await, [cut(11, 9, Witness::Checkpoint)]);
    scene.tamper(&of_acme("DELETE FROM audit WHERE {acme}; DELETE FROM audit_head WHERE {acme}"));
    assert_eq!(scene.found().await, [cut(11, 0, Witness::Checkpoint)]);
}

#[tokio::test]
async fn swapped_rows_are_found() {
    let scene = Scene::new().await;
    scene.tamper(&of_acme(
        "UPDATE audit SET seq = -1 WHERE {acme} AND seq = 3;
         UPDATE audit SET seq = 3 WHERE {acme} AND seq = 6;
         UPDATE audit SET seq = 6 WHERE {acme} AND seq = -1;",
    ));
    let found = scene.found().await;
    assert!(found.contains(&(3, Trouble::Moved { from: 6 })), "{found:?}");
    assert!(found.contains(&(6, Trouble::Moved { from: 3 })), "{found:?}");
}

#[tokio::test]
async fn a_chain_that_was_made_anew_is_caught_by_the_checkpoints() {
    let scene = Scene::new().await;
    let trail = SqliteTrail::open(&scene.path).await.unwrap();
    let mut entries = Vec::new();
    for stored in trail.audit_trail(ACME, 0, 100).await.unwrap() {
        let Stored::Read(chained) = stored else { panic!("it is whole") };
        entries.push(chained.record.entry);
    }
    drop(trail);
    // Entry 6 was never done, and all hashes fit.
    entries.remove(5);
    scene.tamper(&of_acme("DELETE FROM audit WHERE {acme}; DELETE FROM audit_head WHERE {acme}"));
    let store = SqliteStore::open(&scene.path, SqliteSettings::default()).await.unwrap();
    let mut head = Head::EMPTY;
    for entry in entries {
        head = head.append(ACME, entry.clone()).unwrap().head();
        write_anew(&scene, head, &store, entry).await;
    }
    store.close().await;

    let found = scene.found().await;
    let roots: Vec<u64> = found.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(roots, [8, 11], "{found:?}");
    assert!(found.iter().all(|(_, trouble)| matches!(trouble, Trouble::OtherRoot { .. })));
    // Without them nobody can tell.
    let blind = scene.verdicts(&CheckpointHistory::default()).await;
    assert_eq!(blind[0].findings, []);
}

/// As the store would write it, with the head that its trigger would set.
async fn write_anew(
    scene: &Scene,
    head: Head,
    store: &SqliteStore,
    entry: tombolo_core::audit::AuditEntry,
) {
    store.record(ACME, entry).await.unwrap();
    let file = Connection::open(&scene.path).unwrap();
    let id = ACME.0.as_bytes().as_slice();
    file.execute(
        "INSERT OR REPLACE INTO audit_head VALUES (?, ?, ?)",
        params![id, head.seq.cast_signed(), head.hash.0.as_slice()],
    )
    .unwrap();
}

#[tokio::test]
async fn a_row_of_another_tenant_is_found() {
    let scene = Scene::new().await;
    scene.tamper(&of_acme(
        "DELETE FROM audit WHERE {acme} AND seq = 7;
         INSERT INTO audit SELECT x'00000000000000000000000000000001', seq, prev_hash, hash, at, actor,
           action, subject, detail, correlation_id FROM audit WHERE NOT {acme} AND seq = 7;",
    ));
    let found = scene.found().await;
    assert_eq!(found[0], (7, Trouble::Foreign { of: GLOBEX }), "{found:?}");
}

#[tokio::test]
async fn a_replayed_checkpoint_is_found() {
    let mut scene = Scene::new().await;
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
