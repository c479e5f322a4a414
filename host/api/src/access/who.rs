//! Who calls.

use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tombolo_core::audit::Actor;
use tombolo_core::id::{TenantId, TokenId};
use tombolo_core::ports::repair::By;
use tombolo_core::ports::store::Scope;

use crate::extract::Correlation;
use crate::problem::{Kind, Problem};

/// By what somebody is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// An API token.
    Token(TokenId),
    /// A person or program whom the issuer vouches for: its `sub`.
    Subject(String),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(token) => write!(f, "token:{token}"),
            Self::Subject(subject) => write!(f, "oidc:{subject}"),
        }
    }
}

/// Whom a token is of, and what it may.
#[derive(Debug)]
pub(crate) struct Identity {
    pub tenant: TenantId,
    pub who: Who,
    pub scopes: Vec<Scope>,
}

impl Identity {
    /// Calls with a request of this id.
    pub fn calls(self, correlation: Correlation) -> Caller {
        let Self { tenant, who, scopes } = self;
        Caller { tenant, who, scopes, correlation }
    }
}

/// Who calls. Only the guard makes one, so a handler that takes it cannot be reached without a
/// token, and the tenant in it is the only one the handler sees.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub tenant: TenantId,
    pub who: Who,
    pub scopes: Vec<Scope>,
    /// Of the request.
    pub correlation: Correlation,
}

impl Caller {
    /// Who calls, as the record has it.
    pub fn by(&self) -> By {
        let correlation_id = Some(self.correlation.0.clone());
        By { correlation_id, ..By::new(Actor(self.who.to_string())) }
    }

    /// Refuses to give a scope that the caller does not have.
    pub fn may_give(&self, scopes: &[Scope]) -> Result<(), Problem> {
        match scopes.iter().find(|scope| !self.scopes.contains(scope)) {
            None => Ok(()),
            Some(scope) => {
                let detail = format!("your token does not have `{}` itself", scope.name());
                Err(Problem::new(Kind::ScopeExceeded, detail).with("scope", scope.name()))
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::new(Kind::Unauthorized, "this address needs a token"))
    }
}
