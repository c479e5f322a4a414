//! A key that is gone, or another one, stops the start before anything is lost.

use tombolo_core::clock::Clock;
use tombolo_core::id::ConnectionId;
use tombolo_core::ports::egress::{Auth, CallLimits, Connection};
use tombolo_core::ports::store::Catalog;
use tombolo_core::ports::vault::{SecretPlace, Vault};
use tombolo_core::secret::Secret;
use tombolo_store::{SqliteSettings, SqliteStore};

use super::{IfMissing, vault};
use crate::config::Config;
use crate::first_start;
use crate::system::System;

struct Scene {
    config: Config,
    store: SqliteStore,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data.dir = folder.path().to_owned();
        config.vault.key_env = "TOMBOLO_TEST_HAS_NO_SUCH_VARIABLE".to_owned();
        let store =
            SqliteStore::open(&config.data.database(), SqliteSettings::default()).await.unwrap();
        Self { config, store, _folder: folder }
    }

    /// The first start, and a connection whose secret is sealed under its key. The key's id.
    async fn with_a_secret(&self) -> String {
        let tenant = first_start::tenant(&self.store).await.unwrap().id;
        let vault = vault(&self.config, &self.store, IfMissing::Make).await.unwrap();
        let place = SecretPlace { tenant, connection: "crm", field: "bearer" };
        let connection = Connection {
            id: ConnectionId::new(&System),
            tenant,
            name: "crm".to_owned(),
            base_url: None,
            auth: Auth::Bearer { token: vault.seal(place, &Secret::new(b"s3cret".to_vec())) },
            signing: None,
            allowed_hosts: Vec::new(),
            limits: CallLimits::default(),
            updated_at: System.now(),
            paused: None,
        };
        self.store.put_connection(connection, None).await.unwrap();
        vault.current_key().to_string()
    }

    fn key_file(&self) -> std::path::PathBuf {
        self.config.vault.key_file(&self.config.data)
    }
}

#[tokio::test]
async fn the_first_start_makes_a_key_and_the_next_one_reads_it() {
    let scene = Scene::new().await;
    let first = scene.with_a_secret().await;
    let next = vault(&scene.config, &scene.store, IfMissing::Make).await.unwrap();
    assert_eq!(next.current_key().to_string(), first);
}

#[tokio::test]
async fn a_key_that_is_gone_is_not_replaced_while_a_secret_needs_it() {
    let mut scene = Scene::new().await;
    let first = scene.with_a_secret().await;
    std::fs::remove_file(scene.key_file()).unwrap();
    let error = vault(&scene.config, &scene.store, IfMissing::Make).await.unwrap_err().to_string();
    assert!(error.contains("the master key is gone"), "{error}");
    assert!(error.contains(&first) && error.contains("crm"), "{error}");
    assert!(!scene.key_file().exists(), "nothing is written");

    scene.config.vault.lost_keys = vec![first.clone()];
    let second = vault(&scene.config, &scene.store, IfMissing::Make).await.unwrap();
    assert_ne!(second.current_key().to_string(), first);
    assert!(scene.key_file().exists());
}

#[tokio::test]
async fn another_key_is_named_with_the_one_that_is_needed() {
    let scene = Scene::new().await;
    let first = scene.with_a_secret().await;
    std::fs::remove_file(scene.key_file()).unwrap();
    let other = tombolo_vault::MasterKey::create(&scene.key_file(), &System).unwrap();
    let error = vault(&scene.config, &scene.store, IfMissing::Make).await.unwrap_err().to_string();
    assert!(error.contains(&format!("another one ({})", other.id())), "{error}");
    assert!(error.contains(&first), "{error}");
}

#[tokio::test]
async fn without_secrets_a_key_may_be_made_anew() {
    let scene = Scene::new().await;
    vault(&scene.config, &scene.store, IfMissing::Make).await.unwrap();
    std::fs::remove_file(scene.key_file()).unwrap();
    vault(&scene.config, &scene.store, IfMissing::Make).await.unwrap();
    assert!(scene.key_file().exists());
}
