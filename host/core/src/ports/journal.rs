//! The journal of a step: the calls of attempts that failed which can change the other side. A later
//! attempt of the step is given the answers of those that went well instead of calling again, so
//! that a node that makes three calls and fails at the third repeats the third only.
//!
//! Which call a request is, is decided by [`crate::ledger`].

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use sha2::{Digest, Sha256};

use super::egress::InboundResponse;

/// A call of an earlier attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalEntry {
    /// Position among the calls of the step that can change the other side, counted from 0.
    pub place: u32,
    /// See [`request_hash`].
    pub request_hash: [u8; 32],
    /// What came of it.
    pub kept: Kept,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    /// It went well; the answer, as the plugin was given it.
    Answer(InboundResponse),
    /// It went well, and the answer was too large to be kept: it is not made again either.
    TooLarge,
    /// It was refused or never answered: it is made again.
    Failed,
}

impl Kept {
    /// What is kept of an answer; None if it is no good one. `room` is for it, in bytes.
    pub fn of(response: &InboundResponse, room: usize) -> Option<Self> {
        let well = response.status.is_success() || response.status.is_redirection();
        well.then(|| {
            let mut response = response.clone();
            // Nobody keeps a jar, and a session is a secret.
            response.headers.remove(SET_COOKIE);
            if weight(&response) <= room { Self::Answer(response) } else { Self::TooLarge }
        })
    }
}

impl JournalEntry {
    /// True if the call is made again.
    pub fn failed(&self) -> bool {
        self.kept == Kept::Failed
    }

    /// What its answer takes, in bytes.
    pub fn bytes(&self) -> usize {
        match &self.kept {
            Kept::Answer(response) => weight(response),
            Kept::TooLarge | Kept::Failed => 0,
        }
    }
}

/// Adds what an attempt left. What went well at a place stays: it is what happened first.
pub fn add(journal: &mut Vec<JournalEntry>, entries: Vec<JournalEntry>) {
    for entry in entries {
        match journal.iter_mut().find(|known| known.place == entry.place) {
            Some(known) if known.failed() => *known = entry,
            Some(_) => {}
            None => journal.push(entry),
        }
    }
    journal.sort_by_key(|entry| entry.place);
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
    fn what_went_well_takes_the_place_of_a_failure_and_never_the_other_way_round() {
        let entry = |place, kept| JournalEntry { place, request_hash: [0; 32], kept };
        let mut journal = vec![entry(0, Kept::Failed), entry(1, Kept::TooLarge)];
        let next = vec![entry(2, Kept::Failed), entry(1, Kept::Failed), entry(0, Kept::TooLarge)];
        add(&mut journal, next);
        let expected = [entry(0, Kept::TooLarge), entry(1, Kept::TooLarge), entry(2, Kept::Failed)];
        assert_eq!(journal, expected);
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
