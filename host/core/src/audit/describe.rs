//! What was before and what is after, for changes whose before only the store knows: it says so in
//! the transaction that changes it. Never a secret, but whether one was replaced.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::AuditEntry;
use crate::id::{ContentHash, RunId};
use crate::ports::egress::{Auth, Connection};
use crate::secret::Sealed;

/// A version of a workflow, as far as the record names it.
#[derive(Debug, Clone, Copy)]
pub struct VersionShape<'a> {
    /// Counted from 1.
    pub version: u32,
    /// The file.
    pub definition: &'a str,
    /// Which component each plugin's name means.
    pub pins: &'a BTreeMap<String, ContentHash>,
}

impl VersionShape<'_> {
    fn value(&self) -> Value {
        json!({
            "version": self.version,
            "definition_sha256": ContentHash::of(self.definition.as_bytes()),
            "pins": self.pins,
        })
    }
}

/// Says which version was live before, and which is now.
pub fn workflow_applied(
    entry: AuditEntry,
    before: Option<VersionShape<'_>>,
    after: VersionShape<'_>,
) -> AuditEntry {
    let before = before.map_or(Value::Null, |before| before.value());
    entry.with(&[("before", before), ("after", after.value())])
}

/// What a connection was before it was set.
#[derive(Debug, Clone, Copy)]
pub enum ConnectionBefore<'a> {
    /// There was none of that name.
    None,
    /// This one.
    Was(&'a Connection),
    /// One whose row is damaged.
    Unreadable,
}

/// Says what a connection was before, and what it is now.
pub fn connection_put(
    entry: AuditEntry,
    before: ConnectionBefore<'_>,
    after: &Connection,
) -> AuditEntry {
    let (was, told) = match before {
        ConnectionBefore::None => (None, Value::Null),
        ConnectionBefore::Was(was) => (Some(was), connection(was)),
        ConnectionBefore::Unreadable => (None, json!("unreadable")),
    };
    let replaced: Vec<&str> = [
        ("auth", secret(&after.auth) != was.and_then(|was| secret(&was.auth))),
        ("signing", after.signing.as_ref() != was.and_then(|was| was.signing.as_ref())),
    ]
    .into_iter()
    .filter_map(|(name, replaced)| replaced.then_some(name))
    .collect();
    entry.with(&[
        ("before", told),
        ("after", connection(after)),
        ("secrets_replaced", json!(replaced)),
    ])
}

/// Says which runs an event has started, or has joined.
pub fn runs_started(entry: AuditEntry, runs: &[RunId]) -> AuditEntry {
    entry.with(&[("runs", json!(runs))])
}

/// A connection without its secrets.
fn connection(connection: &Connection) -> Value {
    let named = match &connection.auth {
        Auth::None | Auth::Bearer { .. } => None,
        Auth::Basic { user, .. } => Some(user),
        Auth::Header { name, .. } | Auth::Query { name, .. } => Some(name),
    };
    json!({
        "base_url": connection.base_url,
        "auth": { "kind": connection.auth.kind(), "name": named },
        "has_signing_secret": connection.signing.is_some(),
        "allowed_hosts": connection.allowed_hosts,
        "limits": connection.limits,
        "paused": connection.paused.is_some(),
    })
}

/// The secret as it is sealed: another seal is another secret, or the same one sent again.
fn secret(auth: &Auth) -> Option<&Sealed> {
    match auth {
        Auth::None => None,
        Auth::Bearer { token: sealed }
        | Auth::Basic { password: sealed, .. }
        | Auth::Header { value: sealed, .. }
        | Auth::Query { value: sealed, .. } => Some(sealed),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::audit::testing::{entry, tenant};
    use crate::clock::Timestamp;
    use crate::id::ConnectionId;
    use crate::ports::egress::CallLimits;

    fn crm(auth: Auth) -> Connection {
        Connection {
            id: ConnectionId(Uuid::nil()),
            tenant: tenant(1),
            name: "crm".to_owned(),
            base_url: Some("https://crm.example.com".to_owned()),
            auth,
            signing: None,
            allowed_hosts: Vec::new(),
            limits: CallLimits::default(),
            updated_at: Timestamp(0),
            paused: None,
        }
    }

    fn basic(password: u8) -> Auth {
        Auth::Basic { user: "me".to_owned(), password: Sealed(vec![password; 40]) }
    }

    #[test]
    fn a_connection_is_told_before_and_after_without_its_secrets() {
        let (old, new) = (crm(Auth::None), crm(basic(201)));
        let made = connection_put(entry(1), ConnectionBefore::None, &old).detail;
        assert_eq!((&made["before"], &made["reason"]), (&Value::Null, &json!(1)));
        assert_eq!(made["secrets_replaced"], json!([]));

        let changed = connection_put(entry(1), ConnectionBefore::Was(&old), &new).detail;
        assert_eq!(changed["before"], made["after"]);
        assert_eq!(changed["after"]["auth"], json!({"kind": "basic", "name": "me"}));
        assert_eq!(changed["secrets_replaced"], json!(["auth"]));
        assert!(!changed.to_string().contains("201"), "{changed}");

        let unreadable = connection_put(entry(1), ConnectionBefore::Unreadable, &new).detail;
        assert_eq!(unreadable["before"], "unreadable");
        let kept = connection_put(entry(1), ConnectionBefore::Was(&new), &new).detail;
        assert_eq!(kept["secrets_replaced"], json!([]));
        let replaced = connection_put(entry(1), ConnectionBefore::Was(&new), &crm(basic(2))).detail;
        assert_eq!(replaced["secrets_replaced"], json!(["auth"]));
    }

    #[test]
    fn a_version_is_named_by_the_hash_of_its_file() {
        let pins = BTreeMap::new();
        let version = |version, definition| VersionShape { version, definition, pins: &pins };
        let told = workflow_applied(entry(1), Some(version(1, "{}")), version(2, "{ }")).detail;
        let hash = ContentHash::of(b"{}").to_string();
        assert_eq!(told["before"], json!({"version": 1, "definition_sha256": hash, "pins": {}}));
        assert_eq!(told["after"]["version"], 2);
    }
}
