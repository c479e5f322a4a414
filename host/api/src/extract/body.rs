//! Bodies: bounded in bytes and time, and read as strict JSON.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tombolo_core::json::{InvalidJson, Json};

use super::budget::{Exhausted, Lease};
use crate::app::App;
use crate::problem::{Kind, Problem};

/// A sender that is refused for its size is heard to the end for so long and so many bytes, because
/// most clients read the answer only after they have written everything.
const DRAIN_TIME: Duration = Duration::from_secs(5);
const DRAIN_BYTES: usize = 128 * 1024 * 1024;

/// What a sender is asked to wait for whose body there is no room.
const FULL_RETRY: Duration = Duration::from_secs(1);

/// A request whose body is not read yet.
pub(crate) struct Incoming {
    pub headers: HeaderMap,
    body: Body,
}

impl<S: Sync> FromRequest<S> for Incoming {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        let (parts, body) = request.into_parts();
        Ok(Self { headers: parts.headers, body })
    }
}

/// What a body may be, and how large.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    /// Bytes.
    pub limit: usize,
    /// What is answered to a larger one.
    pub over: Kind,
}

impl Incoming {
    /// The whole body of one of these media types. One without `Content-Type` is taken as it is.
    pub async fn bytes(self, app: &App, bound: Bound, types: &[&str]) -> Result<Bytes, Problem> {
        self.bytes_within(app, bound, types, &mut Lease::unbounded()).await
    }

    /// As [`Incoming::bytes`], as far as there is room for it. Keep the lease to the answer: what is
    /// made of a body may be larger than the body.
    pub async fn bytes_within(
        self,
        app: &App,
        bound: Bound,
        types: &[&str],
        lease: &mut Lease,
    ) -> Result<Bytes, Problem> {
        self.check_type(types)?;
        if self.announced().is_some_and(|length| length > bound.limit as u64) {
            self.turn_away().await;
            return Err(Unread::TooLarge.problem(bound));
        }
        let mut body = self.body;
        let read = read_up_to(&mut body, bound.limit, lease);
        match tokio::time::timeout(app.settings().body_timeout, read).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(unread)) => {
                drain(body).await;
                Err(unread.problem(bound))
            }
            Err(_) => {
                let limit_s = app.settings().body_timeout.as_secs();
                let detail =
                    format!("the body was not complete within {limit_s} s (limit body_timeout)");
                Err(Problem::new(Kind::BodyTimeout, detail))
            }
        }
    }

    /// The body as one JSON value with the text it came as; `null` if it is empty.
    pub async fn json(self, app: &App, limit: usize) -> Result<Json, Problem> {
        let bound = Bound { limit, over: Kind::BodyTooLarge };
        parse(&self.bytes(app, bound, &["application/json"]).await?)
    }

    /// For a sender that is refused before its body was looked at: it is heard out, and nothing of
    /// it is kept.
    pub async fn turn_away(self) {
        // Who waits for a word before sending is not given it.
        if !self.headers.contains_key(header::EXPECT) {
            drain(self.body).await;
        }
    }

    fn announced(&self) -> Option<u64> {
        self.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }

    fn check_type(&self, types: &[&str]) -> Result<(), Problem> {
        let Some(value) = self.headers.get(header::CONTENT_TYPE) else {
            return Ok(());
        };
        let full = value.to_str().unwrap_or_default();
        let essence = full.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let json = types.contains(&"application/json") && essence.ends_with("+json");
        if json || types.contains(&essence.as_str()) {
            return Ok(());
        }
        let detail =
            format!("`{essence}` is not taken here; send `Content-Type: {}`", types.join("` or `"));
        Err(Problem::new(Kind::UnsupportedMediaType, detail))
    }
}

/// One JSON value with the text it came as; `null` if there is nothing.
pub(crate) fn parse(bytes: &[u8]) -> Result<Json, Problem> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Json::null());
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| InvalidJson::NotUtf8 { offset: error.valid_up_to() })?;
    Ok(Json::parse(text)?)
}

/// Why there is no body.
enum Unread {
    TooLarge,
    NoRoom(Exhausted),
    Broken(axum::Error),
}

impl Unread {
    fn problem(&self, bound: Bound) -> Problem {
        match self {
            Self::TooLarge => {
                let detail = format!("the body has more than {} bytes", bound.limit);
                Problem::new(bound.over, detail).with("limit_bytes", bound.limit)
            }
            Self::NoRoom(Exhausted { total_bytes }) => {
                let detail = format!(
                    "the bodies of all requests in progress would take more than {total_bytes} \
                     bytes (limit max_callback_bodies_bytes)"
                );
                Problem::new(Kind::TooManyBodies, detail).retry_after(FULL_RETRY)
            }
            Self::Broken(error) => {
                Problem::new(Kind::BodyBroken, format!("the body broke off: {error}"))
            }
        }
    }
}

async fn read_up_to(body: &mut Body, limit: usize, lease: &mut Lease) -> Result<Bytes, Unread> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Unread::Broken)?.into_data() else {
            continue;
        };
        let length = bytes.len() + data.len();
        if length > limit {
            return Err(Unread::TooLarge);
        }
        lease.grow_to(length).map_err(Unread::NoRoom)?;
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

async fn drain(mut body: Body) {
    let discard = async {
        let mut seen = 0;
        while let Some(Ok(frame)) = body.frame().await {
            seen += frame.data_ref().map_or(0, Bytes::len);
            if seen > DRAIN_BYTES {
                break;
            }
        }
    };
    // Whether it came to its end or ran out of time, the answer is the same.
    let _ = tokio::time::timeout(DRAIN_TIME, discard).await;
}
