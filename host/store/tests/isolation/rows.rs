//! The rows of two tenants in every table, as the owner of the tables sees them.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use uuid::Uuid;

use crate::catalogue::{Host, Table, tables};
use crate::everything;
use crate::world::World;

/// SQLSTATE of a row that a policy does not let in, and of what RLS refuses altogether.
const NOT_LET_IN: &str = "42501";
const NOT_WITH_RLS: &str = "0A000";
/// Of a key that is there, and of a reference to what is not.
const KEY_IS_THERE: &str = "23505";
const NO_SUCH_ROW: &str = "23503";
/// Of the audit's trigger.
const RAISED: &str = "P0001";

/// Tables whose keys are the tenant alone or with a name, of which both tenants have the same.
const KEYED_BY_NAME: [&str; 7] =
    ["connection", "flow_lock", "gathering", "plugin", "quota", "throttle", "workflow"];

/// Two tenants with rows in every table.
struct Two {
    world: World,
    tables: Vec<Table>,
    ours: Uuid,
    theirs: Uuid,
    /// Sees everything.
    look: PgConnection,
}

impl Two {
    async fn new() -> Self {
        let world = World::new().await;
        let (ours, theirs) = (world.owner("acme").await, world.owner("globex").await);
        everything::write(&world.store, &ours).await;
        everything::write(&world.store, &theirs).await;
        let mut look = world.database.look().await.unwrap();
        let tables = tables(&mut look).await;
        for table in &tables {
            for owner in [ours, theirs] {
                let count = table.count(&mut look, Some(owner.tenant.0)).await;
                assert!(count > 0, "nothing wrote a row of {} for the test", table.name);
            }
        }
        Self { world, tables, ours: ours.tenant.0, theirs: theirs.tenant.0, look }
    }

    async fn connect(&self) -> PgConnection {
        self.world.database.connect().await.unwrap()
    }
}

/// The SQLSTATE that a statement fails with, or how many rows it changed or gave. It is undone.
async fn tried(
    connection: &mut PgConnection,
    statement: String,
    parameters: &[&str],
) -> Result<u64, String> {
    let mut tx = connection.begin().await.unwrap();
    let query = parameters.iter().fold(sqlx::query(AssertSqlSafe(statement)), |query, value| {
        query.bind((*value).to_owned())
    });
    let done = query.execute(&mut *tx).await;
    tx.rollback().await.unwrap();
    match done {
        Ok(done) => Ok(done.rows_affected()),
        Err(error) => Err(error.as_database_error().unwrap().code().unwrap().into_owned()),
    }
}

async fn bind(connection: &mut PgConnection, setting: &str, value: &str) {
    sqlx::query("SELECT set_config($1, $2, false)")
        .bind(setting)
        .bind(value)
        .execute(connection)
        .await
        .unwrap();
}

/// Inserts a row that is given as JSON.
fn insert(table: &Table) -> String {
    let name = &table.name;
    format!("INSERT INTO {name} SELECT * FROM jsonb_populate_record(NULL::{name}, $1::jsonb)")
}

#[tokio::test]
async fn nobody_sees_and_writes_nothing() {
    let mut two = Two::new().await;
    let never_set = two.connect().await;
    let mut set_before = two.connect().await;
    let ours = two.ours;
    let of_tenant = format!("BEGIN; SET LOCAL app.tenant_id = '{ours}'; SELECT 1; COMMIT");
    set_before.execute(AssertSqlSafe(of_tenant)).await.unwrap();
    set_before.execute("BEGIN; SET LOCAL app.scope = 'host'; SELECT 1; COMMIT").await.unwrap();
    let left: Option<String> = sqlx::query_scalar("SELECT current_setting('app.tenant_id', true)")
        .fetch_one(&mut set_before)
        .await
        .unwrap();
    assert_eq!(left.as_deref(), Some(""), "what PostgreSQL leaves behind");
    for mut connection in [never_set, set_before] {
        for table in &two.tables {
            assert_eq!(table.count(&mut connection, None).await, 0, "{}", table.name);
            if table.is_record() {
                continue;
            }
            let row = table.row(&mut two.look, ours).await.to_string();
            let inserted = tried(&mut connection, insert(table), &[&row]).await;
            assert_eq!(inserted, Err(NOT_LET_IN.to_owned()), "{}", table.name);
        }
    }
    println!("isolation: {} tables closed to nobody", two.tables.len());
}

