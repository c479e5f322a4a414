//! The issuer's keys, kept: read when they are first needed, again in the background, and when a
//! token names one that is not known. Whoever makes up key ids causes one reading in
//! [`REFETCH_EVERY`], however many they are.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::Uri;
use serde_json::{Map, Value};
use tombolo_core::clock::{Clock, Timestamp};
use tombolo_core::json::parse;
use tombolo_core::ports::documents::Documents;

use super::jws::{Invalid, Jws};
use super::keys::Keys;

/// How long after a reading nothing is read again on behalf of a token.
pub(super) const REFETCH_EVERY: Duration = Duration::from_secs(30);

/// How long keys count that could not be read again: what the issuer took back meanwhile must not
/// hold for ever.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Where an issuer tells of itself (OpenID Connect Discovery 1.0, section 4).
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Why a token was not checked, or not found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unchecked {
    /// It is not good.
    Invalid(Invalid),
    /// There are no keys to check it with.
    NoKeys,
}

impl From<Invalid> for Unchecked {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

/// See the module.
pub(super) struct KeyCache {
    issuer: String,
    documents: Arc<dyn Documents>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Held while the issuer is asked: one at a time.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    keys: Arc<Keys>,
    /// When these keys were read.
    read_at: Option<Timestamp>,
    /// When the issuer was asked last, whatever came of it.
    asked_at: Option<Timestamp>,
}

impl KeyCache {
    pub fn new(issuer: String, documents: Arc<dyn Documents>, clock: Arc<dyn Clock>) -> Self {
        let (state, asking) = Default::default();
        Self { issuer, documents, clock, state, asking }
    }

    /// The claims, if a key of the issuer has signed them.
    pub async fn check(self: &Arc<Self>, jws: &Jws<'_>) -> Result<Map<String, Value>, Unchecked> {
        match self.keys() {
            Some(keys) if keys.of(jws).is_ok() => return Ok(jws.check(keys.of(jws)?)?),
            _ => self.read_for_a_token().await,
        }
        let keys = self.keys().ok_or(Unchecked::NoKeys)?;
        Ok(jws.check(keys.of(jws)?)?)
    }

    /// The keys, if they are not too old.
    fn keys(&self) -> Option<Arc<Keys>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        state.read_at.filter(|at| now.since(*at) < MAX_AGE).map(|_| Arc::clone(&state.keys))
    }

    /// Reads the keys, unless that was done a moment ago. Beside the request: whoever hangs up does
    /// not stop what others wait for, too.
    async fn read_for_a_token(self: &Arc<Self>) {
        let this = Arc::clone(self);
        let reading = tokio::spawn(async move {
            let _one = this.asking.lock().await;
            if !this.asked_lately() {
                this.read().await;
            }
        });
        if let Err(error) = reading.await {
            tracing::error!(%error, "the reading of the issuer's keys ended badly");
        }
    }

    fn asked_lately(&self) -> bool {
        let now = self.clock.now();
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back makes nothing last longer.
        state.asked_at.is_some_and(|at| at <= now && now.since(at) < REFETCH_EVERY)
    }

    /// Reads the keys now. What cannot be read leaves them as they are.
    pub async fn refresh(&self) {
        let _one = self.asking.lock().await;
        self.read().await;
    }

    async fn read(&self) {
        let asked_at = self.clock.now();
        let read = self.fetch().await;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked_at = Some(asked_at);
        match read {
            Ok(keys) => {
                state.keys = Arc::new(keys);
                state.read_at = Some(asked_at);
            }
            Err(reason) => {
                tracing::warn!(issuer = %self.issuer, reason, "the issuer's keys were not read");
            }
        }
    }

    async fn fetch(&self) -> Result<Keys, String> {
        let place = format!("{}{DISCOVERY}", self.issuer.trim_end_matches('/'));
        let about = self.documents.get(&address(&place)?).await?;
        let about = parse(&about).map_err(|error| format!("its description: {error}"))?;
        if about["issuer"].as_str() != Some(&self.issuer) {
            return Err("its description is of another issuer (`issuer`)".to_owned());
        }
        let keys = about["jwks_uri"].as_str().ok_or("its description has no `jwks_uri`")?;
        let keys = address(keys)?;
        // Keys that came in the open could be anybody's.
        if self.issuer.starts_with("https://") && keys.scheme_str() != Some("https") {
            return Err("its `jwks_uri` is not https".to_owned());
        }
        Keys::read(&self.documents.get(&keys).await?)
    }
}

fn address(text: &str) -> Result<Uri, String> {
    text.parse().map_err(|_| format!("`{text}` is no address"))
}
