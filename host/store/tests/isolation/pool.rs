//! Connections that go from tenant to tenant carry nothing over, whoever lets go in the middle.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::{join_all, poll_fn};
use sqlx::Executor;
use tombolo_core::ports::store::{Access, Catalog, Page, Reading, RunFilter, RunLog};
use tombolo_core::run::RunState;
use tombolo_store::{PostgresSettings, PostgresStore};

use crate::everything::{audit, connection};
use crate::world::{Owner, World, ended, owner};

const TENANTS: usize = 20;

/// Rounds of calls for each tenant.
const ROUNDS: usize = 30;

/// In place of the server's clock, which the store asks outside of transactions: notes what the
/// connection is bound to.
const WITNESS: &str = "
    CREATE TABLE witness (pid int, tenant text, scope text);
    CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO witness VALUES (pg_backend_pid(), current_setting('app.tenant_id', true),
        current_setting('app.scope', true));
      RETURN pg_catalog.clock_timestamp();
    END $$";

#[derive(Debug, Default)]
struct Counts {
    answered: AtomicUsize,
    dropped: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn carry_no_tenant_over() {
    let world = World::new().await;
    world.store.close().await;
    world.database.connect().await.unwrap().execute(WITNESS).await.unwrap();
    // The witness is found before the server's own function.
    let url = format!("{}?options=-csearch_path%3Dpublic%2Cpg_catalog", world.database.url());
    let settings = PostgresSettings { connections: 3, writers: 1, ..PostgresSettings::new(url) };
    let store = PostgresStore::open(settings).await.unwrap();
    let mut owners = Vec::new();
    for n in 0..TENANTS {
        owners.push(owner(&store, &format!("tenant-{n}")).await);
    }
    let counts = Counts::default();
    join_all(owners.iter().enumerate().map(|(n, owner)| calls(&store, owner, n, &counts))).await;

    let mut connection = world.database.connect().await.unwrap();
    let (mut seen, mut looks) = (0_i64, 0);
    while seen < 2 {
        join_all((0..8).map(|_| store.time())).await;
        seen = sqlx::query_scalar("SELECT count(DISTINCT pid) FROM witness")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        looks += 1;
        assert!(looks < 100, "{seen} of 2 connections were seen");
    }
    let bound: Vec<(Option<String>, Option<String>)> =
        sqlx::query_as("SELECT DISTINCT tenant, scope FROM witness")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let is_nobody = |setting: &Option<String>| setting.as_deref().is_none_or(str::is_empty);
    assert!(bound.iter().all(|(tenant, scope)| is_nobody(tenant) && is_nobody(scope)), "{bound:?}");
    let states: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT state FROM pg_stat_activity
         WHERE application_name = 'tombolo' AND datname = current_database()",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(states, ["idle"], "and not within a transaction");
    store.close().await;
    let (answered, dropped) = (counts.answered.into_inner(), counts.dropped.into_inner());
    assert!(answered > TENANTS * ROUNDS && dropped > TENANTS * ROUNDS, "{answered}, {dropped}");
    println!(
        "isolation: {answered} calls answered and {dropped} dropped, on 2 connections and a writer's"
    );
}

/// Calls of one tenant, some of which are dropped after so many polls.
async fn calls(store: &PostgresStore, owner: &Owner, n: usize, counts: &Counts) {
    let Owner { tenant, .. } = *owner;
    let page = Page { after: None, limit: 100 };
    let every = RunFilter::default();
    let mut known = Vec::new();
    for round in 0..ROUNDS {
        let polls = (n + round) % 7;
        let (accept, lease) = owner.leased(&format!("{round}"));
        known.push(accept.event.correlation_id.clone());
        store.accept(vec![accept]).await.unwrap();
        let (failed, name) = (ended(RunState::Failed), format!("connection-{n}"));
        let settled = drops(store.settle(owner.results(&lease, failed)), polls, counts).await;
        drops(store.put_connection(connection(owner, &name), None), polls, counts).await;
        drops(store.record(tenant, audit(&name)), polls, counts).await;
        drops(store.request_cancel(tenant, lease.run, None), polls, counts).await;
        drops(store.runs(tenant, &every, page), polls, counts).await;
        drops(store.next_due(), polls, counts).await;
        // Outside of a transaction: the witness sees what the call before has left.
        store.time().await.unwrap();

        let runs = store.runs(tenant, &every, page).await.unwrap();
        assert_eq!(runs.len(), round + 1);
        assert!(runs.iter().all(|run| run.run.tenant == tenant));
        let connections = store.connections(tenant).await.unwrap();
        assert!(connections.iter().all(|one| one.tenant == tenant && one.name == name));
        let audited = store.audit(tenant, 100, None).await.unwrap();
        assert!(audited.iter().all(|(_, entry)| entry.subject == name));
        let view = store.run(tenant, lease.run).await.unwrap().unwrap();
        assert!(view.run.state == RunState::Failed || settled.is_none());
        counts.answered.fetch_add(5, Ordering::Relaxed);
    }
}

/// Drops a call after so many polls, as a caller does that has waited long enough. None if it was.
async fn drops<T>(call: impl Future<Output = T>, mut polls: usize, counts: &Counts) -> Option<T> {
    let mut call = std::pin::pin!(call);
    let answer = poll_fn(|context| match call.as_mut().poll(context) {
        std::task::Poll::Ready(answer) => std::task::Poll::Ready(Some(answer)),
        std::task::Poll::Pending if polls == 0 => std::task::Poll::Ready(None),
        std::task::Poll::Pending => {
            polls -= 1;
            std::task::Poll::Pending
        }
    })
    .await;
    let count = if answer.is_some() { &counts.answered } else { &counts.dropped };
    count.fetch_add(1, Ordering::Relaxed);
    answer
}
