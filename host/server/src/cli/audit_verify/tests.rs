//! The command as it is typed, on a file that was tampered with, and on exports.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use tombolo_core::audit::{Actor, AuditEntry, Checkpoint, Tree};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;
use tombolo_core::ports::checkpoints::Checkpoints;
use tombolo_core::ports::store::{Access, AuditTrail};
use tombolo_store::{SqliteSettings, SqliteStore};

use super::*;
use crate::checkpoint_file::CheckpointFile;
use crate::cli::tests::{Done, tombolo};
use crate::first_start;
use crate::system::System;

/// A data folder with a record of three entries and a checkpoint over them.
struct Scene {
    folder: TempDir,
    config: Config,
    tenant: TenantId,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data.dir = folder.path().to_owned();
        let file = format!("[data]\ndir = {:?}\n", folder.path().display().to_string());
        fs::write(folder.path().join("tombolo.toml"), file).unwrap();
        let database = config.data.database();
        let store = SqliteStore::open(&database, SqliteSettings::default()).await.unwrap();
        let tenant = first_start::tenant(&store).await.unwrap().id;
        let mut scene = Self { folder, config, tenant };
        for n in 0..3 {
            store.record(tenant, scene.entry(n)).await.unwrap();
        }
        scene.sign(&store).await;
        store.close().await;
        scene
    }

    fn entry(&self, n: i64) -> AuditEntry {
        AuditEntry {
            at: Timestamp(n),
            actor: Actor::command_line(),
            action: "token-created".to_owned(),
            subject: format!("tok_{n}"),
            detail: Value::Null,
            correlation_id: None,
        }
    }

    async fn sign(&mut self, store: &SqliteStore) {
        let (key, file) = (
            self.config.audit.key_file(&self.config.data),
            self.config.audit.file(&self.config.data),
        );
        let key = AuditKey::load_or_create(&key, &System).unwrap();
        let (file, _) = CheckpointFile::open(&file, &key.public_key()).unwrap();
        let mut tree = Tree::default();
        let leaves = store.audit_leaves(self.tenant, 0, 100).await.unwrap();
        leaves.into_iter().for_each(|(_, leaf)| tree.push(leaf));
        let signed = Checkpoint::of(self.tenant, &tree).sign(&key);
        file.keep(&signed, Timestamp(0)).await.unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn typed(&self, words: &[&str]) -> Done {
        let config = self.path("tombolo.toml").display().to_string();
        let words = [words, &["--config", &config]].concat();
        tombolo("http://127.0.0.1:1", &words).await
    }

    fn tamper(&self, statements: &str) {
        let dropped = "DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_deleted;";
        let file = rusqlite::Connection::open(self.config.data.database()).unwrap();
        file.execute_batch(&format!("{dropped} {statements}")).unwrap();
    }
}

#[tokio::test]
async fn a_record_that_nobody_touched_is_fine() {
    let scene = Scene::new().await;
    let done = scene.typed(&["audit", "verify"]).await;
    assert_eq!(done.ending.as_ref().unwrap(), &Ending::Fine, "{}", done.out);
    assert!(done.out.contains("3 entries, 1 checkpoint(s) fit"), "{}", done.out);
}

#[tokio::test]
async fn a_changed_entry_ends_with_1_and_says_where_and_what_it_means() {
    let scene = Scene::new().await;
    scene.tamper("UPDATE audit SET actor = 'host' WHERE seq = 2");
    let done = scene.typed(&["audit", "verify"]).await;
    assert_eq!(done.ending.as_ref().unwrap(), &Ending::Wrong);
    let place = format!("{}, entry 2: the content has another hash", scene.tenant);
    assert!(done.out.contains(&place) && done.out.contains("somebody changed"), "{}", done.out);

    let done = scene.typed(&["audit", "verify", "--json"]).await;
    let told: Value = serde_json::from_str(&done.out).unwrap();
    let finding = &told["records"][0]["findings"][0];
    assert_eq!((&told["fine"], &finding["seq"]), (&json!(false), &json!(2)));
    assert_eq!(finding["trouble"]["kind"], "altered");
}

#[tokio::test]
async fn an_export_is_checked_elsewhere_with_the_public_key() {
    let scene = Scene::new().await;
    let export = scene.path("export.jsonl").display().to_string();
    let done = scene.typed(&["audit", "export", "--output", &export]).await;
    assert!(done.notes.contains("3 entries, 1 to 3"), "{}", done.notes);
    let again = scene.typed(&["audit", "export", "--output", &export]).await;
    assert!(again.ending.is_err(), "it is not overwritten");
    let shown = scene.typed(&["audit", "export"]).await.out;
    assert_eq!(shown, fs::read_to_string(&export).unwrap());
    let key = scene.typed(&["audit", "key"]).await.out;

    // On a machine that has nothing else.
    let elsewhere = tempfile::tempdir().unwrap();
    let kept = elsewhere.path().join("kept.jsonl").display().to_string();
    fs::copy(scene.config.audit.file(&scene.config.data), &kept).unwrap();
    fs::remove_file(scene.config.audit.key_file(&scene.config.data)).unwrap();
    fs::remove_file(scene.config.data.database()).unwrap();
    let verify = ["audit", "verify", &export, "--checkpoints", &kept, "--key", key.trim()];
    assert_eq!(scene.typed(&verify).await.ending.unwrap(), Ending::Fine);

    let cut: Vec<&str> = shown.lines().take(2).collect();
    fs::write(&export, format!("{}\n", cut.join("\n"))).unwrap();
    let done = scene.typed(&verify).await;
    assert_eq!(done.ending.unwrap(), Ending::Wrong);
    assert!(done.out.contains("a signed checkpoint knows 3 entries, there are 2"), "{}", done.out);
    let without = scene.typed(&["audit", "verify", &export, "--checkpoints", &kept]).await;
    assert!(without.error().contains("--key"), "{}", without.error());
}

#[tokio::test]
async fn a_replayed_checkpoint_and_one_of_another_key_are_found() {
    let mut scene = Scene::new().await;
    let file = scene.config.audit.file(&scene.config.data);
    let first = fs::read_to_string(&file).unwrap();
    let database = scene.config.data.database();
    let store = SqliteStore::open(&database, SqliteSettings::default()).await.unwrap();
    store.record(scene.tenant, scene.entry(3)).await.unwrap();
    scene.sign(&store).await;
    store.close().await;
    fs::write(&file, format!("{}{first}", fs::read_to_string(&file).unwrap())).unwrap();
    let done = scene.typed(&["audit", "verify"]).await;
    assert_eq!(done.ending.as_ref().unwrap(), &Ending::Wrong);
    assert!(
        done.out.contains("checkpoint over 3: this checkpoint stands behind one over 4"),
        "{}",
        done.out
    );

    let other = AuditKey::load_or_create(&scene.path("other.key"), &System).unwrap();
    let key = other.public_key().to_string();
    let done = scene.typed(&["audit", "verify", "--key", &key]).await;
    assert_eq!(done.ending.unwrap(), Ending::Wrong);
    assert!(
        done.out.contains("checkpoints, line 1: nobody signed it with this key"),
        "{}",
        done.out
    );
}

#[tokio::test]
async fn without_checkpoints_it_says_what_is_not_found() {
    let scene = Scene::new().await;
    fs::remove_file(scene.config.audit.file(&scene.config.data)).unwrap();
    let done = scene.typed(&["audit", "verify"]).await;
    assert_eq!(done.ending.unwrap(), Ending::Fine);
    assert!(done.notes.contains("made anew is not found"), "{}", done.notes);
}
