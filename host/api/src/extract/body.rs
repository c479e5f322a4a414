//! Bodies: bounded in bytes and time, and read as strict JSON.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use tombolo_core::json::{InvalidJson, Json, push_pointer};

use crate::app::App;
use crate::problem::{Kind, Problem};

/// A sender that is refused for its size is heard to the end for so long and so many bytes, because
/// most clients read the answer only after they have written everything.
const DRAIN_TIME: Duration = Duration::from_secs(5);
const DRAIN_BYTES: usize = 128 * 1024 * 1024;

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
        self.check_type(types)?;
        let expects = self.headers.contains_key(header::EXPECT);
        let announced = self.announced();
        let mut body = self.body;
        if announced.is_some_and(|length| length > bound.limit as u64) {
            if !expects {
                drain(body).await;
            }
            return Err(too_large(bound));
        }
        let read = read_up_to(&mut body, bound.limit);
        match tokio::time::timeout(app.settings().body_timeout, read).await {
            Ok(Ok(Some(bytes))) => Ok(bytes),
            Ok(Ok(None)) => {
                drain(body).await;
                Err(too_large(bound))
            }
            Ok(Err(error)) => {
                Err(Problem::new(Kind::BodyBroken, format!("the body broke off: {error}")))
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
        let bytes = self.bytes(app, bound, &["application/json"]).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Json::null());
        }
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| InvalidJson::NotUtf8 { offset: error.valid_up_to() })?;
        Ok(Json::parse(text)?)
    }

    /// The body in the form of `T`; what is wrong with it is named by JSON pointer, never quoted.
    pub async fn form<T: DeserializeOwned>(self, app: &App) -> Result<T, Problem> {
        let json = self.json(app, app.settings().max_body_bytes).await?;
        // Serde would take an array for an object, field by field.
        if !json.value().is_object() {
            let problem = Problem::new(Kind::InvalidBody, "the body: expected an object");
            return Err(problem.with("pointer", ""));
        }
        serde_path_to_error::deserialize(json.value()).map_err(|error| {
            let pointer = pointer(error.path());
            let place = if pointer.is_empty() { "the body" } else { &pointer };
            let detail = format!("{place}: {}", without_values(&error.inner().to_string()));
            Problem::new(Kind::InvalidBody, detail).with("pointer", pointer)
        })
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

/// None if there is more than `limit`.
async fn read_up_to(body: &mut Body, limit: usize) -> Result<Option<Bytes>, axum::Error> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Some(bytes.freeze()))
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

fn too_large(bound: Bound) -> Problem {
    let detail = format!("the body has more than {} bytes", bound.limit);
    Problem::new(bound.over, detail).with("limit_bytes", bound.limit)
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => push_pointer(&pointer, &index.to_string()),
        Segment::Map { key } => push_pointer(&pointer, key),
        Segment::Enum { .. } | Segment::Unknown => pointer,
    })
}

/// A value may be a secret: what serde says of it is cut down to what was expected.
fn without_values(message: &str) -> String {
    let quotes = ["invalid type: ", "invalid value: ", "unknown variant "];
    match message.rfind(", expected ") {
        Some(at) if quotes.iter().any(|quote| message.starts_with(quote)) => {
            message[at + 2..].to_owned()
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_values;

    #[test]
    fn what_was_sent_is_not_repeated() {
        let cut = without_values("invalid type: string \"hunter2, expected x\", expected a map");
        assert_eq!(cut, "expected a map");
        assert_eq!(
            without_values("unknown variant `hunter2`, expected `bearer`"),
            "expected `bearer`"
        );
        assert_eq!(without_values("missing field `auth`"), "missing field `auth`");
    }
}
