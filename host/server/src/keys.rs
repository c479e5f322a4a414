//! The master key: where it comes from, and whether it is the one that the stored secrets were
//! sealed under. A key is made only where no secret is lost by it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use tombolo_core::id::TenantId;
use tombolo_core::ports::egress::{Auth, Connection};
use tombolo_core::ports::store::{Access, Catalog, Store};
use tombolo_core::ports::vault::VaultError;
use tombolo_core::secret::Sealed;
use tombolo_vault::{MasterKey, SealingVault};

use crate::config::Config;
use crate::first_start::DEFAULT_TENANT;
use crate::system::System;

/// The vault for what is stored: under the key of the variable or the file, or under a new one if
/// there is neither and nothing to open.
///
/// # Errors
/// If the key cannot be read, or if a stored secret was sealed under another one: the text names
/// the ids of both, and the connections.
pub async fn vault(
    config: &Config,
    store: &dyn Store,
    if_missing: IfMissing,
) -> Result<SealingVault> {
    let connections = connections(store).await?;
    let found = configured(config)?;
    let missing = found.is_none();
    // A missing key is compared as one that sealed nothing, before anything is written.
    let vault = vault_of(found.unwrap_or_else(|| MasterKey::generate(&System)))?;
    let mut foreign = foreign_keys(&vault, &connections);
    foreign.retain(|key, _| !config.vault.lost_keys.contains(key));
    if !foreign.is_empty() {
        bail!(refusal(config, (!missing).then_some(&vault), &foreign));
    }
    match if_missing {
        _ if !missing => Ok(vault),
        IfMissing::Make => {
            vault_of(MasterKey::create(&config.vault.key_file(&config.data), &System)?)
        }
        IfMissing::Refuse => bail!(
            "there is no master key: processes that share a database need the same one. Make it once, 32 \
             random bytes in hexadecimal (openssl rand -hex 32), keep it well, and put it into the \
             variable {} or the file {} of each",
            config.vault.key_env,
            config.vault.key_file(&config.data).display()
        ),
    }
}

/// What becomes of a missing key where nothing was sealed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMissing {
    /// It is made: nobody else has one.
    Make,
    /// The start is refused: another process would make another one.
    Refuse,
}

/// A vault whose key nobody else has, for work that opens no stored secret.
///
/// # Errors
/// Never for a single key; what the vault says otherwise.
pub fn throw_away() -> Result<SealingVault> {
    vault_of(MasterKey::generate(&System))
}

fn vault_of(key: MasterKey) -> Result<SealingVault> {
    Ok(SealingVault::new(key, Vec::new())?)
}

/// The key of the variable, else of the file; none if there is neither.
fn configured(config: &Config) -> Result<Option<MasterKey>> {
    let variable = &config.vault.key_env;
    #[expect(
        clippy::disallowed_methods,
        reason = "the operator named this variable as the place of the key"
    )]
    if let Ok(text) = std::env::var(variable) {
        let key = MasterKey::parse(&text)
            .with_context(|| format!("the variable {variable} holds no master key"))?;
        return Ok(Some(key));
    }
    let file = config.vault.key_file(&config.data);
    Ok(if file.exists() { Some(MasterKey::load(&file)?) } else { None })
}

/// The connections of the first tenant and of all that have a live workflow: the store does not
/// list tenants, and one without either has nothing that would call out.
async fn connections(store: &dyn Store) -> Result<Vec<Connection>> {
    let live = Catalog::live_workflows(store).await?;
    let mut tenants: BTreeSet<TenantId> = live.iter().map(|version| version.tenant).collect();
    tenants.extend(Access::tenant(store, DEFAULT_TENANT).await?.map(|tenant| tenant.id));
    let mut connections = Vec::new();
    for tenant in tenants {
        connections.extend(Catalog::connections(store, tenant).await?);
    }
    Ok(connections)
}

/// Ids of keys that this vault does not have, with the connections whose secrets need them.
fn foreign_keys(vault: &SealingVault, connections: &[Connection]) -> BTreeMap<String, Vec<String>> {
    let mut foreign: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for connection in connections {
        for sealed in secrets(connection) {
            match vault.check(sealed) {
                Ok(_) => {}
                Err(VaultError::UnknownKey { key_id }) => {
                    let names = foreign.entry(key_id).or_default();
                    if names.last() != Some(&connection.name) {
                        names.push(connection.name.clone());
                    }
                }
                // One broken secret is no reason to keep all others from work.
                Err(error) => {
                    tracing::error!(connection = connection.name, %error, "set this connection again");
                }
            }
        }
    }
    foreign
}

fn secrets(connection: &Connection) -> impl Iterator<Item = &Sealed> {
    let credential = match &connection.auth {
        Auth::None => None,
        Auth::Bearer { token: sealed }
        | Auth::Basic { password: sealed, .. }
        | Auth::Header { value: sealed, .. }
        | Auth::Query { value: sealed, .. } => Some(sealed),
    };
    credential.into_iter().chain(&connection.signing)
}

fn refusal(
    config: &Config,
    vault: Option<&SealingVault>,
    foreign: &BTreeMap<String, Vec<String>>,
) -> String {
    let (variable, file) = (&config.vault.key_env, config.vault.key_file(&config.data));
    let start = match vault {
        Some(vault) => format!("the master key is another one ({})", vault.current_key()),
        None => format!(
            "the master key is gone: there is no {}, and {variable} is not set",
            file.display()
        ),
    };
    let needs = foreign
        .iter()
        .map(|(key, names)| format!("\n  key {key} sealed the secrets of: {}", names.join(", ")));
    let ids: Vec<String> = foreign.keys().map(|key| format!("\"{key}\"")).collect();
    format!(
        "{start}{}\n  help: put that key back into the file or the variable. Only if it is lost for good, set \
         vault.lost_keys = [{}] and then these connections again.",
        needs.collect::<String>(),
        ids.join(", ")
    )
}

#[cfg(test)]
mod tests;
