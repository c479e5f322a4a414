//! What the command line does directly in the store, without a server: for somebody who may read the
//! data folder. Works beside a server that is running.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tombolo_api::{NewToken, issue_token};
use tombolo_core::audit::{Actor, AuditEntry};
use tombolo_core::clock::Clock;
use tombolo_core::id::{TenantId, TokenId};
use tombolo_core::ports::repair::By;
use tombolo_core::ports::store::{QuotaChange, Scope, Store, Tenant, Token, TokenPage};
use tombolo_core::quota::Quotas;

use crate::config::Config;
use crate::data_dir::DataDir;
use crate::database::{Database, Place};
use crate::system::System;

/// Rows that are read at a time.
const PAGE: u32 = 200;

/// Longest name of a tenant, in bytes: it stands in the addresses of webhooks.
const MAX_TENANT_BYTES: usize = 63;

/// Opens the store, works in it and closes it.
async fn with_store<T>(
    config: &Config,
    work: impl AsyncFnOnce(&dyn Store) -> Result<T>,
) -> Result<T> {
    let mut _beside = None;
    if let Place::File(file) = Place::of(config)? {
        anyhow::ensure!(
            file.exists(),
            "there is no database {}; type this where the server's configuration is, or name it with \
             --config (`tombolo serve` makes a new database)",
            file.display()
        );
        _beside = Some(DataDir::beside(&config.data.dir)?);
    }
    let database = Database::open(config).await?;
    let done = work(&*database.store()).await;
    database.close().await;
    done
}

/// What goes on record: whoever sat at this machine did it.
fn done(action: &str, subject: String, detail: Value) -> AuditEntry {
    By::new(Actor::command_line()).entry(System.now(), action, subject, detail)
}

async fn tenant(store: &dyn Store, name: &str) -> Result<Tenant> {
    let found = store.tenant(name).await?;
    found.with_context(|| format!("there is no tenant `{name}`; see `tombolo tenant list`"))
}

/// Makes a token.
///
/// # Errors
/// If there is no such store or tenant, or the store cannot be written.
pub async fn create_token(
    config: &Config,
    (name, scopes): (String, Vec<Scope>),
    tenant_name: &str,
    days: Option<u32>,
) -> Result<String> {
    with_store(config, async |store| {
        let tenant = tenant(store, tenant_name).await?.id;
        let by = Some(By::new(Actor::command_line()));
        let new = NewToken { tenant, name, scopes, expires_in_days: days, by };
        let issued = issue_token(store, &System, &System, &System, new).await?;
        Ok(issued.token.as_str().to_owned())
    })
    .await
}

