//! Emptying what a copy that was cut off has left, so that it can be made anew.
//!
//! Only for a database that has the mark of a copy, and for whoever holds it: no server was ever started
//! on that, and everything in it stands in the file, too. So entries of the audit may go here, which
//! nothing else deletes.

use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Row};

use crate::postgres::error::Fault;
use crate::postgres::scope::{HostTx, Kind, Tx};

/// A trigger that would keep a table from being emptied.
struct Guard {
    /// `ALTER TABLE .. DISABLE TRIGGER ..`
    off: String,
    /// What makes it as it was.
    on: String,
}

/// Empties every table of tenants, in one transaction.
pub(super) async fn all(pool: &PgPool) -> Result<(), Fault> {
    let mut tx = Tx::of_host(pool, Kind::Write).await?;
    let mut host = tx.began_as_host();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT quote_ident(c.relname::text) FROM pg_class c
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
           AND (c.relname = 'tenant' OR EXISTS (
             SELECT 1 FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))
         ORDER BY 1",
    )
    .fetch_all(host.sql())
    .await?;
    let guards = guards(&mut host).await?;
    for guard in &guards {
        execute(&mut host, &guard.off).await?;
    }
    execute(&mut host, &format!("TRUNCATE {}", tables.join(", "))).await?;
    for guard in &guards {
        execute(&mut host, &guard.on).await?;
    }
    tx.commit().await
}

/// Triggers on TRUNCATE (32 in `tgtype`, as PostgreSQL's `catalog/pg_trigger.h` has it).
async fn guards(tx: &mut HostTx<'_>) -> Result<Vec<Guard>, Fault> {
    let rows = sqlx::query(
        "SELECT quote_ident(c.relname::text), quote_ident(t.tgname::text),
           CASE t.tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA'
             ELSE 'ENABLE' END
         FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
         WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal
           AND t.tgtype & 32 <> 0 AND t.tgenabled <> 'D'",
    )
    .fetch_all(tx.sql())
    .await?;
    let mut guards = Vec::with_capacity(rows.len());
    for row in rows {
        let (table, trigger): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let enable: String = row.try_get(2)?;
        guards.push(Guard {
            off: format!("ALTER TABLE {table} DISABLE TRIGGER {trigger}"),
            on: format!("ALTER TABLE {table} {enable} TRIGGER {trigger}"),
        });
    }
    Ok(guards)
}

async fn execute(tx: &mut HostTx<'_>, statement: &str) -> Result<(), Fault> {
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(tx.sql()).await?;
    Ok(())
}
