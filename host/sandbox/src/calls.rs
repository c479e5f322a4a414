//! The calls of one attempt, in the order they were asked for: their records, those included that
//! nobody knows the end of, and what of them a later attempt is left.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Method, Uri};
use tokio::time::Instant;
use tombolo_core::clock::Timestamp;
use tombolo_core::effect::Effect;
use tombolo_core::ledger::{Ask, Ledger};
use tombolo_core::ports::egress::{CallRecord, InboundResponse};
use tombolo_core::ports::journal::JournalEntry;

use crate::failure::Failure;

/// Shared with the calls under way, which outlive neither the instance nor their record.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallLog(Arc<Mutex<Calls>>);

#[derive(Debug, Default)]
struct Calls {
    entries: Vec<Entry>,
    /// Those that can change the other side, and those of earlier attempts.
    ledger: Ledger,
    /// See [`Taken::stuck`].
    stuck: Option<Failure>,
}

#[derive(Debug)]
struct Entry {
    record: CallRecord,
    /// None once the call is over.
    since: Option<Instant>,
    /// Its place among the step's changes, if it is sent and can change the other side.
    change: Option<u32>,
    /// True if the other side may have been changed and nobody knows.
    uncertain: bool,
}

/// What an attempt's calls left behind.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// One for each call.
    pub(crate) records: Vec<CallRecord>,
    /// True if a call may have changed the other side and nobody knows whether it did.
    pub(crate) uncertain: bool,
    /// What the journal of earlier attempts makes impossible.
    pub(crate) stuck: Option<Failure>,
    ledger: Ledger,
}

impl Taken {
    /// What the attempt adds to the journal of its step, should it fail.
    pub(crate) fn journal(&mut self, effect: Effect) -> Vec<JournalEntry> {
        self.ledger.close(effect)
    }
}

impl CallLog {
    /// With what earlier attempts left.
    pub(crate) fn new(journal: &[JournalEntry]) -> Self {
        let calls = Calls { ledger: Ledger::new(journal), ..Calls::default() };
        Self(Arc::new(Mutex::new(calls)))
    }

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
        calls.entries.push(Entry {
            record: CallRecord {
                sequence,
                method: method.to_string(),
                url: without_query(uri),
                request_headers: Vec::new(),
                request_body: None,
                request_hash: String::new(),
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
            change: None,
            uncertain: false,
        });
        Some(Ticket { log: self.clone(), sequence })
    }

    /// Everything. A call that is still under way ends here, its outcome unknown.
    pub(crate) fn take(&self) -> Taken {
        let Calls { entries, ledger, stuck } = std::mem::take(&mut *self.lock());
        let uncertain = entries.iter().any(|entry| entry.uncertain);
        let records = entries.into_iter().map(Entry::into_record).collect();
        Taken { records, uncertain, stuck, ledger }
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

/// How a call ended that the egress was given.
pub(crate) struct Ended<'a> {
    /// None if there is none.
    pub(crate) answer: Option<&'a InboundResponse>,
    pub(crate) record: CallRecord,
    /// True if the other side may have done what was asked without anybody knowing.
    pub(crate) unknown: bool,
    /// What the answers that are kept may take together, in bytes.
    pub(crate) room: usize,
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

    /// A request that changes nothing goes to the egress now. False if the attempt is over: then it
    /// must not.
    pub(crate) fn read(&self, hash: [u8; 32]) -> bool {
        self.with(|entry| entry.record.request_hash = hex::encode(hash))
    }

    /// What becomes of a request that can change the other side: if it is sent, then now. None if
    /// the attempt is over.
    pub(crate) fn change(&self, hash: [u8; 32]) -> Option<Ask> {
        let mut calls = self.log.lock();
        let Calls { entries, ledger, .. } = &mut *calls;
        let entry = entry_of(entries, self.sequence)?;
        entry.record.request_hash = hex::encode(hash);
        let ask = ledger.ask(hash);
        if let Ask::Send(place) = ask {
            entry.change = Some(place);
            entry.uncertain = true;
        }
        Some(ask)
    }

    /// The egress answered: the record, whether anybody knows what came of the call, and what of it
    /// a later attempt is left. All at once, because the attempt may end at any time.
    pub(crate) fn done(&self, ended: Ended<'_>) {
        let mut calls = self.log.lock();
        let Calls { entries, ledger, .. } = &mut *calls;
        let Some(entry) = entry_of(entries, self.sequence) else {
            return;
        };
        entry.record = ended.record;
        entry.since = None;
        entry.uncertain &= ended.unknown;
        match (entry.change, ended.answer) {
            (Some(place), Some(answer)) => ledger.answered(place, answer, ended.room),
            (Some(place), None) => ledger.failed(place),
            (None, _) => {}
        }
    }

    /// An earlier attempt made the call; nothing is sent.
    pub(crate) fn repeated(&self, answer: &InboundResponse) {
        self.with(|entry| {
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
        entry_of(&mut self.log.lock().entries, self.sequence).map(f).is_some()
    }
}

/// None once the records were taken.
fn entry_of(entries: &mut [Entry], sequence: u32) -> Option<&mut Entry> {
    entries.get_mut(usize::try_from(sequence).ok()?)
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
        assert_eq!(ticket.change([1; 32]), Some(Ask::Send(0)));
        let Taken { records, uncertain, .. } = log.take();
        assert!(uncertain, "nobody knows");
        assert_eq!(records[0].url, "https://api.example.com/a/b?…");
        assert!(records[0].error.as_deref().unwrap().contains("ended before the answer"));
        ticket.never_sent("too late to matter");
        assert_eq!(log.take().records, []);
    }

    #[tokio::test]
    async fn an_attempt_that_ends_knows_of_a_call_and_keeps_it_or_neither() {
        let log = CallLog::default();
        let uri = Uri::from_static("https://api.example.com/");
        let begin = || log.begin(&Method::POST, &uri, Timestamp(1), 9).unwrap();
        let answer = InboundResponse {
            status: http::StatusCode::CREATED,
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::new(),
        };
        let done = |ticket: &Ticket, record: &CallRecord| {
            let record = record.clone();
            ticket.done(Ended { answer: Some(&answer), record, unknown: false, room: 99 });
        };
        let first = begin();
        first.change([1; 32]).unwrap();
        let record = log.lock().entries[0].record.clone();
        done(&first, &record);
        let late = begin();
        late.change([2; 32]).unwrap();
        let mut taken = log.take();
        assert!(taken.uncertain, "the second");
        let kept: Vec<bool> =
            taken.journal(Effect::Unsafe).iter().map(|entry| !entry.failed()).collect();
        assert_eq!(kept, [true, false]);
        // An answer that comes now is nobody's.
        done(&late, &record);
        let mut taken = log.take();
        assert_eq!((taken.records.len(), taken.journal(Effect::Unsafe).len()), (0, 0));
        assert_eq!(late.change([3; 32]), None, "nothing is sent");
    }

    #[tokio::test]
    async fn calls_are_numbered_and_bounded() {
        let log = CallLog::default();
        let uri = Uri::from_static("https://api.example.com/");
        assert_eq!(log.begin(&Method::GET, &uri, Timestamp(1), 1).unwrap().sequence(), 0);
        assert!(log.begin(&Method::GET, &uri, Timestamp(1), 1).is_none());
    }
}
