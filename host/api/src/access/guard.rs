//! The guard: who calls, how often, and whether their token has the scope that the route declares.

use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;
use tombolo_core::clock::Timestamp;
use tombolo_core::ports::store::{Scope, Store};

use super::gate::Gate;
use super::oidc::looks_signed;
use super::token::hash;
use super::who::{Caller, Identity, Who};
use crate::app::App;
use crate::extract::Correlation;
use crate::problem::{Kind, Problem};

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
    let (gate, now) = (&*app.ports.gate, app.ports.clock.now());
    let Some(presented) = headers.get(AUTHORIZATION) else {
        return Err(Problem::new(Kind::Unauthorized, "there is no `Authorization` header"));
    };
    let (store, presented) = (&*app.ports.store, bearer(presented));
    let identity = match &gate.issuer {
        Some(issuer) if looks_signed(presented) => issuer.identify(store, presented, now).await?,
        _ => by_token(gate, store, presented, now).await?,
    };
    gate.rates.take(&identity.who, now).map_err(|wait| {
        let limit = gate.rates.per_minute();
        let detail =
            format!("the token may make {limit} requests a minute (access.requests_per_minute)");
        Problem::new(Kind::RateLimited, detail).with("limit", limit).retry_after(wait)
    })?;
    if !identity.scopes.contains(&scope) {
        let detail = format!("this address needs the scope `{}`, the token has not", scope.name());
        return Err(Problem::new(Kind::Forbidden, detail).with("scope", scope.name()));
    }
    Ok(identity.calls(correlation))
}

/// Whatever is presented takes the same way: one hash, one look-up by hash, one comparison in
/// constant time. What it lacks is told in the same words.
async fn by_token(
    gate: &Gate,
    store: &dyn Store,
    presented: &[u8],
    now: Timestamp,
) -> Result<Identity, Problem> {
    let hash = hash(presented);
    let found = match gate.known.get(&hash, now) {
        Some(token) => Some(token),
        None => {
            let found = store.token(hash).await?;
            if let Some(token) = &found {
                gate.known.put(token, now);
            }
            found
        }
    };
    let stored = found.as_ref().map_or([0; 32], |token| token.hash);
    let same: bool = stored.ct_eq(&hash).into();
    let token = found
        .filter(|token| same && token.works(now))
        .ok_or_else(|| Problem::new(Kind::Unauthorized, "the token is unknown or has expired"))?;
    gate.uses.note(&token, now);
    Ok(Identity { tenant: token.tenant, who: Who::Token(token.id), scopes: token.scopes })
}

/// What follows `Bearer `; nothing if it is of another scheme, and nothing is no token.
fn bearer(value: &HeaderValue) -> &[u8] {
    let bytes = value.as_bytes();
    match bytes.split_at_checked("Bearer ".len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
        _ => b"",
    }
}
