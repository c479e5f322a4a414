//! The calls of one attempt, in the order they were asked for: their records, those included that
//! nobody knows the end of, and the journal of those that a later attempt is not to make again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Method, Uri};
use tokio::time::Instant;
use tombolo_core::clock::Timestamp;
use tombolo_core::ports::egress::{CallRecord, InboundResponse, OutboundCall};
use tombolo_core::ports::journal::{JournalEntry, changes, request_hash};

use crate::failure::Failure;

/// Shared with the calls under way, which outlive neither the instance nor their record.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallLog(Arc<Mutex<Calls>>);

#[derive(Debug, Default)]
struct Calls {
    entries: Vec<Entry>,
    /// How many of them can change the other side.
    changes: u32,
    journal: Vec<JournalEntry>,
    /// See [`Taken::stuck`].
    stuck: Option<Failure>,
}

#[derive(Debug)]
struct Entry {
    record: CallRecord,
    /// None once the call is over.
    since: Option<Instant>,
    /// True if the other side may have been changed and nobody knows.
    uncertain: bool,
}

/// What an attempt's calls left behind.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// One for each call.
    pub(crate) records: Vec<CallRecord>,
    /// Calls that changed the other side and were answered well.
    pub(crate) journal: Vec<JournalEntry>,
    /// True if a call may have changed the other side and nobody knows whether it did.
    pub(crate) uncertain: bool,
    /// What the journal of earlier attempts makes impossible.
    pub(crate) stuck: Option<Failure>,
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
        let mut calls = self.lock();
        let sequence =
            u32::try_from(calls.entries.len()).ok().filter(|sequence| *sequence < limit)?;
        let change = changes(method).then_some(calls.changes);
        calls.changes += u32::from(change.is_some());
        calls.entries.push(Entry {
            record: CallRecord {
                sequence,
                method: method.to_string(),
                url: without_query(uri),
                request_headers: Vec::new(),
                request_body: None,
                request_hash: hex::encode(request_hash(method, uri, &[])),
                idempotency_key: None,
                status: None,
                response_headers: Vec::new(),
                response_body: None,
                error: None,
                from_journal: false,
                started_at,
                duration_ms: 0,
            },
            since: Some(Instant::now()),
            uncertain: false,
        });
        Some(Ticket { log: self.clone(), sequence, change })
    }

    /// Everything. A call that is still under way ends here, its outcome unknown.
    pub(crate) fn take(&self) -> Taken {
        let Calls { entries, journal, stuck, .. } = std::mem::take(&mut *self.lock());
        let uncertain = entries.iter().any(|entry| entry.uncertain);
        let records = entries.into_iter().map(Entry::into_record).collect();
        Taken { records, journal, uncertain, stuck }
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn into_record(self) -> CallRecord {
        match self.since {
            None => self.record,
            Some(since) => CallRecord {
                error: Some("the attempt ended before the answer came".to_owned()),
                duration_ms: milliseconds_since(since),
                ..self.record
            },
        }
    }
}

/// One call under way.
pub(crate) struct Ticket {
    log: CallLog,
    sequence: u32,
    change: Option<u32>,
}

impl Ticket {
    pub(crate) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Its position among those that can change the other side.
    pub(crate) fn change(&self) -> Option<u32> {
        self.change
    }

    /// The request goes to the egress now. False if the attempt is over: then it must not.
    pub(crate) fn sending(&self, call: &OutboundCall) -> bool {
        self.with(|entry| {
            let hash = request_hash(&call.method, &call.uri, &call.body);
            entry.record.request_hash = hex::encode(hash);
            entry.uncertain = call.change.is_some();
        })
    }

    /// The egress answered. `unknown` says that the other side may have done what was asked
    /// without anybody knowing.
    pub(crate) fn done(&self, record: CallRecord, unknown: bool) {
        self.with(|entry| {
            entry.uncertain &= unknown;
            entry.record = record;
            entry.since = None;
        });
    }

    /// Keeps the call and its answer for a later attempt, if the call is one to be made once.
    pub(crate) fn journal(&self, call: &OutboundCall, answer: &InboundResponse, limit: usize) {
        let mut calls = self.log.lock();
        let kept: usize = calls.journal.iter().map(JournalEntry::bytes).sum();
        calls.journal.extend(JournalEntry::of(call, answer, limit.saturating_sub(kept)));
    }

    /// An earlier attempt made the call; nothing is sent.
    pub(crate) fn repeated(&self, call: &OutboundCall, answer: &InboundResponse) {
        self.with(|entry| {
            let hash = request_hash(&call.method, &call.uri, &call.body);
            entry.record.request_hash = hex::encode(hash);
            entry.record.status = Some(answer.status.as_u16());
            entry.record.from_journal = true;
            entry.since = None;
        });
    }

    /// The journal of earlier attempts makes this call impossible; nothing is sent.
    pub(crate) fn stuck(&self, why: Failure) {
        self.never_sent(&why.message());
        self.log.lock().stuck.get_or_insert(why);
    }

    /// The guest did not finish the request.
    pub(crate) fn never_sent(&self, reason: &str) {
        self.with(|entry| {
            entry.record.error = Some(format!("not sent: {reason}"));
            entry.record.duration_ms = entry.since.take().map_or(0, milliseconds_since);
        });
    }

    /// Does nothing once the records were taken, and says so by false.
    fn with(&self, f: impl FnOnce(&mut Entry)) -> bool {
        let mut calls = self.log.lock();
        let at = usize::try_from(self.sequence).ok();
        at.and_then(|at| calls.entries.get_mut(at)).map(f).is_some()
    }
}

fn milliseconds_since(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A query may hold what the plugin's author took for a secret; only the egress knows which parts.
pub(crate) fn without_query(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("https");
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let query = if uri.query().is_some() { "?…" } else { "" };
    format!("{scheme}://{host}{}{query}", uri.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_without_an_end_is_on_record_without_its_query() {
        let log = CallLog::default();
        let uri = Uri::from_static("https://user:pw@api.example.com/a/b?token=s3cret");
        let ticket = log.begin(&Method::POST, &uri, Timestamp(1), 2).unwrap();
        ticket.with(|entry| entry.uncertain = true);
        let Taken { records, uncertain, .. } = log.take();
        assert!(uncertain, "nobody knows");
        assert_eq!(records[0].url, "https://api.example.com/a/b?…");
        assert!(records[0].error.as_deref().unwrap().contains("ended before the answer"));
        ticket.never_sent("too late to matter");
        assert_eq!(log.take().records, []);
    }

    #[tokio::test]
    async fn calls_are_numbered_and_bounded() {
        let log = CallLog::default();
        let uri = Uri::from_static("https://api.example.com/");
        assert_eq!(log.begin(&Method::GET, &uri, Timestamp(1), 1).unwrap().sequence(), 0);
        assert!(log.begin(&Method::GET, &uri, Timestamp(1), 1).is_none());
    }
}
