//! What is not copied, and what the refusal says.

use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{Access, Tenant};
use tombolo_store::{CopyError, PostgresStore};
use tombolo_test_postgres::Database;

use crate::scene::{NOW, Scene};
use crate::{copied, settings, whole};

#[tokio::test]
async fn a_file_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tombolo.db");
    let database = Database::fresh().await.unwrap();
    let refused = copied(&path, &database).await.unwrap_err();
    assert!(matches!(refused, CopyError::NoFile(_)), "{refused:?}");
    assert!(refused.to_string().contains("tombolo.db; type this"), "{refused}");
    assert!(!path.exists(), "nothing is made");
}

#[tokio::test]
async fn a_database_that_has_a_tenant() {
    let scene = Scene::new().await;
    scene.home("acme").await;
    scene.close().await;
    let database = Database::fresh().await.unwrap();
    let store = PostgresStore::open(settings(&database)).await.unwrap();
    let tenant = Tenant { id: TenantId::new(&scene.ids), name: "default".to_owned() };
    store.ensure_tenant(tenant.clone(), NOW).await.unwrap();

    let refused = copied(&scene.path(), &database).await.unwrap_err();

    assert!(matches!(refused, CopyError::NotEmpty), "{refused:?}");
    assert_eq!(store.tenant("default").await.unwrap(), Some(tenant));
    assert_eq!(store.tenant("acme").await.unwrap(), None);
    store.close().await;
}

#[tokio::test]
async fn a_file_without_tenants_leaves_an_empty_database() {
    let scene = Scene::new().await;
    scene.close().await;
    let database = Database::fresh().await.unwrap();
    whole(&scene.path(), &database).await.close().await;
    // So it may be copied to again.
    scene_with_tenant(&database).await;
}

async fn scene_with_tenant(database: &Database) {
    let scene = Scene::new().await;
    let home = scene.home("acme").await;
    scene.close().await;
    let copy = whole(&scene.path(), database).await;
    assert_eq!(copy.tenant("acme").await.unwrap().map(|found| found.id), Some(home.tenant));
    copy.close().await;
}
