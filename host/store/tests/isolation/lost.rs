//! Connections that the server has closed, which whoever asks next finds in the pool.

use futures_util::future::try_join_all;
use tombolo_core::ports::store::{Page, Reading, RunFilter, RunLog};

use crate::world::{World, claim};

/// Calls at the same time: more than there are connections.
const CALLS: usize = 16;

/// Ends the sessions of the store, and gives how many there were.
const END: &str = "SELECT count(*) FILTER (WHERE ended) FROM (
      SELECT pg_terminate_backend(pid, 10000) AS ended FROM pg_stat_activity
      WHERE application_name = 'tombolo' AND datname = current_database()) sessions";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fail_no_call_that_comes_after() {
    let world = World::new().await;
    let owner = world.owner("a").await;
    let (store, mut connection) = (&world.store, world.database.connect().await.unwrap());
    let (every, page) = (RunFilter::default(), Page { after: None, limit: 100 });
    let read = async || {
        let calls = (0..CALLS).map(|_| store.runs(owner.tenant, &every, page));
        try_join_all(calls).await.unwrap().swap_remove(0).len()
    };
    let mut lose = async || {
        read().await;
        let ended: i64 = sqlx::query_scalar(END).fetch_one(&mut connection).await.unwrap();
        assert!(ended > 1, "{ended} connections");
    };

    lose().await;
    assert_eq!(read().await, 0);
    lose().await;
    store.accept(vec![owner.event("late")]).await.unwrap();
    lose().await;
    assert_eq!(store.claim(claim(8)).await.unwrap().len(), 1);
    lose().await;
    try_join_all((0..CALLS).map(|_| store.time())).await.unwrap();
    lose().await;
    try_join_all((0..CALLS).map(|_| store.ping())).await.unwrap();
}
