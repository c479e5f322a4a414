//! What the server did for each statement of a store: its plan with the rows and pages it met, from
//! the server's log (`auto_explain`).

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor};
use tombolo_store::PostgresStore;
use tombolo_test_postgres::{Database, Durable, Server};

use crate::world::{World, few};

/// For sessions that begin from now on.
const ON: &str = "
    ALTER DATABASE $name SET session_preload_libraries = 'auto_explain';
    ALTER DATABASE $name SET auto_explain.log_min_duration = 0;
    ALTER DATABASE $name SET auto_explain.log_analyze = on;
    ALTER DATABASE $name SET auto_explain.log_buffers = on;
    ALTER DATABASE $name SET auto_explain.log_timing = off;
    ALTER DATABASE $name SET auto_explain.log_format = json;";

/// Between a store's statements and their plans.
const BEFORE_A_PLAN: &str = "  plan:\n";

/// A world on a server of its own, which vacuums and analyses nothing by itself.
pub struct Explained {
    pub world: World,
    server: Server,
    read: usize,
}

impl Explained {
    pub async fn new() -> Self {
        let server = Server::start(Durable::No).unwrap();
        let database = Database::on(&server.admin_url()).await.unwrap();
        let mut admin = database.admin().await.unwrap();
        admin.execute("ALTER SYSTEM SET autovacuum = off").await.unwrap();
        admin.execute("SELECT pg_reload_conf()").await.unwrap();
        Self { world: World::on(database).await, server, read: 0 }
    }

    /// A store of which every statement is explained, as of all that are opened until
    /// [`Explained::no_more`].
    pub async fn store(&mut self) -> PostgresStore {
        self.set(ON).await;
        let store = PostgresStore::open(few(self.world.database.url())).await.unwrap();
        self.read = self.server.log().len();
        store
    }

    /// Statements of stores that are opened from now on are not explained.
    pub async fn no_more(&self) {
        self.set("ALTER DATABASE $name RESET ALL").await;
    }

    async fn set(&self, statements: &str) {
        let url = self.world.database.url();
        let name = url.rsplit('/').next().unwrap();
        let mut admin = self.world.database.admin().await.unwrap();
        admin.execute(AssertSqlSafe(statements.replace("$name", name))).await.unwrap();
    }

    /// The statements that were explained since this was last asked. One that was answered is there.
    pub fn plans(&mut self) -> Vec<Plan> {
        let log = self.server.log();
        let new = &log[self.read..];
        self.read = log.len();
        new.split(BEFORE_A_PLAN).skip(1).map(Plan::parse).collect()
    }
}

/// What was done for a statement.
#[derive(Debug, Clone)]
pub struct Plan {
    pub query: String,
    root: Value,
}

impl Plan {
    fn parse(after: &str) -> Self {
        let lines = after.lines().map_while(|line| line.strip_prefix('\t'));
        let text: String = lines.collect::<Vec<_>>().join("\n");
        let plan: Value = serde_json::from_str(&text).unwrap();
        let query = plan["Query Text"].as_str().unwrap();
        let query = query.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { query, root: plan["Plan"].clone() }
    }

    /// Pages that were looked at, each as often as that.
    pub fn pages(&self) -> i64 {
        let blocks = |key: &str| self.root[key].as_i64().unwrap_or(0);
        blocks("Shared Hit Blocks") + blocks("Shared Read Blocks")
    }

    /// What is wrong with how it went: a table that was read from end to end, rows that were looked
    /// at in vain, and more rows than `most`.
    pub fn faults(&self, most: i64) -> BTreeSet<String> {
        let mut faults = BTreeSet::new();
        visit(&self.root, &mut |node| faults.extend(fault(node, most)));
        faults
    }
}

fn visit(node: &Value, see: &mut impl FnMut(&Value)) {
    see(node);
    for child in node["Plans"].as_array().into_iter().flatten() {
        visit(child, see);
    }
}

/// Rows that may be looked at in vain whatever a statement gives: a page or two of an index.
const IN_VAIN: i64 = 100;

fn fault(node: &Value, most: i64) -> Option<String> {
    let text = |key: &str| node[key].as_str().unwrap_or_default();
    let loops = node["Actual Loops"].as_i64().unwrap_or(0);
    let number = |key: &str| node[key].as_f64().map_or(0, |rows| rows.round() as i64) * loops;
    let kind = text("Node Type");
    let place = format!("{kind} on {} {}", text("Relation Name"), text("Index Name"));
    if kind == "Seq Scan" {
        return Some(place);
    }
    let rows = number("Actual Rows");
    let removed: i64 = ["Filter", "Join Filter", "Index Recheck"]
        .map(|by| number(&format!("Rows Removed by {by}")))
        .into_iter()
        .sum();
    if removed > rows + IN_VAIN {
        return Some(format!("{place}: {rows} rows, and {removed} in vain"));
    }
    (kind.contains("Scan") && rows > most).then(|| format!("{place}: {rows} rows"))
}
