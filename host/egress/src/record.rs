//! What is kept of a call: enough to see what happened, nothing that opens a door. Pure.

use bytes::Bytes;
use http::HeaderMap;
use tombolo_core::clock::Timestamp;
use tombolo_core::ports::egress::{Auth, CallRecord, EgressError, InboundResponse, OutboundCall};
use tombolo_core::secret::REDACTED;

use crate::headers::IDEMPOTENCY_KEY;
use crate::redact::{Redactor, keeps_header, redact_url};
use crate::target::Target;

/// Longest URL, error and body on record, in bytes.
const MAX_TEXT: usize = CallRecord::MAX_BODY;
/// Longest header value on record, in bytes.
const MAX_HEADER_VALUE: usize = 1024;
/// Headers on record; what comes after them is counted.
const MAX_HEADERS: usize = 100;

/// Writes the record of one call.
pub(crate) struct Recorder<'a> {
    call: &'a OutboundCall,
    redactor: &'a Redactor,
    started_at: Timestamp,
    sent: Option<Sent>,
}

/// What went out.
struct Sent {
    url: String,
    headers: Vec<(String, String)>,
    idempotency_key: Option<String>,
}

impl<'a> Recorder<'a> {
    /// Begins before anything is checked.
    pub fn begin(call: &'a OutboundCall, redactor: &'a Redactor, started_at: Timestamp) -> Self {
        Self { call, redactor, started_at, sent: None }
    }

    /// What goes out, credentials attached.
    pub fn sending(&mut self, url: &str, headers: &HeaderMap) {
        let key = headers.get(&IDEMPOTENCY_KEY).and_then(|value| value.to_str().ok());
        self.sent = Some(Sent {
            url: self.url(url),
            headers: self.headers(headers),
            idempotency_key: key.map(|key| self.short(key)),
        });
    }

    /// Ends with what came of it.
    pub fn end(
        mut self,
        result: &Result<InboundResponse, EgressError>,
        ended_at: Timestamp,
    ) -> CallRecord {
        let call = self.call;
        let sent = self.sent.take().unwrap_or_else(|| self.asked());
        let took = ended_at.since(self.started_at).as_millis();
        let answer = result.as_ref().ok();
        let error = result.as_ref().err().map(|error| self.redactor.text(&error.to_string()));
        CallRecord {
            sequence: call.sequence,
            method: call.method.to_string(),
            url: sent.url,
            request_headers: sent.headers,
            request_body: self.body(&call.body),
            request_hash: hex::encode(call.request_hash),
            idempotency_key: sent.idempotency_key,
            status: answer.map(|answer| answer.status.as_u16()),
            response_headers: answer.map_or_else(Vec::new, |answer| self.headers(&answer.headers)),
            response_body: answer.and_then(|answer| self.body(&answer.body)),
            error: error.map(|error| cut(error, MAX_TEXT)),
            from_journal: false,
            started_at: self.started_at,
            duration_ms: u64::try_from(took).unwrap_or(u64::MAX),
        }
    }

    /// Of a call that was not sent: as it would have been called; as it was asked for if that is no
    /// URL.
    fn asked(&self) -> Sent {
        let raw = self.call.uri.to_string();
        let url = Target::parse(&raw).map_or(raw, |target| target.url.into());
        let headers = self.headers(&self.call.headers);
        Sent { url: self.url(&url), headers, idempotency_key: None }
    }

    /// The query parameter that carries the connection's credential.
    fn parameter(&self) -> Option<&'a str> {
        match &self.call.connection.as_ref()?.auth {
            Auth::Query { name, .. } => Some(name),
            _ => None,
        }
    }

    fn url(&self, url: &str) -> String {
        cut(self.redactor.text(&redact_url(url, self.parameter())), MAX_TEXT)
    }

    fn short(&self, value: &str) -> String {
        cut(self.redactor.text(value), MAX_HEADER_VALUE)
    }

    fn headers(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        let mut list: Vec<_> = headers
            .iter()
            .take(MAX_HEADERS)
            .map(|(name, value)| {
                let text = match (name.as_str(), value.to_str()) {
                    ("location" | "content-location", Ok(url)) => redact_url(url, self.parameter()),
                    (name, Ok(text)) if keeps_header(name) => text.to_owned(),
                    _ => REDACTED.to_owned(),
                };
                (name.to_string(), self.short(&text))
            })
            .collect();
        if let Some(more) = headers.len().checked_sub(MAX_HEADERS).filter(|more| *more > 0) {
            list.push(("..".to_owned(), format!("[{more} more]")));
        }
        list
    }

    fn body(&self, body: &Bytes) -> Option<String> {
        if body.is_empty() {
            return None;
        }
        let head = &body[..body.len().min(MAX_TEXT)];
        let text = match std::str::from_utf8(head) {
            Ok(text) => !text.contains('\0'),
            // A character across the end of the head, or no text at all.
            Err(error) => error.error_len().is_none() && body.len() > head.len(),
        };
        if !text {
            return Some(format!("[{} bytes]", body.len()));
        }
        let kept = self.redactor.replace(body, MAX_TEXT);
        let mut kept = String::from_utf8_lossy(&kept).into_owned();
        if body.len() > MAX_TEXT {
            let note = format!(".. [cut, {} bytes in all]", body.len());
            kept = cut(kept, MAX_TEXT - note.len()) + &note;
        }
        Some(cut(kept, MAX_TEXT))
    }
}

