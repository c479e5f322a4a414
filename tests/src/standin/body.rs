//! The bodies of misbehaving answers: streamed, so that none is held in memory.
//! Never decides which answer gets which body.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tokio_util::sync::CancellationToken;

/// What one read of an oversized body yields.
const CHUNK_BYTES: usize = 64 * 1024;

static FILLER: [u8; CHUNK_BYTES] = [b'a'; CHUNK_BYTES];

type Never = std::convert::Infallible;

/// A JSON object with one string in it, `bytes` long; without an end if that is `u64::MAX`.
pub(super) fn oversized(bytes: u64) -> Body {
    const HEAD: &[u8] = br#"{"padding":""#;
    const TAIL: &[u8] = br#""}"#;
    enum Part {
        Head,
        Filler { left: u64 },
        End,
    }
    Body::from_stream(stream::unfold(Part::Head, move |part| async move {
        let (chunk, next) = match part {
            Part::Head => {
                let around = (HEAD.len() + TAIL.len()) as u64;
                (Bytes::from_static(HEAD), Part::Filler { left: bytes.saturating_sub(around) })
            }
            Part::Filler { left: 0 } => (Bytes::from_static(TAIL), Part::End),
            Part::Filler { left } => {
                let size = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
                let left = if bytes == u64::MAX { left } else { left - size as u64 };
                (Bytes::from_static(&FILLER[..size]), Part::Filler { left })
            }
            Part::End => return None,
        };
        Some((Ok::<_, Never>(chunk), next))
    }))
}

/// The body byte by byte, with a pause before each.
pub(super) fn slow(body: Bytes, byte_delay: Duration) -> Body {
    Body::from_stream(stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(byte_delay).await;
        let byte = rest.split_to(1);
        Some((Ok::<_, Never>(byte), rest))
    }))
}

/// The first half of the body, then the connection is cut.
pub(super) fn cut_in_the_middle(body: Bytes, cut: CancellationToken) -> Body {
    let half = body.slice(..body.len() / 2);
    Body::from_stream(stream::unfold(Some(half), move |half| {
        let cut = cut.clone();
        async move {
            if let Some(half) = half {
                return Some((Ok::<_, Never>(half), None));
            }
            // Yielding lets the server flush head and first half before the end of the connection.
            tokio::task::yield_now().await;
            cut.cancel();
            std::future::pending().await
        }
    }))
}
