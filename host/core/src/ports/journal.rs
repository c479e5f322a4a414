//! The journal of a step: calls of an attempt that failed which changed the other side and were
//! answered well. A later attempt of the step is given these answers instead of calling again, so
//! that a node that makes three calls and fails at the third repeats the third only.
//!
//! A call is found by its place among the step's changing calls, and has to be the same request.

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use sha2::{Digest, Sha256};

use super::egress::{InboundResponse, OutboundCall};
use crate::effect::Effect;

/// A finished call.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalEntry {
    /// Position among the calls of the step that can change the other side, counted from 0.
    pub place: u32,
    /// See [`request_hash`].
    pub request_hash: [u8; 32],
    /// The answer, as the plugin was given it. None if it was too large to be kept: then the call
    /// is not made again either.
    pub response: Option<InboundResponse>,
}

impl JournalEntry {
    /// The entry of a call, if its answer is worth keeping: it changed the other side, and did so
    /// well. A read is repeated; so is what the other side refused. `room` is for the answer, in
    /// bytes.
    pub fn of(call: &OutboundCall, response: &InboundResponse, room: usize) -> Option<Self> {
        let place = call.change.filter(|_| call.caller.effect > Effect::Read)?;
        let well = response.status.is_success() || response.status.is_redirection();
        well.then(|| {
            let mut response = response.clone();
            // Nobody keeps a jar, and a session is a secret.
            response.headers.remove(SET_COOKIE);
            Self {
                place,
                request_hash: request_hash(&call.method, &call.uri, &call.body),
                response: Some(response).filter(|response| weight(response) <= room),
            }
        })
    }

    /// What its answer takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.response.as_ref().map_or(0, weight)
    }
}

fn weight(response: &InboundResponse) -> usize {
    let headers = response.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    headers.sum::<usize>() + response.body.len()
}

/// True if the method can change the other side.
/// Source: RFC 9110, section 9.2.1, safe methods.
pub fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

/// SHA-256 over method, address and body, each with its length before it. Headers don't count:
/// dates and trace ids differ from attempt to attempt.
pub fn request_hash(method: &Method, uri: &Uri, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [method.as_str().as_bytes(), uri.to_string().as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The headers of a response as they are stored: a value is any bytes, each of them a character.
pub fn headers_to_text(headers: &HeaderMap) -> Vec<(String, String)> {
    let text =
        |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// The response that was stored; None if it is none.
pub fn response_from_text(
    status: u16,
    headers: &[(String, String)],
    body: Bytes,
) -> Option<InboundResponse> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let bytes: Vec<u8> =
            value.chars().map(|char| u8::try_from(u32::from(char)).ok()).collect::<Option<_>>()?;
        let name = HeaderName::try_from(name.as_str()).ok()?;
        map.append(name, HeaderValue::from_bytes(&bytes).ok()?);
    }
    Some(InboundResponse { status: StatusCode::from_u16(status).ok()?, headers: map, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_any_bytes_read_back() {
        let mut headers = HeaderMap::new();
        headers.append("x-name", HeaderValue::from_bytes(b"caf\xe9 \"1\"").unwrap());
        headers.append("x-name", HeaderValue::from_static("two"));
        let text = headers_to_text(&headers);
        let read = response_from_text(201, &text, Bytes::from_static(b"{}")).unwrap();
        assert_eq!((read.status, read.headers), (StatusCode::CREATED, headers));
        assert_eq!(response_from_text(99, &text, Bytes::new()), None);
        let beyond = vec![("x".to_owned(), "日".to_owned())];
        assert_eq!(response_from_text(200, &beyond, Bytes::new()), None);
    }

    #[test]
    fn the_hash_tells_apart_what_differs_in_any_part() {
        let hash = |method: &Method, uri: &'static str, body: &[u8]| {
            request_hash(method, &Uri::from_static(uri), body)
        };
        let first = hash(&Method::POST, "https://a/b", b"c");
        assert_eq!(first, hash(&Method::POST, "https://a/b", b"c"));
        for other in [
            hash(&Method::PUT, "https://a/b", b"c"),
            hash(&Method::POST, "https://a/bc", b""),
            hash(&Method::POST, "https://a/b", b"d"),
        ] {
            assert_ne!(first, other);
        }
    }
}
