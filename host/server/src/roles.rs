//! What a process does of all that a host does. One that does everything is the rule; where many
//! share a database, each may do a part.

use clap::ValueEnum;

/// A part of what a host does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Takes webhooks in.
    Ingress,
    /// Works on runs.
    Worker,
    /// Answers the HTTP API.
    Api,
    /// Forgets what is old, and makes up for clocks that were set back.
    Scheduler,
}

/// The parts that a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a role of its own, in any combination")]
pub struct Roles {
    pub ingress: bool,
    pub worker: bool,
    pub api: bool,
    pub scheduler: bool,
}

impl Roles {
    /// Those that are named; all, if none is.
    pub fn of(named: &[Role]) -> Self {
        let has = |role| named.is_empty() || named.contains(&role);
        Self {
            ingress: has(Role::Ingress),
            worker: has(Role::Worker),
            api: has(Role::Api),
            scheduler: has(Role::Scheduler),
        }
    }

    /// True if other processes have to do the rest.
    pub fn are_a_part(self) -> bool {
        self != Self::of(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_named_means_all() {
        assert!(!Roles::of(&[]).are_a_part());
        let roles = Roles::of(&[Role::Ingress, Role::Api]);
        assert!(roles.ingress && roles.api && !roles.worker && !roles.scheduler);
        assert!(roles.are_a_part());
    }
}
