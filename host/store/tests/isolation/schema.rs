//! What the catalogue of the server says of the schema: every table with a tenant is closed, and
//! nothing leads around that.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use crate::catalogue::{Host, Table, tables};
use crate::world::World;

/// The form of the policies, with the tenant's column, as PostgreSQL writes it.
const OF_TENANT: &str =
    "(COLUMN = (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid)";
const OF_HOST: &str = "\nCASE current_setting('app.scope'::text, true)\n    WHEN 'host'::text THEN \
                       true\n    ELSE false\nEND";

/// Unique keys without the tenant, and what they tell.
const UNIQUE_FOR_ALL: [(&str, &str); 1] =
    [("tenant_name_key", "only the host makes tenants; names are the operator's")];

/// Sequences, which count for all tenants together. Only whoever has the database's address reads
/// them; no answer of the port has their numbers in it but for that of `audit_id_seq`.
const SEQUENCES: [&str; 4] = ["audit_id_seq", "lane_id_seq", "pack_block", "plugin_number_seq"];

/// A policy of a table.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct Policy {
    tablename: String,
    policyname: String,
    permissive: String,
    roles: String,
    cmd: String,
    qual: Option<String>,
    with_check: Option<String>,
}

async fn policies(connection: &mut PgConnection) -> BTreeMap<String, Vec<Policy>> {
    let policies: Vec<Policy> = sqlx::query_as(
        "SELECT tablename::text, policyname::text, permissive, roles::text, cmd, qual, with_check
         FROM pg_policies WHERE schemaname = current_schema() ORDER BY policyname DESC",
    )
    .fetch_all(connection)
    .await
    .unwrap();
    let mut by_table: BTreeMap<String, Vec<Policy>> = BTreeMap::new();
    for policy in policies {
        by_table.entry(policy.tablename.clone()).or_default().push(policy);
    }
    by_table
}

/// What a table's policies are to be: first the tenant's, then the host's.
fn agreed(table: &Table) -> Vec<Policy> {
    let tenant = OF_TENANT.replace("COLUMN", table.tenant);
    let policy = |name: &str, cmd: &str, qual: &str, with_check: Option<&str>| Policy {
        tablename: table.name.clone(),
        policyname: name.to_owned(),
        permissive: "PERMISSIVE".to_owned(),
        roles: "{public}".to_owned(),
        cmd: cmd.to_owned(),
        qual: Some(qual.to_owned()),
        with_check: with_check.map(str::to_owned),
    };
    let mut policies = vec![policy("tenant", "ALL", &tenant, Some(&tenant))];
    match table.host {
        Host::Nothing => {}
        Host::Reads => policies.push(policy("host", "SELECT", OF_HOST, None)),
        Host::Writes => policies.push(policy("host", "ALL", OF_HOST, Some(OF_HOST))),
    }
    policies
}

#[tokio::test]
async fn every_table_with_a_tenant_is_closed_by_the_agreed_policy() {
    let world = World::new().await;
    let mut connection = world.database.connect().await.unwrap();
    let tables = tables(&mut connection).await;
    let mut policies = policies(&mut connection).await;
    for table in &tables {
        let (enabled, forced): (bool, bool) = sqlx::query_as(
            "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = $1::regclass",
        )
        .bind(&table.name)
        .fetch_one(&mut connection)
        .await
        .unwrap();
        assert!(enabled && forced, "{}: enabled {enabled}, forced {forced}", table.name);
        let found = policies.remove(&table.name).unwrap_or_default();
        assert_eq!(found, agreed(table), "the policies of {}", table.name);
    }
    assert_eq!(policies, BTreeMap::new(), "of tables without a tenant");
    let of_host = tables.iter().filter(|table| table.host != Host::Nothing).count();
    println!("isolation: {} tables with a tenant, {of_host} open to the host", tables.len());
}

/// A unique or foreign key is checked against the rows of all tenants.
#[tokio::test]
async fn every_unique_key_and_every_reference_has_the_tenant_in_it() {
    let world = World::new().await;
    let mut connection = world.database.connect().await.unwrap();
    let mut keys = 0;
    for table in tables(&mut connection).await {
        let without: Vec<(String, bool)> = sqlx::query_as(
            "SELECT i.indexrelid::regclass::text, EXISTS (
               SELECT 1 FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
               JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
               WHERE a.attname = $2 AND k.place <= i.indnkeyatts)
             FROM pg_index i WHERE i.indrelid = $1::regclass AND i.indisunique
             UNION ALL
             SELECT c.conname::text, EXISTS (
               SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.conrelid
                 AND a.attnum = ANY(c.conkey) AND a.attname = $2)
             FROM pg_constraint c WHERE c.conrelid = $1::regclass AND c.contype = 'f'",
        )
        .bind(&table.name)
        .bind(table.tenant)
        .fetch_all(&mut connection)
        .await
        .unwrap();
        for (key, has_tenant) in without {
            let known = UNIQUE_FOR_ALL.iter().any(|(name, _)| *name == key);
            assert_ne!(has_tenant, known, "{key}: it has the tenant in it {has_tenant}");
            keys += 1;
        }
    }
    assert!(keys > 30, "{keys}");
    println!("isolation: {keys} unique keys and references");
}

#[tokio::test]
async fn nothing_leads_around_the_policies() {
    let world = World::new().await;
    let mut connection = world.database.connect().await.unwrap();
    // A view is read with the rights of its owner, unless it says otherwise.
    let views: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class
         WHERE relnamespace = current_schema()::regnamespace AND (relkind = 'm' OR (relkind = 'v'
           AND NOT coalesce('security_invoker=true' = ANY(reloptions), false)))",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(views, [] as [&str; 0]);
    let functions: Vec<(String, bool)> = sqlx::query_as(
        "SELECT proname::text, prosecdef FROM pg_proc
         WHERE pronamespace = current_schema()::regnamespace ORDER BY proname",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(functions, [("audit_stays".to_owned(), false)], "name, SECURITY DEFINER");
    let sequences: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class
         WHERE relnamespace = current_schema()::regnamespace AND relkind = 'S' ORDER BY relname",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(sequences, SEQUENCES);
    // A rule or another trigger could do something else than what is asked.
    let triggers: Vec<String> = sqlx::query_scalar(
        "SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal
         UNION ALL SELECT rulename::text FROM pg_rules WHERE schemaname = current_schema()",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(triggers, ["audit_is_not_changed"]);
    println!("isolation: {} sequences, {} function", SEQUENCES.len(), functions.len());
}
