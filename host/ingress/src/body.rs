//! The body of a delivery: bounded in bytes and in time, by itself and together with all others.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::http::request::Parts;
use bytes::Bytes;
use http_body_util::BodyExt;

use crate::MAX_BODIES_IN_FLIGHT_BYTES;
use crate::budget::{Budget, Exhausted, Lease};
use crate::problem::Problem;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// A sender that is refused before its body's end is heard for so long and so many bytes, because
/// most clients read the answer only after they have written everything.
const DRAIN_TIME: Duration = Duration::from_secs(5);
const DRAIN_BYTES: usize = 128 * 1024 * 1024;

/// Reads bodies, within the bounds of one and of all.
pub(crate) struct Bodies {
    limit: usize,
    budget: Budget,
}

/// A body, complete.
#[derive(Debug)]
pub(crate) struct Held {
    /// What was sent. Has a share of the lease, for work on it that outlives the request.
    pub bytes: Bytes,
    /// The body's part of the budget. What is made of a body may be larger than the body, so this
    /// is kept until the request is answered.
    pub lease: Arc<Lease>,
}

/// Why there is no body.
enum Unread {
    TooLarge,
    NoRoom(Exhausted),
    Broken(axum::Error),
}

impl Bodies {
    /// `limit` is that of one body, in bytes. The largest one that is allowed fits into the budget.
    pub fn new(limit: usize) -> Self {
        Self::within(MAX_BODIES_IN_FLIGHT_BYTES.max(limit), limit)
    }

    fn within(total: usize, limit: usize) -> Self {
        Self { limit, budget: Budget::new(total) }
    }

    /// The whole body. One that says that it is too large is not looked at.
    pub async fn read(&self, parts: &Parts, mut body: Body) -> Result<Held, Problem> {
        if let Err(unread) = self.check_announced(parts) {
            turn_away(parts, body).await;
            return Err(self.problem(unread));
        }
        match tokio::time::timeout(BODY_TIMEOUT, self.collect(parts, &mut body)).await {
            Ok(Ok(held)) => Ok(held),
            Ok(Err(unread)) => {
                drain(body).await;
                Err(self.problem(unread))
            }
            Err(_) => Err(Problem::body_timeout(BODY_TIMEOUT)),
        }
    }

    fn problem(&self, unread: Unread) -> Problem {
        match unread {
            Unread::TooLarge => Problem::too_large(self.limit),
            Unread::NoRoom(Exhausted { total_bytes }) => Problem::too_many_bodies(total_bytes),
            Unread::Broken(error) => Problem::broken_body(error.to_string()),
        }
    }

    fn check_announced(&self, parts: &Parts) -> Result<(), Unread> {
        match announced(parts) {
            Some(length) if length > self.limit as u64 => Err(Unread::TooLarge),
            Some(length) => self.budget.has_room(length).map_err(Unread::NoRoom),
            None => Ok(()),
        }
    }

    /// Reads to the end. Room is taken as the body grows: an announcement alone costs the sender
    /// nothing, so it reserves nothing.
    async fn collect(&self, parts: &Parts, body: &mut Body) -> Result<Held, Unread> {
        let announced = announced(parts).and_then(|length| usize::try_from(length).ok());
        let expected = announced.unwrap_or(self.limit).min(self.limit);
        let mut lease = self.budget.lease();
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(Unread::Broken)?.into_data() else {
                continue;
            };
            let length = bytes.len() + data.len();
            if length > self.limit {
                return Err(Unread::TooLarge);
            }
            if length > bytes.capacity() {
                // Doubled, so that a body in many pieces is not copied for each of them.
                let capacity = bytes.capacity().saturating_mul(2).min(expected).max(length);
                lease.grow_to(capacity).map_err(Unread::NoRoom)?;
                bytes.reserve_exact(capacity - bytes.len());
            }
            bytes.extend_from_slice(&data);
        }
        let lease = Arc::new(lease);
        let bytes = Bytes::from_owner(Leased { bytes, _lease: lease.clone() });
        Ok(Held { bytes, lease })
    }
}

/// Bytes that hold on to their part of the budget.
struct Leased {
    bytes: Vec<u8>,
    _lease: Arc<Lease>,
}

impl AsRef<[u8]> for Leased {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn announced(parts: &Parts) -> Option<u64> {
    parts.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// For a sender that is refused before its body was looked at.
pub(crate) async fn turn_away(parts: &Parts, body: Body) {
    // Who waits for a word before sending is not given it.
    if !parts.headers.contains_key(header::EXPECT) {
        drain(body).await;
    }
}

/// Hears a refused sender out and keeps nothing of it.
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::{HeaderValue, Request, StatusCode};
    use axum::response::IntoResponse;
    use futures_util::{StreamExt, stream};

