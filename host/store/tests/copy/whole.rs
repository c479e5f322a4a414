//! What was copied.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use tombolo_core::audit::{Stored, Trail};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{EventId, RunId};
use tombolo_core::ports::store::{Accept, Added, RunLimits, RunLog, Store};
use tombolo_store::{Begin, Compared, CopyError, CopyProgress, copy};
use tombolo_test_postgres::Database;
use uuid::Uuid;

use crate::look::{self, go_on};
use crate::rows::{everything, lane, plugin};
use crate::scene::{FAR, Home, Scene, after, deed};
use crate::{settings, whole};

/// Both databases show the same.
async fn assert_same(here: &dyn Store, there: &dyn Store, homes: &[Home]) {
    for home in homes {
        let (here, there) = (look::everything(here, *home), look::everything(there, *home));
        let (here, there) = (here.await, there.await);
        for (here, there) in here.iter().zip(&there) {
            assert_eq!(here, there);
        }
        assert_eq!(here.len(), there.len());
    }
}

#[tokio::test]
async fn every_table_has_rows_and_they_are_counted_and_told() {
    let (scene, _) = everything().await;
    scene.close().await;
    let database = Database::fresh().await.unwrap();
    let mut told: BTreeMap<&str, u64> = BTreeMap::new();
    let mut comparing = 0;
    let progress = |progress| match progress {
        CopyProgress::Rows { table, rows } => drop(told.insert(table, rows)),
        CopyProgress::Table { table, rows } => assert_eq!(told.get(table), Some(&rows)),
        CopyProgress::Comparing => comparing += 1,
    };

    let copied = copy(&scene.path(), settings(&database), Begin::Empty, progress).await.unwrap();

    assert!(copied.is_same(), "{copied:?}");
    assert_eq!((comparing, told.len()), (1, copied.tables.len()));
    for table in &copied.tables {
        assert!(table.rows > 0, "{table:?}");
        assert_eq!((table.found, told[table.table]), (table.rows, table.rows));
    }
    let rows = |name| copied.tables.iter().find(|table| table.table == name).unwrap().rows;
    let (runs, events) = (rows("run"), rows("event"));
    assert_eq!(copied.compared, Compared { runs, all_runs: runs, events, all_events: events });
}

#[tokio::test]
async fn it_reads_the_same_and_goes_on_the_same() {
    let (mut scene, homes) = everything().await;
    scene.close().await;
    let database = Database::fresh().await.unwrap();
    let copy = whole(&scene.path(), &database).await;
    scene.reopen().await;
    let file = &scene.store;

    assert_same(file, &copy, &homes).await;
    for home in homes {
        assert_eq!(look::connections(file, home).await, look::connections(&copy, home).await);
        // Where its entries stand, and their hashes.
        let record = trail(file, home).await;
        assert_eq!(record, trail(&copy, home).await);
    }
    assert_eq!(token(file).await, token(&copy).await);

    assert_news(&scene, &copy, homes[0]).await;
    assert_same(file, &copy, &homes).await;
    // Hastens what waits for its turn, and nothing that waits for a time.
    let jump = (after(3_000), after(-1_000));
    let hastened = file.set_back(jump.0, jump.1).await.unwrap();
    assert_eq!(copy.set_back(jump.0, jump.1).await.unwrap(), hastened);
    assert_same(file, &copy, &homes).await;
    // What waits for a place or a time; then everything, as its workers are gone.
    assert_go_on(file, &copy, after(40_000)).await;
    assert_same(file, &copy, &homes).await;
    let late = Timestamp(FAR.0 - 1);
    take_over(file, late).await;
    assert_go_on(file, &copy, late).await;
    assert_same(file, &copy, &homes).await;
    assert_eq!(forget(file, &homes).await, forget(&copy, &homes).await);
    assert_same(file, &copy, &homes).await;
    trail(&copy, homes[0]).await;
    // A run's packs go with it, those from before and those from here.
    assert_eq!(packs_of_file(&scene), packs(&database).await);
    copy.close().await;
}

/// The record of a tenant, which is whole.
async fn trail(store: &dyn Store, home: Home) -> Vec<Stored> {
    let entries = store.audit_trail(home.tenant, None, 1_000).await.unwrap();
    let mut walk = Trail::new(home.tenant, BTreeMap::new(), Vec::new());
    entries.iter().cloned().for_each(|entry| walk.read(entry));
    let heads = store.audit_heads().await.unwrap();
    let verdict = walk.end(None);
    assert!(verdict.findings.is_empty(), "{verdict:?}");
    assert!(heads.contains(&(home.tenant, verdict.head)), "{heads:?}");
    entries
}

