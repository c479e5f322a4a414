//! The tables of a database, as the server lists them.

use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

/// Tables without a tenant, and why they need none.
pub const OF_NOBODY: [(&str, &str); 3] = [
    ("_sqlx_migrations", "which migrations were applied"),
    ("copy", "says that a copy into the database has begun"),
    ("writer", "counts the batches of a process's writers; who writes for whom is not in it"),
];

/// What the host sees of all tenants, before it knows whose work it is or who is speaking, and whether
/// it changes it.
pub const OF_THE_HOST: [(&str, Host); 13] = [
    ("audit_head", Host::Reads),
    ("connection_wait", Host::Reads),
    ("event", Host::Reads),
    ("payload", Host::Reads),
    ("payload_use", Host::Reads),
    ("plugin", Host::Reads),
    ("queue", Host::Writes),
    ("quota", Host::Reads),
    ("signal", Host::Reads),
    ("tenant", Host::Writes),
    ("token", Host::Reads),
    ("workflow", Host::Reads),
    ("workflow_version", Host::Reads),
];

/// What the host may do with the rows of all tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    Nothing,
    Reads,
    Writes,
}

/// A table with a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    /// The column that says whose a row is.
    pub tenant: &'static str,
    pub host: Host,
}

impl Table {
    /// True for the record of what people did, whose triggers refuse most writes before it comes to
    /// whose they are.
    pub fn is_record(&self) -> bool {
        self.name.starts_with("audit")
    }

    /// How many rows a connection sees of that tenant's, or of all.
    pub async fn count(&self, connection: &mut PgConnection, of: Option<Uuid>) -> i64 {
        let Self { name, tenant, .. } = self;
        let query = format!("SELECT count(*) FROM {name} WHERE $1 IS NULL OR {tenant} = $1");
        let query = sqlx::query_scalar(AssertSqlSafe(query)).bind(of);
        query.fetch_one(connection).await.unwrap()
    }

    /// A row of that tenant's as JSON, as whoever sees everything finds it.
    pub async fn row(&self, look: &mut PgConnection, of: Uuid) -> serde_json::Value {
        let Self { name, tenant, .. } = self;
        let query = format!("SELECT to_jsonb(t)::text FROM {name} t WHERE {tenant} = $1 LIMIT 1");
        let row: String =
            sqlx::query_scalar(AssertSqlSafe(query)).bind(of).fetch_one(look).await.unwrap();
        serde_json::from_str(&row).unwrap()
    }
}

/// Every table that has a tenant. All the others are in [`OF_NOBODY`].
pub async fn tables(connection: &mut PgConnection) -> Vec<Table> {
    let found: Vec<(String, bool)> = sqlx::query_as(
        "SELECT c.relname::text, EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid
           AND a.attname = 'tenant_id' AND NOT a.attisdropped)
         FROM pg_class c
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
         ORDER BY c.relname",
    )
    .fetch_all(connection)
    .await
    .unwrap();
    let mut tables = Vec::new();
    for (name, has_tenant) in found {
        let tenant = if name == "tenant" { "id" } else { "tenant_id" };
        if has_tenant || name == "tenant" {
            tables.push(Table { host: of_host(&name), name, tenant });
        } else {
            let known = OF_NOBODY.iter().any(|(table, _)| *table == name);
            assert!(known, "the table {name} has no tenant, and it is not said why");
        }
    }
    tables
}

fn of_host(table: &str) -> Host {
    OF_THE_HOST.into_iter().find(|(name, _)| *name == table).map_or(Host::Nothing, |(_, host)| host)
}