    use super::*;

    const KIB: usize = 1024;

    /// A body of so many pieces of 1 KiB, that says nothing of its length.
    fn pieces(count: usize) -> Body {
        let piece = Ok::<_, Infallible>(Bytes::from(vec![b'x'; KIB]));
        Body::from_stream(stream::iter(vec![piece; count]))
    }

    fn parts(announced: Option<usize>) -> Parts {
        let mut request = Request::builder();
        if let Some(length) = announced {
            request = request.header(header::CONTENT_LENGTH, length);
        }
        request.body(()).unwrap().into_parts().0
    }

    async fn read(bodies: &Bodies, announced: Option<usize>, count: usize) -> Result<Held, String> {
        let read = bodies.read(&parts(announced), pieces(count)).await;
        read.map_err(|problem| problem.code().to_owned())
    }

    #[tokio::test]
    async fn a_body_in_pieces_comes_as_one() {
        let bodies = Bodies::within(64 * KIB, 64 * KIB);
        for announced in [None, Some(64 * KIB)] {
            let held = read(&bodies, announced, 64).await.unwrap();
            assert_eq!(held.bytes, vec![b'x'; 64 * KIB]);
        }
        assert_eq!(read(&bodies, None, 0).await.unwrap().bytes, Bytes::new());
    }

    #[tokio::test]
    async fn one_that_is_too_large_is_told_whether_it_says_so_or_not() {
        let bodies = Bodies::within(64 * KIB, 2 * KIB);
        assert_eq!(read(&bodies, Some(3 * KIB), 3).await.unwrap_err(), "body-too-large");
        assert_eq!(read(&bodies, None, 3).await.unwrap_err(), "body-too-large");
    }

    /// The answer would be lost on a sender that still writes.
    #[tokio::test]
    async fn a_refused_sender_is_heard_out_unless_it_waits_for_a_word() {
        let bodies = Bodies::within(64 * KIB, 2 * KIB);
        for (announced, expects, heard) in
            [(Some(5 * KIB), false, 5), (Some(5 * KIB), true, 0), (None, false, 5), (None, true, 5)]
        {
            let mut parts = parts(announced);
            if expects {
                parts.headers.insert(header::EXPECT, HeaderValue::from_static("100-continue"));
            }
            let seen = Arc::new(AtomicUsize::new(0));
            let counter = seen.clone();
            let counted = stream::iter(0..5).map(move |_| {
                counter.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Infallible>(Bytes::from(vec![b'x'; KIB]))
            });
            let refused = bodies.read(&parts, Body::from_stream(counted)).await.unwrap_err();
            assert_eq!(refused.code(), "body-too-large");
            assert_eq!(seen.load(Ordering::Relaxed), heard, "{announced:?}, {expects}");
        }
    }

    #[tokio::test]
    async fn all_bodies_together_stay_within_the_budget() {
        let bodies = Bodies::within(10 * KIB, 10 * KIB);
        let Held { bytes, lease } = read(&bodies, Some(6 * KIB), 6).await.unwrap();
        for announced in [Some(6 * KIB), None] {
            let refused = read(&bodies, announced, 6).await.unwrap_err();
            assert_eq!(refused, "too-many-bodies");
        }
        read(&bodies, Some(4 * KIB), 4).await.expect("what is left is for whom it is enough");
        drop(lease);
        let refused = read(&bodies, None, 6).await.unwrap_err();
        assert_eq!(refused, "too-many-bodies", "the bytes are still there");
        drop(bytes);
        read(&bodies, None, 6).await.expect("all of it is free again");
    }

    /// Else one connection could keep out all others without sending anything.
    #[tokio::test]
    async fn an_announcement_takes_no_room() {
        let bodies = Bodies::within(10 * KIB, 10 * KIB);
        let parts = parts(Some(10 * KIB));
        let silent = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let mut waiting = Box::pin(bodies.read(&parts, silent));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        read(&bodies, Some(10 * KIB), 10).await.unwrap();
    }

    #[tokio::test]
    async fn who_finds_no_room_is_told_the_limit_and_when_to_come_again() {
        let problem = Bodies::within(0, 10 * KIB).read(&parts(None), pieces(1)).await.unwrap_err();
        assert!(problem.detail().contains("0 bytes (limit max_bodies_in_flight)"));
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }

    #[test]
    fn the_largest_body_that_is_allowed_fits() {
        let limit = 2 * MAX_BODIES_IN_FLIGHT_BYTES;
        assert_eq!(Bodies::new(limit).budget.has_room(limit as u64), Ok(()));
    }
}
