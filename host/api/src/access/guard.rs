//! The guard: who calls, and whether their token has the scope that the route declares.

use axum::extract::{FromRequestParts, Request};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;
use tombolo_core::audit::Actor;
use tombolo_core::id::{TenantId, TokenId};
use tombolo_core::ports::repair::By;
use tombolo_core::ports::store::{Scope, Token};

use super::token::hash;
use crate::app::App;
use crate::extract::Correlation;
use crate::problem::{Kind, Problem};

/// Who calls. Only the guard makes one, so a handler that takes it cannot be reached without a
/// token, and the tenant in it is the only one the handler sees.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub tenant: TenantId,
    pub token: TokenId,
    pub scopes: Vec<Scope>,
    /// Of the request.
    pub correlation: Correlation,
}

impl Caller {
    /// Who calls, as the record has it.
    pub fn by(&self) -> By {
        let correlation_id = Some(self.correlation.0.clone());
        By { correlation_id, ..By::new(Actor(format!("token:{}", self.token))) }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::new(Kind::Unauthorized, "this address needs a token"))
    }
}

/// Lets the request through to its handler, with the [`Caller`], if its token has the scope.
pub(crate) async fn authorize(
    app: &App,
    scope: Scope,
    mut request: Request,
    next: Next,
) -> Response {
    let correlation = request.extensions().get::<Correlation>().cloned().unwrap_or_default();
    match admit(app, scope, request.headers(), correlation).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn admit(
    app: &App,
    scope: Scope,
    headers: &HeaderMap,
    correlation: Correlation,
) -> Result<Caller, Problem> {
    let token = identify(app, headers).await?;
    if !token.scopes.contains(&scope) {
        let detail = format!("this address needs the scope `{}`, the token has not", scope.name());
        return Err(Problem::new(Kind::Forbidden, detail).with("scope", scope.name()));
    }
    Ok(Caller { tenant: token.tenant, token: token.id, scopes: token.scopes, correlation })
}

/// Whatever is presented takes the same way: one hash, one look-up by hash, one comparison in
/// constant time. What it lacks is told in the same words.
async fn identify(app: &App, headers: &HeaderMap) -> Result<Token, Problem> {
    let Some(presented) = headers.get(AUTHORIZATION) else {
        return Err(Problem::new(Kind::Unauthorized, "there is no `Authorization` header"));
    };
    let hash = hash(bearer(presented));
    let found = app.ports.store.token(hash).await?;
    let stored = found.as_ref().map_or([0; 32], |token| token.hash);
    let same: bool = stored.ct_eq(&hash).into();
    let now = app.ports.clock.now();
    found
        .filter(|token| same && token.expires_at.is_none_or(|end| now < end))
        .ok_or_else(|| Problem::new(Kind::Unauthorized, "the token is unknown or has expired"))
}

/// What follows `Bearer `; nothing if it is of another scheme, and nothing is no token.
fn bearer(value: &HeaderValue) -> &[u8] {
    let bytes = value.as_bytes();
    match bytes.split_at_checked("Bearer ".len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
        _ => b"",
    }
}