#[tokio::test]
async fn a_tenant_neither_sees_nor_writes_rows_of_another() {
    let mut two = Two::new().await;
    let mut connection = two.connect().await;
    bind(&mut connection, "app.tenant_id", &two.ours.to_string()).await;
    let theirs = two.theirs.to_string();
    let mut statements = 0;
    for table in &two.tables {
        let Table { name, tenant, .. } = table;
        let own = table.count(&mut two.look, Some(two.ours)).await;
        assert_eq!(table.count(&mut connection, None).await, own, "{name}");
        if table.is_record() {
            record_is_closed(&mut connection, table, &theirs).await;
            continue;
        }
        let nothing = Ok(0);
        let where_theirs = format!("WHERE {tenant}::text = $1");
        for (statement, expected) in [
            (format!("SELECT 1 FROM {name} {where_theirs}"), &Ok(0)),
            (format!("SELECT 1 FROM {name} {where_theirs} FOR UPDATE"), &Ok(0)),
            (format!("SELECT 1 FROM {name} {where_theirs} FOR KEY SHARE SKIP LOCKED"), &Ok(0)),
            (format!("UPDATE {name} SET {tenant} = {tenant} {where_theirs} RETURNING *"), &nothing),
            (format!("DELETE FROM {name} {where_theirs} RETURNING *"), &nothing),
        ] {
            let done = tried(&mut connection, statement.clone(), &[&theirs]).await;
            assert_eq!(&done, expected, "{statement}");
            statements += 1;
        }
        let row = table.row(&mut two.look, two.theirs).await;
        let given_away = format!("UPDATE {name} SET {tenant} = $1::uuid");
        let done = tried(&mut connection, given_away, &[&theirs]).await;
        assert_eq!(done, Err(NOT_LET_IN.to_owned()), "{name}: rows that are given away");
        for ending in ["", "ON CONFLICT DO NOTHING", "RETURNING *"] {
            let insert = format!("{} {ending}", insert(table));
            let done = tried(&mut connection, insert, &[&row.to_string()]).await;
            assert_eq!(done, Err(NOT_LET_IN.to_owned()), "{name} {ending}: a row of theirs");
        }
        statements += 4;
    }
    println!("isolation: {statements} statements about another tenant's rows, none succeeded");
}

/// Of the record, rows of another tenant are not seen, and nothing of them is written: the triggers or
/// the policies say no.
async fn record_is_closed(connection: &mut PgConnection, table: &Table, theirs: &str) {
    let Table { name, tenant, .. } = table;
    let where_theirs = format!("WHERE {tenant}::text = $1");
    let seen = tried(connection, format!("SELECT 1 FROM {name} {where_theirs}"), &[theirs]).await;
    assert_eq!(seen, Ok(0), "{name}");
    for statement in [
        format!("DELETE FROM {name} {where_theirs} RETURNING *"),
        format!("UPDATE {name} SET {tenant} = $1::uuid"),
    ] {
        let done = tried(connection, statement.clone(), &[theirs]).await;
        assert_eq!(done, Err(RAISED.to_owned()), "{statement}");
    }
}

/// That a key is there would be told by a row that cannot be inserted.
#[tokio::test]
async fn keys_of_another_tenant_are_free() {
    let mut two = Two::new().await;
    let mut connection = two.connect().await;
    bind(&mut connection, "app.tenant_id", &two.ours.to_string()).await;
    let keyed = two.tables.iter().filter(|table| table.name != "tenant" && !table.is_record());
    for table in keyed.clone() {
        let mut row = table.row(&mut two.look, two.theirs).await;
        row[table.tenant] = two.ours.to_string().into();
        let done = tried(&mut connection, insert(table), &[&row.to_string()]).await;
        // Of a workflow that is not ours, as of one that is nobody's.
        let expected = match table.name.as_str() {
            name if KEYED_BY_NAME.contains(&name) => Err(KEY_IS_THERE),
            "state" | "workflow_version" => Err(NO_SUCH_ROW),
            _ => Ok(1),
        };
        assert_eq!(done, expected.map_err(str::to_owned), "{}", table.name);
    }
    println!("isolation: {} tables whose keys tell nothing", keyed.count());
}

#[tokio::test]
async fn copying_into_a_table_is_refused() {
    let two = Two::new().await;
    let mut connection = two.connect().await;
    bind(&mut connection, "app.tenant_id", &two.ours.to_string()).await;
    for table in &two.tables {
        let statement = format!("COPY {} FROM STDIN", table.name);
        let refused = connection.copy_in_raw(&statement).await.err().unwrap();
        let code = refused.as_database_error().unwrap().code().unwrap().into_owned();
        assert_eq!(code, NOT_WITH_RLS, "{}", table.name);
    }
    println!("isolation: {} tables refuse COPY", two.tables.len());
}

#[tokio::test]
async fn the_host_sees_what_it_has_to_and_writes_the_queue_and_tenants_only() {
    let mut two = Two::new().await;
    let mut connection = two.connect().await;
    bind(&mut connection, "app.scope", "host").await;
    for table in &two.tables {
        let Table { name, tenant, host } = table;
        let all = table.count(&mut two.look, None).await;
        let seen = if *host == Host::Nothing { 0 } else { all };
        assert_eq!(table.count(&mut connection, None).await, seen, "{name}");
        if table.is_record() {
            continue;
        }
        let written = match host {
            Host::Writes => Ok(all.unsigned_abs()),
            Host::Nothing | Host::Reads => Ok(0),
        };
        let update = format!("UPDATE {name} SET {tenant} = {tenant} RETURNING *");
        assert_eq!(tried(&mut connection, update, &[]).await, written, "{name}");
        let delete = format!("DELETE FROM {name} RETURNING *");
        let deleted = tried(&mut connection, delete, &[]).await;
        // Others refer to tenants.
        let kept = deleted == Err(NO_SUCH_ROW.to_owned()) && name == "tenant";
        assert!(deleted == written || kept, "{name}: {deleted:?}");
        let row = table.row(&mut two.look, two.theirs).await.to_string();
        let inserted = tried(&mut connection, insert(table), &[&row]).await;
        let expected = if *host == Host::Writes { KEY_IS_THERE } else { NOT_LET_IN };
        assert_eq!(inserted, Err(expected.to_owned()), "{name}");
    }
    let writes = two.tables.iter().filter(|table| table.host == Host::Writes).count();
    println!("isolation: the host writes {writes} of {} tables", two.tables.len());
}
