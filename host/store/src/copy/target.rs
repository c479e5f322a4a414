//! The database on the server: marked as a part of a copy before its first row is written, until all of
//! them are there and read the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Row};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::StoreError;

use super::Begin;
use super::batch::Batch;
use super::column::Values;
use super::empty;
use super::error::CopyError;
use super::table::{From, TABLES, Table};
use crate::postgres::error::Fault;
use crate::postgres::scope::{Kind, TenantTx, Tx};
use crate::postgres::writer::pack;
use crate::postgres::{leases, open};
use crate::{PostgresSettings, PostgresStore};

/// How long a statement may take. The longest counts the rows of a table.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(3600);

/// The database.
pub(super) struct Target {
    pool: PgPool,
    /// What is in it, through the port.
    pub(super) store: PostgresStore,
    /// Holds the mark's row, so that nobody else takes the copy to be cut off.
    mark: Tx,
    tenants: BTreeSet<TenantId>,
}

/// What the database was before.
enum Before {
    /// Empty; it has the mark now.
    Empty,
    /// A part of a copy.
    Part,
    /// In use.
    Used,
}

impl Target {
    /// Brings the schema up to date and marks the database.
    pub(super) async fn begin(settings: PostgresSettings, begin: Begin) -> Result<Self, CopyError> {
        // Beside those of the writers one that has the mark, and one that copies.
        let connections = settings.connections.max(settings.writers() + 2);
        let settings =
            PostgresSettings { statement_timeout: STATEMENT_TIMEOUT, connections, ..settings };
        let pool = open::open(&settings).await?;
        let before = mark(&pool).await.map_err(StoreError::from)?;
        if matches!(before, Before::Used) {
            return Err(CopyError::NotEmpty);
        }
        let held = hold(&pool).await.map_err(StoreError::from)?;
        let Some(held) = held else { return Err(CopyError::UnderWay) };
        match (before, begin) {
            (Before::Part, Begin::Empty) => return Err(CopyError::CutOff),
            (Before::Part, Begin::Again) => empty::all(&pool).await.map_err(StoreError::from)?,
            (Before::Empty | Before::Used, _) => {}
        }
        let store = PostgresStore::on(pool.clone(), &settings).await?;
        Ok(Self { pool, store, mark: held, tenants: BTreeSet::new() })
    }

