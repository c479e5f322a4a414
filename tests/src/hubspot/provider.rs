//! HubSpot as a provider of the shared stand-in server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::Value;

use super::crm::{Crm, ObjectType};
use super::{TOKEN, error, routes, seed};
use crate::standin::{Provider, Standin, StartError, json_response};

/// Calls a private app may make in ten seconds, as told in the answer's headers.
const TEN_SECONDLY_LIMIT: u64 = 100;

/// Starts a seeded HubSpot on loopback that takes [`TOKEN`].
///
/// # Errors
/// If no port is free.
pub async fn start() -> Result<Standin<HubSpot>, StartError> {
    Standin::start(HubSpot::new(TOKEN)).await
}

/// Starts a seeded HubSpot at this address, with this token.
///
/// # Errors
/// If the address is taken.
pub async fn start_at(address: SocketAddr, token: &str) -> Result<Standin<HubSpot>, StartError> {
    Standin::start_at(HubSpot::new(token), address).await
}

/// The objects of one portal, and the token that opens it.
pub struct HubSpot {
    token: String,
    crm: Mutex<Crm>,
}

impl HubSpot {
    /// A portal with the seeded deal, company and contact.
    pub fn new(token: &str) -> Self {
        Self { token: token.to_owned(), crm: Mutex::new(seed::crm()) }
    }

    /// Adds or replaces an object under this id; an unknown property becomes a custom one.
    pub fn insert(&self, kind: ObjectType, id: u64, properties: &[(&str, &str)]) {
        self.crm().insert(kind, id, properties);
    }

    /// Adds a custom property, which from then on may be set and asked for.
    pub fn define_property(&self, kind: ObjectType, name: &str) {
        self.crm().define_property(kind, name);
    }

    /// A property's value, if object and value are there.
    pub fn property(&self, kind: ObjectType, id: u64, name: &str) -> Option<String> {
        self.crm().object(kind, id)?.properties.get(name).cloned()
    }

    pub(super) fn crm(&self) -> MutexGuard<'_, Crm> {
        self.crm.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn accepts(&self, token: &str) -> bool {
        self.token == token
    }
}

impl Provider for HubSpot {
    fn name(&self) -> &'static str {
        "hubspot"
    }

    fn base_path(&self) -> &'static str {
        "/crm/v3/objects"
    }

    fn router(self: Arc<Self>) -> Router {
        routes::router(self)
    }

    fn is_write(&self, method: &Method, path: &str) -> bool {
        !method.is_safe() && !path.ends_with("/search")
    }

    fn rate_limited(&self, retry_after_s: u64) -> Response<Body> {
        let mut response = json_response(StatusCode::TOO_MANY_REQUESTS, &error::rate_limit());
        let headers = response.headers_mut();
        headers.insert("retry-after", retry_after_s.into());
        headers.insert("x-hubspot-ratelimit-max", TEN_SECONDLY_LIMIT.into());
        headers.insert("x-hubspot-ratelimit-remaining", HeaderValue::from_static("0"));
        headers
            .insert("x-hubspot-ratelimit-interval-milliseconds", HeaderValue::from_static("10000"));
        response
    }

    fn failure(&self, _status: StatusCode) -> Value {
        error::internal()
    }

    fn objects(&self) -> Value {
        let crm = self.crm();
        ObjectType::ALL
            .iter()
            .map(|kind| (kind.name().to_owned(), crm.all_json(*kind)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    fn reset(&self) {
        *self.crm() = seed::crm();
    }
}
