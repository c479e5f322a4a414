//! What the first start leaves behind: the tenant `default`, and a token for this machine.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use tombolo_api::{NewToken, hash_token, issue_token};
use tombolo_core::audit::Actor;
use tombolo_core::clock::Clock;
use tombolo_core::id::TenantId;
use tombolo_core::ports::repair::By;
use tombolo_core::ports::store::{Access, Scope, Store, Tenant};
use zeroize::Zeroizing;

use crate::system::System;

/// The tenant of a host that has only one.
pub const DEFAULT_TENANT: &str = "default";

/// The name of the token for this machine.
const ADMIN: &str = "admin";

/// Makes what is missing.
///
/// # Errors
/// If the store or the data folder cannot be read and written.
pub async fn prepare(store: &dyn Store, token_file: &Path) -> Result<Tenant> {
    let tenant = tenant(store).await?;
    if !has_good_token(store, token_file).await? {
        let new = NewToken {
            tenant: tenant.id,
            name: ADMIN.to_owned(),
            scopes: Scope::ALL.to_vec(),
            expires_in_days: None,
            by: Some(By::new(Actor::host())),
        };
        let issued = issue_token(store, &System, &System, &System, new).await?;
        write_private(token_file, issued.token.as_bytes())
            .with_context(|| format!("{} cannot be written", token_file.display()))?;
    }
    Ok(tenant)
}

/// The tenant [`DEFAULT_TENANT`], made if it is missing.
///
/// # Errors
/// If the store cannot be written.
pub async fn tenant(store: &dyn Store) -> Result<Tenant> {
    let wanted = Tenant { id: TenantId::new(&System), name: DEFAULT_TENANT.to_owned() };
    Ok(Access::ensure_tenant(store, wanted, System.now()).await?)
}

/// True if the file holds a token that need not be made anew. A token of an earlier version lacks
/// the scopes that came since; it stays as it is, and another one takes its place in the file. So it
/// is with one that was taken back: whoever may read the file may make a token all the same.
async fn has_good_token(store: &dyn Store, path: &Path) -> Result<bool> {
    let text = match std::fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be read", path.display()));
        }
    };
    let token = text.trim_ascii();
    // An empty file is what a full disk or a crash may have left of an earlier first start.
    if token.is_empty() {
        return Ok(false);
    }
    let stored = Access::token(store, hash_token(token)).await?;
    // One that somebody else has put there is not ours to replace.
    let Some(stored) = stored.filter(|stored| stored.name == ADMIN) else {
        return Ok(true);
    };
    Ok(stored.works(System.now()) && Scope::ALL.iter().all(|scope| stored.scopes.contains(scope)))
}

/// All of the file or nothing, also after a power cut; readable for its owner only.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // Made with the mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tombolo_store::{SqliteSettings, SqliteStore};

    use tombolo_api::{NewToken, hash_token, issue_token};
    use tombolo_core::audit::Actor;
    use tombolo_core::clock::Clock;
    use tombolo_core::ports::repair::By;
    use tombolo_core::ports::store::{Access, Scope};

    use super::prepare;
    use crate::system::System;

    #[tokio::test]
    async fn the_token_is_made_once_and_an_empty_one_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("tombolo.db");
        let store = SqliteStore::open(&database, SqliteSettings::default()).await.unwrap();
        let file = folder.path().join("admin.token");
        prepare(&store, &file).await.unwrap();
        let first = std::fs::read_to_string(&file).unwrap();
        assert!(first.starts_with("tbl_"), "a token");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        prepare(&store, &file).await.unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), first);
        std::fs::write(&file, "\n").unwrap();
        prepare(&store, &file).await.unwrap();
        let second = std::fs::read_to_string(&file).unwrap();
        assert!(second.starts_with("tbl_") && second != first, "a new token");
    }

    #[tokio::test]
    async fn a_token_of_an_earlier_version_gets_a_successor_with_the_new_scopes() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("tombolo.db");
        let store = SqliteStore::open(&database, SqliteSettings::default()).await.unwrap();
        let tenant = super::tenant(&store).await.unwrap().id;
        let file = folder.path().join("admin.token");
        let put = async |name: &str| {
            let scopes = vec![Scope::RunsRead, Scope::TokensWrite];
            let new =
                NewToken { tenant, name: name.to_owned(), scopes, expires_in_days: None, by: None };
            let issued = issue_token(&store, &System, &System, &System, new).await.unwrap();
            std::fs::write(&file, issued.token.as_bytes()).unwrap();
            issued
        };
        let old = put("admin").await;
        prepare(&store, &file).await.unwrap();
        let text = std::fs::read(&file).unwrap();
        let new = Access::token(&store, hash_token(&text)).await.unwrap().unwrap();
        assert_eq!(new.scopes, Scope::ALL);
        let kept = Access::token(&store, old.stored.hash).await.unwrap();
        assert_eq!(kept.map(|token| token.scopes), Some(old.stored.scopes), "it works as before");

        let by = By::new(Actor::command_line());
        let subject = new.id.to_string();
        let audit = by.entry(System.now(), "token-revoked", subject, serde_json::json!({}));
        store.revoke_token(tenant, new.id, audit).await.unwrap();
        prepare(&store, &file).await.unwrap();
        assert_ne!(std::fs::read(&file).unwrap(), text, "that one works no more");

        let own = put("mine").await;
        prepare(&store, &file).await.unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), own.token.as_bytes(), "not ours to replace");
    }
}
