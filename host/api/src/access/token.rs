//! Making tokens. The token itself is shown once and never stored: the store has its SHA-256.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest, Sha256};
use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::{Clock, Timestamp};
use tombolo_core::id::{IdSource, TenantId, TokenId};
use tombolo_core::ports::repair::By;
use tombolo_core::ports::store::{Scope, Store, StoreError, Token};
use zeroize::Zeroizing;

use crate::app::App;

/// What every token starts with, so that a leaked one is recognised.
pub(crate) const PREFIX: &str = "tbl_";

/// Random bytes of a token: 43 characters of base64url.
const RANDOM_BYTES: usize = 32;

/// How much of a token may be shown: enough to recognise it, too little to guess it.
const SHOWN: usize = PREFIX.len() + 6;

/// Longest name of a token, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 100;

/// Longest life of a token with an end, in days.
pub(crate) const MAX_DAYS: u32 = 3_650;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub use tombolo_core::random::Randomness;

/// What a new token should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Whose it is.
    pub tenant: TenantId,
    /// What people call it; 1 to 100 bytes.
    pub name: String,
    /// What it may be used for; at least one.
    pub scopes: Vec<Scope>,
    /// When it stops working: in so many days, at most 3,650. None for never.
    pub expires_in_days: Option<u32>,
    /// Who makes it, for the record.
    pub by: Option<By>,
}

/// A token that was just made. `Debug` does not show it.
pub struct IssuedToken {
    /// The token: `tbl_` and 43 characters. Shown once.
    pub token: Zeroizing<String>,
    /// What the store has of it.
    pub stored: Token,
}

impl IssuedToken {
    /// The beginning of the token, to recognise it.
    pub fn prefix(&self) -> &str {
        &self.token[..SHOWN]
    }
}

impl std::fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedToken").field("stored", &self.stored.id).finish_non_exhaustive()
    }
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// Not a name.
    #[error("a token's name has 1 to {MAX_NAME_BYTES} bytes")]
    Name,
    /// No scope.
    #[error("a token needs at least one scope")]
    NoScope,
    /// Not a life.
    #[error("a token lives 1 to {MAX_DAYS} days, or without an end")]
    Days,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a token and stores its hash. For the first start, the command line and the API alike.
pub async fn issue_token(
    store: &dyn Store,
    clock: &dyn Clock,
    ids: &dyn IdSource,
    randomness: &dyn Randomness,
    new: NewToken,
) -> Result<IssuedToken, IssueError> {
    check(&new)?;
    let token = generate(randomness);
    let now = clock.now();
    // A scope that is named twice is one.
    let scopes: BTreeSet<Scope> = new.scopes.into_iter().collect();
    let stored = Token {
        id: TokenId::new(ids),
        tenant: new.tenant,
        name: new.name,
        hash: hash(token.as_bytes()),
        scopes: scopes.into_iter().collect(),
        created_at: now,
        expires_at: new.expires_in_days.map(|days| end_of(now, days)),
        prefix: Some(token[..SHOWN].to_owned()),
        last_used_at: None,
        revoked_at: None,
    };
    let audit = new.by.map(|by| made(by, &stored));
    store.put_token(stored.clone(), audit).await?;
    Ok(IssuedToken { token, stored })
}

/// What goes on record of a new token: all but the token.
fn made(by: By, token: &Token) -> AuditEntry {
    let detail = json!({
        "before": null,
        "after": { "name": token.name, "scopes": token.scopes, "expires_at": token.expires_at },
    });
    by.entry(token.created_at, "token-created", token.id.to_string(), detail)
}

/// [`issue_token`] with the ports of the API.
pub(crate) async fn issue_for(app: &App, new: NewToken) -> Result<IssuedToken, IssueError> {
    let ports = &app.ports;
    issue_token(&*ports.store, &*ports.clock, &*ports.ids, &*ports.randomness, new).await
}

/// What the store has of a token. SHA-256 is enough: a token has 256 random bits, there is no
/// dictionary to try.
pub fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn check(new: &NewToken) -> Result<(), IssueError> {
    if !(1..=MAX_NAME_BYTES).contains(&new.name.trim().len()) {
        return Err(IssueError::Name);
    }
    if new.scopes.is_empty() {
        return Err(IssueError::NoScope);
    }
    if new.expires_in_days.is_some_and(|days| !(1..=MAX_DAYS).contains(&days)) {
        return Err(IssueError::Days);
    }
    Ok(())
}

fn end_of(now: Timestamp, days: u32) -> Timestamp {
    now.plus(DAY * days)
}

fn generate(randomness: &dyn Randomness) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
    randomness.fill(&mut *bytes);
    let mut token = Zeroizing::new(String::with_capacity(PREFIX.len() + 43));
    token.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(*bytes, &mut token);
    token
}
