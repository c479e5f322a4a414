//! The record of what people did, in the file: nothing changes it, and it is read without a store.

use tombolo_core::audit::{Actor, AuditEntry};
use tombolo_core::clock::Timestamp;
use tombolo_core::ports::store::{Access, AuditTrail, Reading};
use tombolo_store::{SqliteSettings, SqliteTrail};

use crate::{fresh, tenant};

/// An entry of tenant 1.
fn entry(n: i64) -> AuditEntry {
    AuditEntry {
        at: Timestamp(n),
        actor: Actor("token:tok_1".to_owned()),
        action: "step-redriven".to_owned(),
        subject: format!("run/steps/{n}"),
        detail: serde_json::json!({ "n": n }),
        correlation_id: None,
    }
}

#[tokio::test]
async fn an_entry_of_the_audit_goes_to_the_end_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (path, store) = fresh(&folder, SqliteSettings::default()).await;
    for n in 0..3 {
        store.record(tenant(), entry(n)).await.unwrap();
    }
    let file = rusqlite::Connection::open(&path).unwrap();
    for (statement, why) in [
        ("UPDATE audit SET actor = 'x'", "nothing changes an entry"),
        ("UPDATE OR REPLACE audit SET seq = 2 WHERE seq = 3", "nothing changes an entry"),
        ("DELETE FROM audit WHERE seq = 3", "nothing deletes an entry"),
        ("INSERT INTO audit SELECT * FROM audit WHERE seq = 3", "goes to the end"),
        ("INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE seq = 3", "goes to the end"),
        (
            "REPLACE INTO audit SELECT tenant_id, 4, prev_hash, hash, at, actor, action, subject,
               detail, correlation_id FROM audit WHERE seq = 3",
            "goes to the end",
        ),
        (
            "INSERT INTO audit SELECT tenant_id, 5, hash, hash, at, actor, action, subject, detail,
               correlation_id FROM audit WHERE seq = 3",
            "goes to the end",
        ),
        ("UPDATE audit_head SET seq = 2", "goes on by one"),
        ("UPDATE audit_head SET hash = zeroblob(32)", "goes on by one"),
        ("DELETE FROM audit_head", "nothing deletes the head"),
        ("REPLACE INTO audit_head SELECT tenant_id, 1, hash FROM audit_head", "has one head"),
    ] {
        let refused = file.execute(statement, []).unwrap_err().to_string();
        assert!(refused.contains(why), "{statement}: {refused}");
    }
    store.record(tenant(), entry(3)).await.unwrap();
    assert_eq!(store.audit(tenant(), 10, None).await.unwrap().len(), 4);
}

#[tokio::test]
async fn the_record_is_read_from_a_file_that_nobody_changes() {
    let folder = tempfile::tempdir().unwrap();
    let (path, store) = fresh(&folder, SqliteSettings::default()).await;
    store.record(tenant(), entry(0)).await.unwrap();

    // Beside the store, and after it.
    let beside = SqliteTrail::open(&path).await.unwrap();
    assert_eq!(beside.audit_trail(tenant(), None, 10).await.unwrap().len(), 1);
    store.record(tenant(), entry(1)).await.unwrap();
    assert_eq!(beside.audit_heads().await.unwrap()[0].1.seq, 2);
    store.close().await;
    let before = std::fs::read(&path).unwrap();
    let after = SqliteTrail::open(&path).await.unwrap();
    assert_eq!(after.tenant("acme").await, Ok(Some(tenant())));
    assert_eq!(after.tenants().await, Ok(vec![tenant()]));
    assert_eq!(after.audit_leaves(tenant(), 1, 10).await.unwrap().len(), 1);
    assert_eq!(std::fs::read(&path).unwrap(), before);

    let missing = SqliteTrail::open(&folder.path().join("none.db")).await;
    assert!(missing.is_err());
    assert!(!folder.path().join("none.db").exists());
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute("DELETE FROM _sqlx_migrations WHERE version >= 10", []).unwrap();
    let older = SqliteTrail::open(&path).await.unwrap_err().to_string();
    assert!(older.contains("another version"), "{older}");
}
