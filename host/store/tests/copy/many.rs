//! A file with more rows than one transaction brings, and more runs than are compared one by one.

use futures_util::future::join_all;
use serde_json::json;
use tombolo_core::json::Json;
use tombolo_core::ports::store::{
    Accept, Lease, Next, Page, Reading, RunFilter, RunLog, Settle, StepRow,
};
use tombolo_core::run::RunState;
use tombolo_store::{Begin, CopyProgress, PostgresStore, copy};
use tombolo_test_postgres::Database;

use crate::look::go_on;
use crate::scene::{Home, Scene, after, ended, results, worker};
use crate::settings;

/// Runs of each of two tenants, and how many are accepted at once.
const RUNS: usize = 10_000;
const AT_ONCE: usize = 500;

/// Every so many-th run goes on.
const GOES_ON: usize = 50;

#[tokio::test]
async fn twenty_thousand_runs_come_in_bounded_parts() {
    let scene = Scene::new().await;
    let homes = [scene.home("acme").await, scene.home("globex").await];
    for part in 0..RUNS / AT_ONCE {
        for home in homes {
            fill(&scene, home, part).await;
        }
    }
    scene.close().await;
    let database = Database::fresh().await.unwrap();
    let (mut last, mut most) = (0, 0);
    let progress = |progress| match progress {
        CopyProgress::Rows { rows, .. } => {
            most = most.max(rows - last);
            last = rows;
        }
        CopyProgress::Table { .. } | CopyProgress::Comparing => last = 0,
    };

    let copied = copy(&scene.path(), settings(&database), Begin::Empty, progress).await.unwrap();

    assert!(copied.is_same(), "{copied:?}");
    assert_eq!(most, 2_000);
    let rows = |name| copied.tables.iter().find(|table| table.table == name).unwrap().rows;
    let runs = 2 * RUNS as u64;
    assert_eq!((rows("run"), rows("event"), rows("step")), (runs, runs, runs));
    assert!(rows("pack") > runs, "those of events, and of the runs that were settled");
    assert_eq!((copied.compared.runs, copied.compared.all_runs), (2_000, runs));
    assert_eq!((copied.compared.events, copied.compared.all_events), (2_000, runs));
    goes_on(&database, homes).await;
}

/// Events with runs of which most are done; the others are settled once.
async fn fill(scene: &Scene, home: Home, part: usize) {
    let events: Vec<Accept> = (0..AT_ONCE)
        .map(|n| {
            let number = part * AT_ONCE + n;
            let mut accept = scene.event(home, &number.to_string());
            let mut step = StepRow::pending("deal", 0);
            step.output = Some(Json::from_value(json!({ "number": number, "of": "many" })));
            accept.runs[0].steps = vec![step];
            accept.runs[0].lease = Some((worker("gone"), after(1_000)));
            accept
        })
        .collect();
    let leases: Vec<_> = events.iter().map(|event| event.runs[0].id).collect();
    scene.store.accept(events).await.unwrap();
    let settles = leases.into_iter().enumerate().map(|(n, run)| {
        let lease = Lease { run, owner: worker("gone"), epoch: 1 };
        let goes_on = n % GOES_ON == 0;
        let next = if goes_on { Next::Hold } else { ended(RunState::Succeeded) };
        let mut step = StepRow::pending("deal", 0);
        step.output = Some(Json::from_value(json!({ "of": run.to_string() })));
        let settle = results(home, &lease, next);
        scene.store.settle(Settle { steps: vec![step], ..settle })
    });
    for settled in join_all(settles).await {
        settled.unwrap();
    }
}

/// What new packs are called is not what the copied ones are.
async fn goes_on(database: &Database, homes: [Home; 2]) {
    let store = PostgresStore::open(settings(database)).await.unwrap();
    let due = go_on(&store, after(1_000)).await;
    assert_eq!(due.len(), 2 * RUNS / GOES_ON);
    for home in homes {
        let states = vec![RunState::Running, RunState::Queued];
        let filter = RunFilter { states, ..Default::default() };
        let page = Page { after: None, limit: 10 };
        assert!(store.runs(home.tenant, &filter, page).await.unwrap().is_empty());
    }
    store.close().await;
}