/// All tokens of a tenant, the newest first.
///
/// # Errors
/// If there is no such store or tenant, or the store cannot be read.
pub async fn tokens(config: &Config, tenant_name: &str) -> Result<Vec<Token>> {
    with_store(config, async |store| {
        let tenant = tenant(store, tenant_name).await?.id;
        let mut all: Vec<Token> = Vec::new();
        loop {
            let before = all.last().map(|token| token.id);
            let page = store.tokens(tenant, TokenPage { before, limit: PAGE }).await?;
            let last = page.len() < PAGE as usize;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    })
    .await
}

/// Takes a token back. A server takes it no more after a second.
///
/// # Errors
/// If there is no such store, tenant or token, or the store cannot be written.
pub async fn revoke_token(config: &Config, tenant_name: &str, token: TokenId) -> Result<Token> {
    with_store(config, async |store| {
        let tenant = tenant(store, tenant_name).await?.id;
        let audit = done("token-revoked", token.to_string(), json!({}));
        let revoked = store.revoke_token(tenant, token, audit).await?;
        revoked.with_context(|| format!("tenant `{tenant_name}` has no token {token}"))
    })
    .await
}

/// Makes a tenant, or finds the one of this name.
///
/// # Errors
/// If the name is none, or there is no such store, or it cannot be written.
pub async fn create_tenant(config: &Config, name: &str) -> Result<Tenant> {
    anyhow::ensure!(
        is_tenant_name(name),
        "`{name}` is no name of a tenant: 1 to {MAX_TENANT_BYTES} small letters, digits and dashes, \
         a letter first"
    );
    with_store(config, async |store| {
        let wanted = Tenant { id: TenantId::new(&System), name: name.to_owned() };
        Ok(store.ensure_tenant(wanted, System.now()).await?)
    })
    .await
}

/// All tenants by name, with what they may use.
///
/// # Errors
/// If there is no such store, or it cannot be read.
pub async fn tenants(config: &Config) -> Result<Vec<(Tenant, Quotas)>> {
    with_store(config, async |store| {
        let quotas: std::collections::HashMap<_, _> = store.quotas().await?.into_iter().collect();
        let mut all: Vec<(Tenant, Quotas)> = Vec::new();
        loop {
            let after = all.last().map(|(tenant, _)| tenant.name.clone());
            let page = store.tenants(after.as_deref(), PAGE).await?;
            let last = page.len() < PAGE as usize;
            all.extend(page.into_iter().map(|tenant| {
                let own = quotas.get(&tenant.id).copied().unwrap_or_default();
                (tenant, own)
            }));
            if last {
                return Ok(all);
            }
        }
    })
    .await
}

/// Changes what a tenant may use, and gives what holds then.
///
/// # Errors
/// If there is no such store or tenant, or the store cannot be written.
pub async fn change_quotas(
    config: &Config,
    tenant_name: &str,
    change: impl FnOnce(Quotas) -> Quotas,
) -> Result<Quotas> {
    with_store(config, async |store| {
        let tenant = tenant(store, tenant_name).await?.id;
        let all = store.quotas().await?;
        let before = all.into_iter().find(|(one, _)| *one == tenant).map(|(_, quotas)| quotas);
        let after = change(before.unwrap_or_default());
        let detail = json!({ "before": before, "after": after });
        let audit = done("quotas-set", tenant.to_string(), detail);
        let change = QuotaChange { before: before.unwrap_or_default(), after };
        store.set_quotas(tenant, change, Some(audit)).await?;
        Ok(after)
    })
    .await
}

fn is_tenant_name(name: &str) -> bool {
    name.len() <= MAX_TENANT_BYTES
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use tombolo_store::SqliteStore;

    use super::*;

    /// A configuration with a database that has the tenant `default`.
    async fn config(folder: &std::path::Path) -> Config {
        let mut config = Config::default();
        config.data.dir = folder.to_owned();
        let store =
            SqliteStore::open(&config.data.database(), config.store.sqlite()).await.unwrap();
        crate::first_start::tenant(&store).await.unwrap();
        store.close().await;
        config
    }

    #[tokio::test]
    async fn tokens_are_made_listed_and_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path()).await;
        let new = ("ci".to_owned(), vec![Scope::RunsRead]);
        let token = create_token(&config, new, "default", Some(1)).await.unwrap();
        let listed = tokens(&config, "default").await.unwrap();
        assert_eq!((listed.len(), &*listed[0].name), (1, "ci"));
        assert_eq!(listed[0].prefix.as_deref(), Some(&token[..10]));
        let revoked = revoke_token(&config, "default", listed[0].id).await.unwrap();
        assert!(revoked.revoked_at.is_some());
        assert_eq!(tokens(&config, "default").await.unwrap(), [revoked]);
        let unknown = TokenId::new(&System);
        assert!(revoke_token(&config, "default", unknown).await.is_err());
        assert!(tokens(&config, "nobody").await.is_err());
    }

    #[tokio::test]
    async fn tenants_are_made_and_have_quotas() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path()).await;
        let acme = create_tenant(&config, "acme").await.unwrap();
        assert_eq!(create_tenant(&config, "acme").await.unwrap(), acme, "made once");
        let set = |quotas: Quotas| Quotas { connections: Some(3), ..quotas };
        change_quotas(&config, "acme", set).await.unwrap();
        let set = |quotas: Quotas| Quotas { runs_per_minute: Some(60), ..quotas };
        let after = change_quotas(&config, "acme", set).await.unwrap();
        assert_eq!((after.connections, after.runs_per_minute), (Some(3), Some(60)));
        let all = tenants(&config).await.unwrap();
        let names: Vec<&str> = all.iter().map(|(tenant, _)| &*tenant.name).collect();
        assert_eq!(names, ["acme", "default"]);
        assert_eq!((all[0].1, all[1].1), (after, Quotas::default()));
        for wrong in ["", "Acme", "-a", "a/b", "a b", "1a", &"a".repeat(64)] {
            assert!(create_tenant(&config, wrong).await.is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn without_a_database_it_is_said_where_one_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data.dir = folder.path().to_owned();
        let error = tenants(&config).await.unwrap_err().to_string();
        assert!(error.contains("tombolo.db"), "{error}");
    }
}
