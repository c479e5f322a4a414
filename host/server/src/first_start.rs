//! What the first start leaves behind: the tenant `default`, and a token for this machine.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use tombolo_api::{NewToken, issue_token};
use tombolo_core::clock::Clock;
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{Access, Scope, Store, Tenant};

use crate::system::System;

/// The tenant of a host that has only one.
pub const DEFAULT_TENANT: &str = "default";

/// Makes what is missing.
///
/// # Errors
/// If the store or the data folder cannot be written.
pub async fn prepare(store: &dyn Store, token_file: &Path) -> Result<Tenant> {
    let tenant = tenant(store, DEFAULT_TENANT).await?;
    if !token_file.exists() {
        let new = NewToken {
            tenant: tenant.id,
            name: "admin".to_owned(),
            scopes: Scope::ALL.to_vec(),
            expires_in_days: None,
        };
        let issued = issue_token(store, &System, &System, &System, new).await?;
        write_private(token_file, issued.token.as_bytes())?;
    }
    Ok(tenant)
}

/// The tenant of that name, made if it is missing.
///
/// # Errors
/// If the store cannot be written.
pub async fn tenant(store: &dyn Store, name: &str) -> Result<Tenant> {
    let wanted = Tenant { id: TenantId::new(&System), name: name.to_owned() };
    Ok(Access::ensure_tenant(store, wanted, System.now()).await?)
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .with_context(|| format!("{} cannot be written", path.display()))
}