fn cut(mut text: String, max_bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(max_bytes));
    text
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::testing::{call, connection};

    fn record(call: &OutboundCall, answer: &InboundResponse) -> CallRecord {
        let mut redactor = Redactor::default();
        redactor.learn(b"canary");
        Recorder::begin(call, &redactor, Timestamp(1_000))
            .end(&Ok(answer.clone()), Timestamp(1_250))
    }

    fn answer(body: impl Into<Bytes>) -> InboundResponse {
        InboundResponse { status: StatusCode::OK, headers: HeaderMap::new(), body: body.into() }
    }

    #[test]
    fn known_secrets_are_nowhere() {
        let mut call = call("POST", "https://a.example/canary?sig=x", Some(connection()));
        call.body = Bytes::from_static(b"{\"a\": \"canary\"}");
        call.headers.insert("accept", "canary".parse().unwrap());
        call.headers.insert("x-api-key", "other".parse().unwrap());
        let mut answer = answer("you said canary");
        answer.headers.insert("location", "/next?token=x&a=canary".parse().unwrap());
        answer.headers.insert("set-cookie", "other".parse().unwrap());

        let record = record(&call, &answer);
        assert_eq!(record.url, "https://a.example/[redacted]?sig=[redacted]");
        assert_eq!(record.request_body.as_deref(), Some("{\"a\": \"[redacted]\"}"));
        assert_eq!(record.response_body.as_deref(), Some("you said [redacted]"));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(record.request_headers, [pair("accept", REDACTED), pair("x-api-key", REDACTED)]);
        assert_eq!(
            record.response_headers,
            [pair("location", "/next?token=[redacted]&a=[redacted]"), pair("set-cookie", REDACTED)]
        );
        assert_eq!((record.status, record.duration_ms), (Some(200), 250));
    }

    #[test]
    fn bodies_are_bounded_text() {
        let call = call("GET", "https://a.example/", Some(connection()));
        let body = |bytes: Vec<u8>| record(&call, &answer(bytes)).response_body;
        assert_eq!(body(vec![]), None);
        assert_eq!(body(vec![0xff; 10]).as_deref(), Some("[10 bytes]"));
        assert_eq!(body(b"a\0b".to_vec()).as_deref(), Some("[3 bytes]"));
        assert_eq!(body(vec![b'a'; MAX_TEXT]).unwrap(), "a".repeat(MAX_TEXT));

        // Characters of three bytes, so that one crosses the end.
        let long = body("€".repeat(10_000).into_bytes()).unwrap();
        assert!(long.len() <= MAX_TEXT && long.len() > MAX_TEXT - 40, "{}", long.len());
        assert!(long.starts_with("€€€") && long.ends_with(".. [cut, 30000 bytes in all]"));

        // A secret across the end, and one that grows when it is replaced.
        let mut bytes = vec![b'a'; MAX_TEXT - 3];
        bytes.extend_from_slice(b"canary and more");
        assert!(!body(bytes).unwrap().contains("can"));
        assert!(body(b"canary".repeat(MAX_TEXT)).unwrap().len() <= MAX_TEXT);
    }

    #[test]
    fn many_headers_are_counted() {
        let mut answer = answer("");
        for _ in 0..150 {
            answer.headers.append("etag", "x".parse().unwrap());
        }
        let call = call("GET", "https://a.example/", Some(connection()));
        let headers = record(&call, &answer).response_headers;
        assert_eq!(headers.len(), MAX_HEADERS + 1);
        assert_eq!(headers[MAX_HEADERS].1, "[50 more]");
    }
}
