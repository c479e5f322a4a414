//! A store that does not open: where the database would not keep tenants apart, or is not ours.

use sqlx::{AssertSqlSafe, Executor};
use tombolo_core::ports::store::{Access, AuditTrail, StoreError};
use tombolo_store::PostgresStore;
use tombolo_test_postgres::Database;

use crate::everything::audit;
use crate::world::{World, few};

/// Why a store does not open after these statements of a superuser's, in which `OWNER` is the user
/// of the store.
async fn refusal(statements: &str) -> StoreError {
    let world = World::new().await;
    world.store.close().await;
    let url = world.database.url();
    let owner = url.rsplit('/').next().unwrap();
    let mut look = world.database.look().await.unwrap();
    look.execute(AssertSqlSafe(statements.replace("OWNER", owner))).await.unwrap();
    PostgresStore::open(few(url)).await.err().unwrap()
}

/// That the refusal says all of this.
fn says(refusal: &StoreError, words: &[&str]) {
    let text = refusal.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[tokio::test]
async fn a_user_for_whom_policies_do_not_hold_is_refused() {
    for (right, word) in [("SUPERUSER", "superuser"), ("BYPASSRLS", "BYPASSRLS")] {
        let refusal = refusal(&format!("ALTER ROLE OWNER {right}")).await;
        assert!(matches!(refusal, StoreError::Refused(_)), "{refusal:?}");
        says(&refusal, &["DATABASE_URL", word, "docs/deploy.md"]);
    }
    println!("isolation: 2 users refused");
}

/// Its tables would be nobody else's to use.
#[tokio::test]
async fn a_user_who_is_refused_has_made_nothing() {
    let database = Database::fresh().await.unwrap();
    let owner = database.name().to_owned();
    let mut look = database.look().await.unwrap();
    look.execute(AssertSqlSafe(format!("ALTER ROLE {owner} SUPERUSER"))).await.unwrap();
    PostgresStore::open(few(database.url())).await.unwrap_err();
    look.execute(AssertSqlSafe(format!("ALTER ROLE {owner} NOSUPERUSER"))).await.unwrap();
    let tables: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    )
    .fetch_one(&mut look)
    .await
    .unwrap();
    assert_eq!(tables, 0);
    World::on(database).await.store.close().await;
}

#[tokio::test]
async fn tables_of_somebody_else_say_what_to_do() {
    let world = World::new().await;
    world.store.close().await;
    let mut look = world.database.look().await.unwrap();
    let owner = world.database.name();
    look.execute("ALTER TABLE _sqlx_migrations OWNER TO postgres").await.unwrap();
    look.execute(AssertSqlSafe(format!("REVOKE ALL ON _sqlx_migrations FROM {owner}")))
        .await
        .unwrap();
    let refusal = PostgresStore::open(few(world.database.url())).await.unwrap_err();
    says(&refusal, &["DATABASE_URL", "somebody else's", "docs/deploy.md"]);
}

#[tokio::test]
async fn a_table_without_row_level_security_is_refused() {
    let statements = [
        ("ALTER TABLE step DISABLE ROW LEVEL SECURITY", "step"),
        ("ALTER TABLE pack NO FORCE ROW LEVEL SECURITY", "pack"),
        ("ALTER TABLE tenant NO FORCE ROW LEVEL SECURITY", "tenant"),
        ("CREATE TABLE added (tenant_id uuid)", "added"),
    ];
    for (statement, table) in statements {
        let refusal = refusal(statement).await;
        assert!(matches!(refusal, StoreError::Refused(_)), "{refusal:?}");
        says(&refusal, &[&format!("tables {table}:"), "ENABLE ROW LEVEL SECURITY", "FORCE"]);
    }
    println!("isolation: {} tables refused", statements.len());
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let refusal = refusal(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', true, '', 0)",
    )
    .await;
    says(&refusal, &["newer version", "9999", "update Tombolo"]);
    println!("isolation: 1 newer schema refused");
}

#[tokio::test]
async fn a_schema_that_the_user_may_not_mend_says_who_may() {
    let refusal = refusal(
        "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations);
         REASSIGN OWNED BY OWNER TO postgres; REVOKE CREATE ON SCHEMA public FROM public;
         GRANT SELECT ON ALL TABLES IN SCHEMA public TO OWNER",
    )
    .await;
    says(&refusal, &["schema", "owner of the tables", "docs/deploy.md"]);
    println!("isolation: 1 older schema refused");
}

#[tokio::test]
async fn what_is_only_looked_at_is_neither_made_nor_changed() {
    let empty = Database::fresh().await.unwrap();
    let refused = PostgresStore::look(few(empty.url())).await.err().unwrap();
    says(&refused, &["schema 0", "upgrades it when it starts"]);
    let mut connection = empty.connect().await.unwrap();
    let tables: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(tables, 0, "it is empty as before");

    let world = World::new().await;
    let look = PostgresStore::look(few(world.database.url())).await.unwrap();
    let tenant = world.owner("acme").await.tenant;
    assert_eq!(look.tenants().await.unwrap(), [tenant]);
    look.audit_trail(tenant, None, 10).await.unwrap();
    let written = look.record(tenant, audit("changed")).await.unwrap_err();
    says(&written, &["read-only transaction"]);
    look.close().await;
}
