//! The record of calls: what came in, in which order, and what became of it.
//!
//! Calls are recorded before anything is done with them, and each change wakes who waits. Nothing
//! is ever dropped from the record but by `clear`.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, request};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{MAX_RECORDED_CALLS, Misbehaviour};

/// The header that names one piece of work over all its attempts.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// One call a stand-in received.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its place in the order of arrival, from 0; never used twice by one stand-in.
    pub sequence: u64,
    /// When it arrived, in milliseconds since 1970.
    pub at_unix_ms: i64,
    /// Such as `POST`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// What follows the `?`.
    pub query: Option<String>,
    /// As received.
    pub headers: HeaderMap,
    /// As received.
    pub body: Bytes,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<String>,
    /// What the stand-in did wrong on command.
    pub misbehaviour: Option<Misbehaviour>,
    /// The status it was answered with; absent while there is no answer, and where there is none.
    pub status: Option<u16>,
    /// Whether the call changed the stand-in's objects. A replay of a first answer does not.
    pub performed: bool,
}

impl Call {
    /// A header's value, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(super) fn to_json(&self) -> Value {
        let headers: serde_json::Map<String, Value> = self
            .headers
            .iter()
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into())
            })
            .collect();
        json!({
            "sequence": self.sequence,
            "at_unix_ms": self.at_unix_ms,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": headers,
            "body": String::from_utf8_lossy(&self.body),
            "idempotency_key": self.idempotency_key,
            "misbehaviour": self.misbehaviour,
            "status": self.status,
            "performed": self.performed,
        })
    }
}

#[derive(Debug, Default)]
struct Record {
    calls: Vec<Call>,
    /// The sequence of the first call in `calls`.
    first: u64,
    /// How often work was performed under each idempotency key.
    performed: HashMap<String, u64>,
}

impl Record {
    fn call(&mut self, sequence: u64) -> Option<&mut Call> {
        // A call from before the last `clear` is not there any more.
        let place = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        self.calls.get_mut(place)
    }
}

/// All calls since the start or the last `clear`.
#[derive(Debug, Default)]
pub(super) struct Log {
    record: Mutex<Record>,
    changed: Notify,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a call; its sequence, or nothing if the record is full.
    pub fn arrived(
        &self,
        head: &request::Parts,
        body: Bytes,
        misbehaviour: Option<Misbehaviour>,
    ) -> Option<u64> {
        let mut record = self.lock();
        if record.calls.len() >= MAX_RECORDED_CALLS {
            return None;
        }
        let sequence = record.first + record.calls.len() as u64;
        record.calls.push(Call {
            sequence,
            at_unix_ms: jiff::Timestamp::now().as_millisecond(),
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(str::to_owned),
            headers: head.headers.clone(),
            body,
            idempotency_key: idempotency_key(&head.headers),
            misbehaviour,
            status: None,
            performed: false,
        });
        drop(record);
        self.changed.notify_waiters();
        Some(sequence)
    }

    pub fn performed(&self, sequence: u64) {
        let mut record = self.lock();
        let key = record.call(sequence).and_then(|call| {
            call.performed = true;
            call.idempotency_key.clone()
        });
        if let Some(key) = key {
            *record.performed.entry(key).or_default() += 1;
        }
        drop(record);
        self.changed.notify_waiters();
    }

    pub fn answered(&self, sequence: u64, status: u16) {
        if let Some(call) = self.lock().call(sequence) {
            call.status = Some(status);
        }
        self.changed.notify_waiters();
    }

    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    pub fn count(&self, matches: impl Fn(&Call) -> bool) -> usize {
        self.lock().calls.iter().filter(|call| matches(call)).count()
    }

    /// How many idempotency keys saw their work performed more than once.
    pub fn duplicates(&self) -> usize {
        self.lock().performed.values().filter(|times| **times > 1).count()
    }

    pub fn clear(&self) {
        let mut record = self.lock();
        record.first += record.calls.len() as u64;
        record.calls.clear();
        record.performed.clear();
        drop(record);
        self.changed.notify_waiters();
    }

    /// Waits, without a limit, until the calls are as wanted.
    pub async fn until(&self, condition: impl Fn(&[Call]) -> bool) -> Vec<Call> {
        loop {
            // Registered before looking, so that no change between the two is lost.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let record = self.lock();
                if condition(&record.calls) {
                    return record.calls.clone();
                }
            }
            changed.await;
        }
    }
}

/// The call's idempotency key, if it has one.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(IDEMPOTENCY_KEY)?.to_str().ok()?.to_owned())
}
