//! Copies that end before everything is there, and such that find a difference.

use std::cell::Cell;

use sqlx::Executor;
use tokio::sync::Notify;
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{Access, StoreError, Tenant};
use tombolo_store::{Begin, Copied, CopyError, CopyProgress, PostgresStore, copy};
use tombolo_test_postgres::Database;

use crate::look;
use crate::rows::everything;
use crate::scene::{NOW, Scene};
use crate::{copied, settings};

/// Copies until it was told something so many times, then does `then` while the copy stands still.
/// None if the copy was done before.
async fn at<T>(
    scene: &Scene,
    database: &Database,
    (begin, times): (Begin, u32),
    then: impl AsyncFnOnce() -> T,
) -> Option<(T, Result<Copied, CopyError>)> {
    let (count, reached) = (Cell::new(0), Notify::new());
    let path = scene.path();
    let progress = |_: CopyProgress| {
        count.set(count.get() + 1);
        if count.get() == times {
            reached.notify_one();
        }
    };
    let mut copy = std::pin::pin!(copy(&path, settings(database), begin, progress));
    tokio::select! {
        biased;
        () = reached.notified() => {}
        _ = &mut copy => return None,
    }
    let answer = then().await;
    Some((answer, copy.await))
}

/// The same, and the copy never goes on.
async fn cut_at(scene: &Scene, database: &Database, (begin, times): (Begin, u32)) -> bool {
    let (count, reached) = (Cell::new(0), Notify::new());
    let path = scene.path();
    let progress = |_: CopyProgress| {
        count.set(count.get() + 1);
        if count.get() == times {
            reached.notify_one();
        }
    };
    tokio::select! {
        biased;
        () = reached.notified() => true,
        copied = copy(&path, settings(database), begin, progress) => {
            assert!(copied.unwrap().is_same());
            false
        }
    }
}

async fn open_is_refused(database: &Database) {
    match PostgresStore::open(settings(database)).await {
        Err(StoreError::Refused(reason)) => {
            assert!(reason.contains("tombolo store copy --again"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

/// It was opened at the same moment, when there was no mark yet.
#[tokio::test]
async fn a_server_that_was_there_before_the_copy_does_not_begin_on_a_part_of_it() {
    let (scene, _) = everything().await;
    scene.close().await;
    let database = Database::fresh().await.unwrap();
    let server = PostgresStore::open(settings(&database)).await.unwrap();
    assert!(cut_at(&scene, &database, (Begin::Empty, 10)).await);

    for name in ["default", "acme"] {
        let tenant = Tenant { id: TenantId::new(&scene.ids), name: name.to_owned() };
        match server.ensure_tenant(tenant, NOW).await {
            Err(StoreError::Refused(reason)) => assert!(reason.contains("--again"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
    server.close().await;
    assert!(!cut_at(&scene, &database, (Begin::Again, u32::MAX)).await, "it goes to the end");
}

#[tokio::test]
async fn wherever_it_is_cut_off_it_is_refused_and_can_be_made_anew() {
    let (mut scene, homes) = everything().await;
    scene.close().await;
    let database = Database::fresh().await.unwrap();
    let (mut begin, mut times) = (Begin::Empty, 1);
    while cut_at(&scene, &database, (begin, times)).await {
        open_is_refused(&database).await;
        let refused = copied(&scene.path(), &database).await.unwrap_err();
        assert!(matches!(refused, CopyError::CutOff), "{refused:?}");
        (begin, times) = (Begin::Again, times + 3);
    }
    assert!(times > 40, "it was cut off in most tables, {times}");
    let store = PostgresStore::open(settings(&database)).await.unwrap();
    scene.reopen().await;
    for home in homes {
        let file = look::everything(&scene.store, home).await;
        assert_eq!(look::everything(&store, home).await, file);
    }
    store.close().await;
    let mut connection = database.connect().await.unwrap();
    let emptied = connection.execute("TRUNCATE audit").await;
    assert!(emptied.is_err(), "what guards the audit is there again");
}

#[tokio::test]
async fn while_one_is_made_another_is_refused() {
    let (scene, _) = everything().await;
    scene.close().await;
    let database = Database::fresh().await.unwrap();
    let second = async || {
        open_is_refused(&database).await;
        for begin in [Begin::Empty, Begin::Again] {
            let second = copy(&scene.path(), settings(&database), begin, |_| {}).await;
            assert!(matches!(second, Err(CopyError::UnderWay)), "{second:?}");
        }
    };
    let (_, first) = at(&scene, &database, (Begin::Empty, 9), second).await.unwrap();
    assert!(first.unwrap().is_same());
    PostgresStore::open(settings(&database)).await.unwrap().close().await;
}

#[tokio::test]
async fn what_differs_is_named_and_the_database_stays_refused() {
    let (scene, _) = everything().await;
    scene.close().await;
    for (change, table) in [
        ("UPDATE step SET attempt = attempt + 1 WHERE node = 'long'", None),
        ("UPDATE event SET source = 'hook:other' WHERE source = 'hook:deals'", None),
        ("DELETE FROM throttle", Some("throttle")),
    ] {
        let database = Database::fresh().await.unwrap();
        let differ = async || {
            // The superuser's connection sees the rows of all tenants.
            let changed = database.look().await.unwrap().execute(change).await.unwrap();
            assert!(changed.rows_affected() > 0, "{change}");
        };
        // When all tables are there.
        let times = told(&scene).await;
        let (_, copied) = at(&scene, &database, (Begin::Empty, times), differ).await.unwrap();
        let copied = copied.unwrap();
        assert!(!copied.is_same());
        let counted = copied.tables.iter().filter(|table| table.rows != table.found);
        let counted: Vec<&str> = counted.map(|table| table.table).collect();
        assert_eq!(counted, Vec::from_iter(table), "{change}");
        assert_eq!(copied.different.is_empty(), table.is_some(), "{change}: {copied:?}");
        assert!(copied.different.len() <= 20);
        open_is_refused(&database).await;
    }
}

/// How often a whole copy tells something.
async fn told(scene: &Scene) -> u32 {
    let database = Database::fresh().await.unwrap();
    let mut times = 0;
    let progress = |_| times += 1;
    copy(&scene.path(), settings(&database), Begin::Empty, progress).await.unwrap();
    times
}