    /// Writes rows, in one transaction.
    pub(super) async fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        self.look_at_mark().await?;
        let mut rest = batch.tenants.iter();
        let Some((first, values)) = rest.next() else { return Ok(()) };
        let mut tx = Tx::of_tenant(&self.pool, Kind::Write, *first).await?;
        insert(&mut tx.began_as(*first), batch.table, values).await?;
        for (tenant, values) in rest {
            insert(&mut tx.tenant(*tenant).await?, batch.table, values).await?;
        }
        tx.commit().await?;
        self.tenants.extend(batch.tenants.keys());
        Ok(())
    }

    /// Finds out whether we still have the mark; and what is between us and the server sees that the
    /// connection is in use.
    async fn look_at_mark(&mut self) -> Result<(), Fault> {
        sqlx::query("SELECT 1").execute(self.mark.began_as_host().sql()).await?;
        Ok(())
    }

    /// Lets what is counted go on behind what was copied.
    pub(super) async fn count_on(
        &mut self,
        table: &'static Table,
        last: Option<i64>,
    ) -> Result<(), Fault> {
        let Some(last) = last else { return Ok(()) };
        let sql = &mut *self.pool.acquire().await?;
        if matches!(table.from, From::Packs) {
            return pack::number_after(sql, last).await;
        }
        if let Some(counter) = table.counter {
            sqlx::query("SELECT setval(pg_get_serial_sequence($1, $2), $3)")
                .bind(table.name)
                .bind(counter)
                .bind(last)
                .execute(sql)
                .await?;
        }
        Ok(())
    }

    /// Makes the runs due that somebody has leased: whoever that was is gone.
    pub(super) async fn take_over(&self) -> Result<(), StoreError> {
        let now: Timestamp = self.store.time().await?;
        let mut tx = Tx::of_host(&self.pool, Kind::Write).await?;
        leases::take_over(&mut tx.began_as_host(), now).await?;
        Ok(tx.commit().await?)
    }

    /// The rows of each table.
    pub(super) async fn counts(&self) -> Result<BTreeMap<&'static str, u64>, Fault> {
        let count = |table: &Table| {
            format!("(SELECT count(*) FROM {} WHERE {} = $1)", table.name, table.tenant)
        };
        let counts: Vec<String> = TABLES.iter().map(count).collect();
        let statement = format!("SELECT {}", counts.join(", "));
        let mut found: BTreeMap<&'static str, u64> = BTreeMap::new();
        for tenant in &self.tenants {
            let mut tx = Tx::of_tenant(&self.pool, Kind::Read, *tenant).await?;
            let mut of_tenant = tx.began_as(*tenant);
            // Here, and nowhere else, all rows are wanted.
            sqlx::query("SET LOCAL enable_seqscan = on").execute(of_tenant.sql()).await?;
            let row = sqlx::query(AssertSqlSafe(statement.clone()))
                .bind(tenant.0)
                .fetch_one(of_tenant.sql())
                .await?;
            for (table, column) in TABLES.iter().zip(0..) {
                let rows: i64 = row.try_get::<i64, usize>(column)?;
                *found.entry(table.name).or_default() += rows.unsigned_abs();
            }
            tx.commit().await?;
        }
        Ok(found)
    }

    /// Takes the mark off: from now on servers start on the database.
    pub(super) async fn finish(self) -> Result<(), Fault> {
        // What is there is known to the planner before the first server asks.
        sqlx::query("ANALYZE").execute(&self.pool).await?;
        let mut mark = self.mark;
        let taken = sqlx::query("DELETE FROM copy").execute(mark.began_as_host().sql()).await?;
        if taken.rows_affected() != 1 {
            return Err(Fault::Refused("the mark of the copy is gone".to_owned()));
        }
        mark.commit().await?;
        self.store.close().await;
        Ok(())
    }
}

/// Marks the database if it is empty.
async fn mark(pool: &PgPool) -> Result<Before, Fault> {
    let mut tx = Tx::of_host(pool, Kind::Write).await?;
    let mut host = tx.began_as_host();
    open::one_at_a_time(&mut host).await?;
    let marked = sqlx::query(
        "INSERT INTO copy (began_at) SELECT (extract(epoch FROM now()) * 1000)::bigint
         WHERE NOT EXISTS (SELECT 1 FROM tenant) ON CONFLICT DO NOTHING",
    )
    .execute(host.sql())
    .await?;
    let part: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM copy)").fetch_one(host.sql()).await?;
    tx.commit().await?;
    Ok(match (marked.rows_affected(), part) {
        (1, _) => Before::Empty,
        (_, true) => Before::Part,
        (_, false) => Before::Used,
    })
}

/// Locks the mark for as long as the transaction lives. None if somebody else has it.
async fn hold(pool: &PgPool) -> Result<Option<Tx>, Fault> {
    let mut tx = Tx::of_host(pool, Kind::Write).await?;
    let mut host = tx.began_as_host();
    sqlx::query("SET LOCAL idle_in_transaction_session_timeout = 0").execute(host.sql()).await?;
    let held: Option<i32> = sqlx::query_scalar("SELECT 1 FROM copy FOR UPDATE SKIP LOCKED")
        .fetch_optional(host.sql())
        .await?;
    Ok(held.map(|_| tx))
}

/// Writes rows of one tenant.
async fn insert(tx: &mut TenantTx<'_>, table: &Table, values: &[Values]) -> Result<(), Fault> {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let arrays: Vec<String> =
        values.iter().zip(2..).map(|(values, n)| format!("${n}::{}", values.array())).collect();
    let statement = format!(
        "INSERT INTO {} ({}, {}) SELECT $1, u.* FROM UNNEST({}) AS u",
        table.name,
        table.tenant,
        names.join(", "),
        arrays.join(", "),
    );
    let query = sqlx::query(AssertSqlSafe(statement)).bind(tx.tenant().0);
    let query = values.iter().fold(query, |query, values| values.bind(query));
    query.execute(tx.sql()).await?;
    Ok(())
}
