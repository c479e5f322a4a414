//! Roles: named sets of scopes. Each holds the one before it.
//!
//! A role is a short way to write scopes. A token keeps the scopes and not the name, so that a role
//! that grows in a later version gives nobody more than they were given.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ports::store::Scope;

/// What somebody is there for. The table stands in `docs/access.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Starts, cancels and repairs runs.
    Operator,
    /// Changes workflows, plugins and connections.
    Editor,
    /// Gives access, and looks at what people did.
    Admin,
}

/// A name that no role has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no role `{0}`; there are viewer, operator, editor, admin")]
pub struct UnknownRole(pub String);

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Editor, Self::Admin];

    /// The name as written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    /// True if whoever has the role has the scope.
    pub fn has(self, scope: Scope) -> bool {
        let least = match scope {
            Scope::PluginsRead
            | Scope::WorkflowsRead
            | Scope::ConnectionsRead
            | Scope::RunsRead
            | Scope::TenantRead => Self::Viewer,
            Scope::RunsWrite | Scope::RunsRepair => Self::Operator,
            Scope::PluginsWrite | Scope::WorkflowsWrite | Scope::ConnectionsWrite => Self::Editor,
            Scope::TokensRead | Scope::TokensWrite | Scope::AuditRead => Self::Admin,
        };
        least <= self
    }

    /// What it may be used for.
    pub fn scopes(self) -> Vec<Scope> {
        Scope::ALL.into_iter().filter(|scope| self.has(*scope)).collect()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_holds_the_one_before_it_and_more() {
        for pair in Role::ALL.windows(2) {
            let (less, more) = (pair[0].scopes(), pair[1].scopes());
            assert!(less.iter().all(|scope| more.contains(scope)) && less.len() < more.len());
        }
        assert_eq!(Role::Admin.scopes(), Scope::ALL);
        let writes = |scope: &Scope| !scope.name().ends_with(":read");
        assert!(!Role::Viewer.scopes().iter().any(writes));
    }

    #[test]
    fn the_manual_has_the_same_table() {
        let manual = include_str!("../../../docs/access.md");
        for role in Role::ALL {
            let own =
                |scope: &Scope| Role::ALL.into_iter().find(|role| role.has(*scope)) == Some(role);
            let names: Vec<String> = role
                .scopes()
                .iter()
                .filter(|s| own(s))
                .map(|s| format!("`{}`", s.name()))
                .collect();
            let line = format!("| `{role}` | {} |", names.join(", "));
            assert!(manual.contains(&line), "docs/access.md lacks: {line}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
        assert!("root".parse::<Role>().is_err());
    }
}
