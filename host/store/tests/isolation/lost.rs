//! What a crash of the server leaves: connections that are closed, which whoever asks next finds in the
//! pool, and claims that are taken back.

use futures_util::future::try_join_all;
use sqlx::{AssertSqlSafe, Executor};
use tombolo_core::ports::store::{Accepted, Claim, Page, Reading, RunFilter, RunLog, StoreError};
use tombolo_core::run::RunState;

use crate::world::{World, after, claim, ended, readable};

/// Calls at the same time: more than there are connections.
const CALLS: usize = 16;

/// Ends the sessions of the store, and gives how many there were. One that sleeps is the last.
const END: &str = "SELECT count(*) FILTER (WHERE ended) FROM (
      SELECT pg_terminate_backend(pid, 10000) AS ended FROM pg_stat_activity
      WHERE application_name = 'tombolo' AND datname = current_database()
      ORDER BY coalesce(wait_event, '') = 'PgSleep') sessions";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_connections_fail_no_call_that_comes_after() {
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

/// A claim's commit is not waited for. What a crash of the server takes back is as if it had not been, and
/// the same worker may have the run again: what it had found before is refused all the same.
#[tokio::test]
async fn a_claim_that_a_crash_took_back_is_fenced_from_the_one_after_it() {
    let world = World::new().await;
    let owner = world.owner("a").await;
    world.store.accept(vec![owner.event("1")]).await.unwrap();
    let mut look = world.database.look().await.unwrap();
    let before: (i64, i64, i64) =
        sqlx::query_as("SELECT lease_epoch, claims, available_at FROM queue")
            .fetch_one(&mut look)
            .await
            .unwrap();
    let claimed = async |at: i64| {
        let claim = Claim { now: after(at), ..claim(1) };
        readable(world.store.claim(claim).await.unwrap().remove(0)).lease
    };
    let lost = claimed(1).await;
    sqlx::query(
        "UPDATE queue SET lease_epoch = $1, claims = $2, available_at = $3, lease_owner = NULL",
    )
    .bind(before.0)
    .bind(before.1)
    .bind(before.2)
    .execute(&mut look)
    .await
    .unwrap();
    let again = claimed(2).await;
    assert_eq!((&again.run, &again.owner), (&lost.run, &lost.owner));

    let late = world.store.settle(owner.results(&lost, ended(RunState::Failed))).await;
    assert_eq!(late, Err(StoreError::LeaseLost { run: lost.run }));
    world.store.settle(owner.results(&again, ended(RunState::Succeeded))).await.unwrap();
}

/// The connection ends within the commit, and nobody is let in to ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_nobody_can_ask_about_is_said_to_be_unknown() {
    const COMMITS_LAST: &str = "CREATE FUNCTION last() RETURNS trigger LANGUAGE plpgsql AS
          'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER last AFTER INSERT ON event DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION last()";
    const IN_COMMIT: &str = "SELECT count(*) FROM pg_stat_activity
        WHERE wait_event = 'PgSleep' AND datname = current_database()";
    let world = World::new().await;
    let owner = world.owner("a").await;
    let (database, store) = (&world.database, &world.store);
    let mut look = database.look().await.unwrap();
    let mut admin = database.admin().await.unwrap();
    look.execute(sqlx::raw_sql(COMMITS_LAST)).await.unwrap();
    let mut allow = async |allowed: bool| {
        let statement = format!("ALTER DATABASE {} ALLOW_CONNECTIONS {allowed}", database.name());
        admin.execute(AssertSqlSafe(statement)).await.unwrap();
    };
    let cut = async {
        let mut looks = 0;
        while sqlx::query_scalar::<_, i64>(IN_COMMIT).fetch_one(&mut look).await.unwrap() == 0 {
            looks += 1;
            assert!(looks < 100_000, "nobody commits");
        }
        allow(false).await;
        look.execute(END).await.unwrap();
    };
    let (accepted, ()) = tokio::join!(store.accept(vec![owner.event("1")]), cut);
    assert!(matches!(accepted, Err(StoreError::Unknown(_))), "{accepted:?}");

    allow(true).await;
    look.execute("DROP TRIGGER last ON event").await.unwrap();
    let again = store.accept(vec![owner.event("1")]).await.unwrap();
    assert!(matches!(again[..], [Accepted::New { .. }]), "it had not been made: {again:?}");
}
