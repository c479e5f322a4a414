//! First answers by idempotency key, for providers that honour such keys.
//!
//! One key is worked on by one call at a time. Only successful work is remembered, so that a
//! failed first attempt can be tried again. Never decides whether keys are honoured.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// What makes two calls the same request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint {
    pub method: Method,
    pub path: String,
    pub body: Bytes,
}

/// A first answer and what it answered.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    request: Fingerprint,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Kept {
    pub fn new(request: Fingerprint, response: &Response<Bytes>) -> Self {
        Self {
            request,
            status: response.status(),
            headers: response.headers().clone(),
            body: response.body().clone(),
        }
    }

    /// The first answer; nothing if the key was for a different request.
    pub fn replay(&self, request: &Fingerprint) -> Option<Response<Bytes>> {
        if self.request != *request {
            return None;
        }
        let mut response = Response::new(self.body.clone());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        Some(response)
    }
}

/// The place of one key, held while its call is worked on.
pub(super) type Place = OwnedMutexGuard<Option<Kept>>;

/// All keys seen while keys were honoured; as many as there are recorded calls at most.
#[derive(Debug, Default)]
pub(super) struct FirstAnswers(Mutex<HashMap<String, Arc<AsyncMutex<Option<Kept>>>>>);

impl FirstAnswers {
    /// Waits until no other call with this key is being worked on.
    pub async fn place(&self, key: &str) -> Place {
        let place = {
            let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(places.entry(key.to_owned()).or_default())
        };
        place.lock_owned().await
    }

    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
