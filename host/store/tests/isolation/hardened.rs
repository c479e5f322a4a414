//! The hardened setup: migrations by the owner of the tables, and everything else by a user who may
//! only read and write rows.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::{
    Access, Catalog, Housekeeping, LetterBox, LetterFilter, Open, Opened, Page, Reading, RunFilter,
    RunLog,
};
use tombolo_core::run::RunState;
use tombolo_store::PostgresStore;

use crate::everything;
use crate::world::{World, after, claim, ended, few, owner, readable, worker};

/// The rights of the user of the store, whose name is put in place of `$user`.
const GRANTS: &str = "
    CREATE ROLE $user LOGIN PASSWORD '$user' NOSUPERUSER NOBYPASSRLS;
    GRANT USAGE ON SCHEMA public TO $user;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO $user;
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO $user;
    REVOKE UPDATE, DELETE ON audit FROM $user;
    REVOKE INSERT, UPDATE, DELETE ON _sqlx_migrations FROM $user;";

/// What it may not do.
const REFUSED: [&str; 7] = [
    "TRUNCATE step",
    "ALTER TABLE step DISABLE ROW LEVEL SECURITY",
    "CREATE POLICY mine ON step USING (true)",
    "UPDATE audit SET actor = ''",
    "DELETE FROM audit",
    "DELETE FROM _sqlx_migrations",
    "SELECT last_value FROM pack_block",
];

/// SQLSTATE of a lacking right.
const NO_RIGHT: &str = "42501";

#[tokio::test]
async fn a_user_with_rights_to_rows_only_does_all_that_a_store_does() {
    let world = World::new().await;
    world.store.close().await;
    let owner = world.database.url().rsplit('/').next().unwrap().to_owned();
    let role = format!("{owner}_rows");
    let mut look = world.database.look().await.unwrap();
    look.execute(AssertSqlSafe(GRANTS.replace("$user", &role))).await.unwrap();
    let as_owner = format!("{owner}:{owner}@");
    let url = world.database.url().replacen(&as_owner, &format!("{role}:{role}@"), 1);

    let store = PostgresStore::open(few(url.clone())).await.unwrap();
    whole_story(&store).await;
    store.close().await;

    let mut connection = PgConnection::connect(&url).await.unwrap();
    for statement in REFUSED {
        let refused = connection.execute(statement).await.unwrap_err();
        let code = refused.as_database_error().unwrap().code().unwrap().into_owned();
        assert_eq!(code, NO_RIGHT, "{statement}: {refused}");
    }
    connection.close().await.unwrap();
    let gone = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    look.execute(AssertSqlSafe(gone)).await.unwrap();
    println!("isolation: a user with rights to rows only; {} statements refused", REFUSED.len());
}

/// Accept, claim, renew, settle, repair, read and forget.
async fn whole_story(store: &PostgresStore) {
    let acme = owner(store, "acme").await;
    let written = everything::write(store, &acme).await;
    store.accept(vec![acme.event("queued")]).await.unwrap();
    let claimed = readable(store.claim(claim(1)).await.unwrap().remove(0));
    assert_eq!(store.renew(std::slice::from_ref(&claimed.lease), after(60_000)).await, Ok(vec![]));
    assert_eq!(store.next_due().await.unwrap(), Some(after(200)), "the signal");
    let results = acme.results(&claimed.lease, ended(RunState::Succeeded));
    store.settle(results).await.unwrap();
    store.request_cancel(acme.tenant, written.waiting, None).await.unwrap();
    let entry = everything::audit("hubspot");
    let resumed = store.resume_connection(acme.tenant, "hubspot", after(300), entry).await;
    assert_eq!(resumed, Ok(Some(0)), "the run is due already");

    let page = Page { after: None, limit: 10 };
    assert_eq!(store.runs(acme.tenant, &RunFilter::default(), page).await.unwrap().len(), 4);
    assert!(store.run(acme.tenant, written.failed).await.unwrap().is_some());
    assert_eq!(store.calls(acme.tenant, written.failed).await.unwrap().len(), 1);
    assert_eq!(store.audit(acme.tenant, 10, None).await.unwrap().len(), 2);
    assert_eq!(store.token(written.token.hash).await, Ok(Some(written.token)));
    let letters = store.letters(acme.tenant, &LetterFilter::default(), None, 10).await.unwrap();
    let given_up = (letters[0].run, letters[0].step.clone());
    let entry = everything::audit("deal");
    let reason = "sold elsewhere".to_owned();
    let discarded = store.discard(acme.tenant, given_up.0, &given_up.1, reason, entry).await;
    assert_eq!(discarded, Ok(true));
    reopened(store, acme.tenant, given_up.0).await;

    let workflow = (acme.tenant, acme.workflow);
    assert_eq!(store.forget(workflow, after(1_000), 10).await, Ok(1));
    assert_eq!(store.forget_events(after(1_000), 10).await, Ok(0));
    assert_eq!(store.forget_waits(10).await, Ok(0));
    store.sweep_payloads(None, 100).await.unwrap();
    assert_eq!(store.take_over(after(1_000)).await, Ok(1));
    assert_eq!(store.set_back(after(2_000), after(1_000)).await, Ok(0));
}

/// A run that has ended is opened again, and is due at once for whoever takes over.
async fn reopened(store: &PostgresStore, tenant: TenantId, run: RunId) {
    let open = Open { tenant, run, worker: worker(), now: after(500), until: after(60_000) };
    assert!(matches!(store.open(open).await.unwrap(), Opened::Run { .. }));
}
