//! The body of a delivery: bounded in bytes and in time.

use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::http::request::Parts;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use crate::problem::Problem;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// A sender that is refused for its size is heard to the end for so long and so many bytes, because
/// most clients read the answer only after they have written everything.
const DRAIN_TIME: Duration = Duration::from_secs(5);
const DRAIN_BYTES: usize = 128 * 1024 * 1024;

/// The whole body, at most `limit` bytes. One that says that it is larger is not looked at.
pub(crate) async fn read(parts: &Parts, mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    if announced(parts).is_some_and(|length| length > limit as u64) {
        // Who waits for a word before sending is not given it.
        if !parts.headers.contains_key(header::EXPECT) {
            drain(body).await;
        }
        return Err(Problem::too_large(limit));
    }
    match tokio::time::timeout(BODY_TIMEOUT, read_up_to(&mut body, limit)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => {
            drain(body).await;
            Err(Problem::too_large(limit))
        }
        Ok(Err(error)) => Err(Problem::broken_body(error.to_string())),
        Err(_) => Err(Problem::body_timeout(BODY_TIMEOUT)),
    }
}

fn announced(parts: &Parts) -> Option<u64> {
    parts.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
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
