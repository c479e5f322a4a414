//! The record of the calls of one attempt, in the order they were asked for, those included that
//! nobody knows the end of.

use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, Uri};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tombolo_core::clock::Timestamp;
use tombolo_core::ports::egress::{CallRecord, OutboundCall};

use crate::http::changes;

/// Shared with the calls under way, which outlive neither the instance nor their record.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallLog(Arc<Mutex<Vec<Entry>>>);

#[derive(Debug)]
struct Entry {
    record: CallRecord,
    /// None once the call is over.
    since: Option<Instant>,
    /// True if the other side may have been changed.
    changed: bool,
}

impl CallLog {
    /// Opens the next record, unless there are `limit` already.
    pub(crate) fn begin(
        &self,
        method: &Method,
        uri: &Uri,
        started_at: Timestamp,
        limit: u32,
    ) -> Option<Ticket> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = u32::try_from(entries.len()).ok().filter(|sequence| *sequence < limit)?;
        entries.push(Entry {
            record: CallRecord {
                sequence,
                method: method.to_string(),
                url: without_query(uri),
                request_headers: Vec::new(),
                request_body: None,
                request_hash: request_hash(method, uri, &[]),
                idempotency_key: None,
                status: None,
                response_headers: Vec::new(),
                response_body: None,
                error: None,
                started_at,
                duration_ms: 0,
            },
            since: Some(Instant::now()),
            changed: false,
        });
        Some(Ticket { log: self.clone(), sequence })
    }

    /// True if a call that can change the other side may have been sent.
    pub(crate) fn may_have_changed(&self) -> bool {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().any(|entry| entry.changed)
    }

    /// All records. A call that is still under way ends here, its outcome unknown.
    pub(crate) fn take(&self) -> Vec<CallRecord> {
        let entries = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        entries
            .into_iter()
            .map(|entry| match entry.since {
                None => entry.record,
                Some(since) => CallRecord {
                    error: Some("the attempt ended before the answer came".to_owned()),
                    duration_ms: milliseconds_since(since),
                    ..entry.record
                },
            })
            .collect()
    }
}

/// One call under way.
pub(crate) struct Ticket {
    log: CallLog,
    sequence: u32,
}

impl Ticket {
    pub(crate) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// The request goes to the egress now.
    pub(crate) fn sending(&self, call: &OutboundCall) {
        self.with(|entry| {
            entry.record.request_hash = request_hash(&call.method, &call.uri, &call.body);
            entry.changed = changes(&call.method);
        });
    }

    /// The egress answered.
    pub(crate) fn done(&self, record: CallRecord, sent: bool) {
        self.with(|entry| {
            entry.changed &= sent;
            entry.record = record;
            entry.since = None;
        });
    }

    /// The guest did not finish the request.
    pub(crate) fn never_sent(&self, reason: &str) {
        self.with(|entry| {
            entry.record.error = Some(format!("not sent: {reason}"));
            entry.record.duration_ms = entry.since.take().map_or(0, milliseconds_since);
        });
    }

    /// Does nothing once the records were taken.
    fn with(&self, f: impl FnOnce(&mut Entry)) {
        let mut entries = self.log.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = usize::try_from(self.sequence).ok().and_then(|at| entries.get_mut(at))
        {
            f(entry);
        }
    }
}

fn milliseconds_since(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A query may hold what the plugin's author took for a secret; only the egress knows which parts.
fn without_query(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("https");
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let query = if uri.query().is_some() { "?…" } else { "" };
    format!("{scheme}://{host}{}{query}", uri.path())
}

/// As in the egress's records: method, URL and body, each with its length before it.
fn request_hash(method: &Method, uri: &Uri, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    for part in [method.as_str().as_bytes(), uri.to_string().as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_without_an_end_is_on_record_without_its_query() {
        let log = CallLog::default();
        let uri = Uri::from_static("https://user:pw@api.example.com/a/b?token=s3cret");
        let ticket = log.begin(&Method::POST, &uri, Timestamp(1), 2).unwrap();
        assert!(!log.may_have_changed(), "nothing was sent yet");
        ticket.with(|entry| entry.changed = true);
        assert!(log.may_have_changed());
        let records = log.take();
        assert_eq!(records[0].url, "https://api.example.com/a/b?…");
        assert!(records[0].error.as_deref().unwrap().contains("ended before the answer"));
        ticket.never_sent("too late to matter");
        assert_eq!(log.take(), []);
    }

    #[tokio::test]
    async fn calls_are_numbered_and_bounded() {
        let log = CallLog::default();
        let uri = Uri::from_static("https://api.example.com/");
        assert_eq!(log.begin(&Method::GET, &uri, Timestamp(1), 1).unwrap().sequence(), 0);
        assert!(log.begin(&Method::GET, &uri, Timestamp(1), 1).is_none());
    }
}
