//! The only door to the tables: a transaction that is bound to one tenant, or to the host.
//!
//! The database itself shows such a transaction nothing else (row-level security), so a statement
//! that forgets its tenant finds nothing. A statement about rows of tenants takes a [`TenantTx`]. One
//! that looks for work or for who is speaking takes a [`HostTx`], which sees of the tenants' tables
//! only what their policy `host` names.

use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, SqlSafeStr, Transaction};
use tombolo_core::id::TenantId;
use uuid::Uuid;

use super::error::Fault;
use super::live::on_a_live_one;

/// A transaction that may be bound to several tenants, one after the other.
pub(crate) struct Tx(Transaction<'static, Postgres>);

/// What kind of transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Each statement sees what was committed before it.
    Write,
    /// All statements see one state of the database.
    Read,
}

impl Kind {
    fn begin(self) -> &'static str {
        match self {
            Self::Write => "BEGIN",
            Self::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }
}

impl Tx {
    /// A transaction that is bound to a tenant.
    pub(crate) async fn of_tenant(
        pool: &PgPool,
        kind: Kind,
        tenant: TenantId,
    ) -> Result<Self, Fault> {
        // One way to the server and back. SET takes no parameters; digits need no quoting.
        let begin = kind.begin();
        let statement = format!("{begin}; SET LOCAL app.tenant_id = '{}'", tenant.0);
        Self::begin(pool, AssertSqlSafe(statement)).await
    }

    /// A transaction that is bound to the host.
    pub(crate) async fn of_host(pool: &PgPool, kind: Kind) -> Result<Self, Fault> {
        let statement = match kind {
            Kind::Write => "BEGIN; SET LOCAL app.scope = 'host'",
            Kind::Read => {
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL app.scope = 'host'"
            }
        };
        Self::begin(pool, statement).await
    }

    /// A transaction that takes leases: bound to the host.
    ///
    /// Its commit is not waited for on the disk. Whatever is written under such a lease is durable after
    /// it, and is refused if the lease was lost with a crash of the server, also when the same worker has
    /// the run again: no claim has an earlier one's epoch. So nothing that has to be durable hangs on it.
    ///
    /// Nothing is sorted: who is longest due comes from an index in that order, and not from a sort of
    /// all that is due, which looks cheap as long as the server believes that little is.
    pub(crate) async fn of_claim(pool: &PgPool) -> Result<Self, Fault> {
        let statement = "BEGIN; SET LOCAL app.scope = 'host'; SET LOCAL synchronous_commit = off;
            SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off";
        Self::begin(pool, statement).await
    }

    /// A writer's transaction, bound to a tenant, that says in the writer's row which one it is.
    pub(crate) async fn of_writer(
        pool: &PgPool,
        (writer, batch): (Uuid, i64),
        tenant: TenantId,
    ) -> Result<Self, Fault> {
        let statement = format!(
            "BEGIN; SET LOCAL app.tenant_id = '{}';
             INSERT INTO writer (id, batch, written_at)
             VALUES ('{writer}', {batch}, (extract(epoch FROM now()) * 1000)::bigint)
             ON CONFLICT (id) DO UPDATE SET batch = excluded.batch,
               written_at = excluded.written_at",
            tenant.0,
        );
        Self::begin(pool, AssertSqlSafe(statement)).await
    }

    /// Begins it in a task of its own, which goes on when whoever waits for it lets go: sqlx (0.9) would
    /// give the connection to the next one as it is, within the transaction and bound to its tenant.
    /// What has begun and is not wanted any more is rolled back.
    async fn begin(pool: &PgPool, statement: impl SqlSafeStr) -> Result<Self, Fault> {
        let (pool, statement) = (pool.clone(), statement.into_sql_str());
        let begun = tokio::spawn(async move {
            on_a_live_one(&pool, || pool.begin_with(statement.clone())).await
        });
        Ok(Self(begun.await.map_err(|_| sqlx::Error::WorkerCrashed)??))
    }

    /// Goes on as the transaction that was bound to this tenant when it began.
    pub(crate) fn began_as(&mut self, tenant: TenantId) -> TenantTx<'_> {
        TenantTx { connection: &mut self.0, tenant }
    }

    /// Goes on as the transaction that was bound to the host when it began.
    pub(crate) fn began_as_host(&mut self) -> HostTx<'_> {
        HostTx { connection: &mut self.0 }
    }

    /// Binds it to a tenant from now on.
    pub(crate) async fn tenant(&mut self, tenant: TenantId) -> Result<TenantTx<'_>, Fault> {
        sqlx::query(
            "SELECT set_config('app.tenant_id', $1, true), set_config('app.scope', '', true)",
        )
        .bind(tenant.0.to_string())
        .execute(&mut *self.0)
        .await?;
        Ok(TenantTx { connection: &mut self.0, tenant })
    }

    /// Makes it durable.
    pub(crate) async fn commit(self) -> Result<(), Fault> {
        Ok(self.0.commit().await?)
    }
}

/// A transaction that sees the rows of one tenant.
pub(crate) struct TenantTx<'a> {
    connection: &'a mut PgConnection,
    tenant: TenantId,
}

impl TenantTx<'_> {
    /// Whose rows it sees. Statements name it all the same: it leads the keys.
    pub(crate) fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Where statements go.
    pub(crate) fn sql(&mut self) -> &mut PgConnection {
        self.connection
    }
}

/// A transaction that sees what the host may see.
pub(crate) struct HostTx<'a> {
    connection: &'a mut PgConnection,
}

impl HostTx<'_> {
    /// Where statements go.
    pub(crate) fn sql(&mut self) -> &mut PgConnection {
        self.connection
    }
}