fn packs_of_file(scene: &Scene) -> i64 {
    let file = rusqlite::Connection::open(scene.path()).unwrap();
    file.query_row("SELECT count(*) FROM pack", [], |row| row.get(0)).unwrap()
}

async fn packs(database: &Database) -> i64 {
    let mut look = database.look().await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM pack").fetch_one(&mut look).await.unwrap()
}

/// Both databases give the same runs to whoever claims.
async fn assert_go_on(here: &dyn Store, there: &dyn Store, now: Timestamp) {
    let (here, there) = (go_on(here, now).await, go_on(there, now).await);
    assert!(!here.is_empty());
    for (here, there) in here.iter().zip(&there) {
        assert_eq!(here, there);
    }
    assert_eq!(here.len(), there.len());
}

async fn take_over(store: &dyn Store, now: Timestamp) {
    store.take_over(now).await.unwrap();
}

/// The first tenant and its token.
async fn token(store: &dyn Store) -> impl PartialEq + std::fmt::Debug + use<> {
    let tenant = store.tenant("acme").await.unwrap();
    let other = store.tenant("glo\u{0}bex").await.unwrap().map(|tenant| tenant.id);
    let mut hash = [0; 32];
    // The second id that was given.
    hash[15] = 2;
    let token = store.token(hash).await.unwrap();
    assert!(token.is_some());
    (tenant, other, token)
}

/// What is known is known, and what is new is counted on from what was.
async fn assert_news(scene: &Scene, copy: &dyn Store, home: Home) {
    let file: &dyn Store = &scene.store;
    let known = ["a\u{0}b", "loose", "lane 1", "singleton 1"];
    let mut again: Vec<Accept> = known.iter().map(|key| scene.event(home, key)).collect();
    again[0].event.source = "hook:\u{0}deals".to_owned();
    again.push(scene.event(home, &format!("sha256:{}", "0a".repeat(32))));
    let (here, there) = (file.accept(again.clone()), copy.accept(again.clone()));
    let (here, there) = (here.await.unwrap(), there.await.unwrap());
    assert_eq!(here, there);
    assert_eq!(here.len(), known.len() + 1);
    for store in [file, copy] {
        store.accept(numbered(scene, home, 0..3)).await.unwrap();
        let component = Bytes::from_static(b"newer");
        // At the same time as the one before, so that the number says which is newer.
        let plugin = plugin(home, ("hubspot", "1.1.0"), component, 0);
        assert_eq!(store.add_plugin(plugin).await.unwrap(), Added::New);
        store.record(home.tenant, deed(after(9), "news")).await.unwrap();
    }
}

/// New events that are the same however often they are made, whose runs wait behind others.
fn numbered(scene: &Scene, home: Home, numbers: Range<u128>) -> Vec<Accept> {
    let new = |number: u128| {
        let id = Uuid::from_u128(1_000_000 + number);
        let mut accept = scene.event(home, &format!("news {number}"));
        accept.event.id = EventId(id);
        accept.runs[0].id = RunId(id);
        accept.runs[0].flow = RunLimits { lanes: vec![lane("one")], ..RunLimits::default() };
        accept
    };
    numbers.map(new).collect()
}

/// Forgets all runs that may be forgotten, and what only they needed.
async fn forget(store: &dyn Store, homes: &[Home]) -> Vec<u64> {
    let mut gone = Vec::new();
    for home in homes {
        gone.push(store.forget((home.tenant, home.workflow), FAR, 1_000).await.unwrap());
    }
    gone.push(store.forget_events(FAR, 1_000).await.unwrap());
    gone.push(store.forget_waits(1_000).await.unwrap());
    gone.push(store.sweep_payloads(None, 1_000).await.unwrap().deleted);
    assert!(gone[0] > 0, "{gone:?}");
    gone
}

#[tokio::test]
async fn a_second_copy_is_refused() {
    let (scene, homes) = everything().await;
    scene.close().await;
    let database = Database::fresh().await.unwrap();
    let copy_of = whole(&scene.path(), &database).await;
    let before = look::everything(&copy_of, homes[0]).await;
    for begin in [Begin::Empty, Begin::Again] {
        let second = copy(&scene.path(), settings(&database), begin, |_| {}).await;
        assert!(matches!(second, Err(CopyError::NotEmpty)), "{second:?}");
    }
    assert_eq!(look::everything(&copy_of, homes[0]).await, before);
    copy_of.close().await;
}
