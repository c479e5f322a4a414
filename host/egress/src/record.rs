//! What is kept of a call: enough to see what happened, nothing that opens a door. Pure.

use bytes::Bytes;
use http::HeaderMap;
use tombolo_core::clock::Timestamp;
use tombolo_core::ports::egress::{Auth, CallRecord, EgressError, InboundResponse, OutboundCall};
use tombolo_core::ports::journal::request_hash;
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
    redactor: &'a Redactor,
    /// The query parameter that carries the connection's credential.
    parameter: Option<String>,
    record: CallRecord,
}

impl<'a> Recorder<'a> {
    /// Begins with what is known before anything is checked.
    pub fn begin(call: &OutboundCall, redactor: &'a Redactor, started_at: Timestamp) -> Self {
        let parameter = call.connection.as_ref().and_then(|connection| match &connection.auth {
            Auth::Query { name, .. } => Some(name.clone()),
            _ => None,
        });
        // As it will be called; as it was asked for if that is no URL.
        let raw = call.uri.to_string();
        let url = Target::parse(&raw).map_or(raw, |target| target.url.into());
        let record = CallRecord {
            sequence: call.sequence,
            method: call.method.to_string(),
            url: String::new(),
            request_headers: Vec::new(),
            request_body: None,
            request_hash: hex::encode(request_hash(&call.method, &call.uri, &call.body)),
            idempotency_key: None,
            status: None,
            response_headers: Vec::new(),
            response_body: None,
            error: None,
            from_journal: false,
            started_at,
            duration_ms: 0,
        };
        let mut recorder = Self { redactor, parameter, record };
        recorder.record.url = recorder.url(&url);
        recorder.record.request_body = recorder.body(&call.body);
        recorder.record.request_headers = recorder.headers(&call.headers);
        recorder
    }

    /// What goes out, credentials attached.
    pub fn sending(&mut self, url: &str, headers: &HeaderMap) {
        self.record.url = self.url(url);
        self.record.request_headers = self.headers(headers);
        let key = headers.get(&IDEMPOTENCY_KEY).and_then(|value| value.to_str().ok());
        self.record.idempotency_key = key.map(|key| self.short(key));
    }

    /// Ends with what came of it.
    pub fn end(
        mut self,
        result: &Result<InboundResponse, EgressError>,
        ended_at: Timestamp,
    ) -> CallRecord {
        match result {
            Ok(response) => {
                self.record.status = Some(response.status.as_u16());
                self.record.response_headers = self.headers(&response.headers);
                self.record.response_body = self.body(&response.body);
            }
            Err(error) => {
                let text = self.redactor.text(&error.to_string());
                self.record.error = Some(cut(text, MAX_TEXT));
            }
        }
        let took = ended_at.since(self.record.started_at).as_millis();
        self.record.duration_ms = u64::try_from(took).unwrap_or(u64::MAX);
        self.record
    }

    fn url(&self, url: &str) -> String {
        cut(self.redactor.text(&redact_url(url, self.parameter.as_deref())), MAX_TEXT)
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
                    ("location" | "content-location", Ok(url)) => {
                        redact_url(url, self.parameter.as_deref())
                    }
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

    #[test]
    fn the_hash_tells_requests_apart() {
        let hash = |method: &str, uri: &str, body: &'static str| {
            let mut call = call(method, uri, Some(connection()));
            call.body = Bytes::from_static(body.as_bytes());
            record(&call, &answer("")).request_hash
        };
        let one = hash("POST", "https://a.example/x", "y");
        assert_eq!(one, hash("POST", "https://a.example/x", "y"));
        assert_eq!(one.len(), 64);
        for other in [
            hash("PUT", "https://a.example/x", "y"),
            hash("POST", "https://a.example/", "xy"),
            hash("POST", "https://a.example/x?", "y"),
            hash("POST", "https://a.example/x", "yy"),
        ] {
            assert_ne!(one, other);
        }
    }
}
