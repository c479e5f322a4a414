//! `tombolo:node/state`: reads through to the committed state, writes into a buffer that goes out
//! with the step's result. Never writes to the store.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use tombolo_core::json::{self, Json};
use tombolo_core::ports::sandbox::{StateReader, StateUnavailable, StateWrite};

use crate::bindings::tombolo::node::state;
use crate::guest::Guest;
use crate::settings::StateBounds;

/// What one attempt saw and wrote. Every key is read from the store at most once, so that an
/// attempt sees one state.
#[derive(Debug, Default)]
pub(crate) struct StateBuffer {
    reader: Option<Arc<dyn StateReader>>,
    bounds: StateBounds,
    entries: HashMap<String, Touched>,
    /// Keys in the order of their first write.
    written: Vec<String>,
}

#[derive(Debug)]
struct Touched {
    committed_version: u64,
    value: Option<Json>,
    version: u64,
}

/// Why a guest may not use its state like this. Ends the attempt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateFault {
    /// More, or larger, than allowed.
    #[error("{what} (limit {limit_name} = {limit})")]
    Limit { what: String, limit_name: &'static str, limit: usize },
    /// Not JSON.
    #[error("the value for state key `{key}` is not acceptable: {reason}")]
    Invalid { key: String, reason: json::InvalidJson },
    /// The store did not answer.
    #[error(transparent)]
    Unavailable(#[from] StateUnavailable),
}

impl StateBuffer {
    pub(crate) fn new(reader: Option<Arc<dyn StateReader>>, bounds: StateBounds) -> Self {
        Self { reader, bounds, entries: HashMap::new(), written: Vec::new() }
    }

    /// The writes, in the order of each key's first one.
    pub(crate) fn into_writes(mut self) -> Vec<StateWrite> {
        std::mem::take(&mut self.written)
            .into_iter()
            .filter_map(|key| {
                let touched = self.entries.remove(&key)?;
                let value = touched.value?;
                Some(StateWrite { key, expected: touched.committed_version, value })
            })
            .collect()
    }

    async fn touch(&mut self, key: String) -> Result<&mut Touched, StateFault> {
        let full = self.entries.len() >= self.bounds.entries;
        match self.entries.entry(key) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                if full {
                    return Err(StateFault::Limit {
                        what: "the attempt uses too many state entries".to_owned(),
                        limit_name: "state.entries",
                        limit: self.bounds.entries,
                    });
                }
                if entry.key().len() > self.bounds.key_bytes {
                    return Err(StateFault::Limit {
                        what: format!("a state key has {} bytes", entry.key().len()),
                        limit_name: "state.key_bytes",
                        limit: self.bounds.key_bytes,
                    });
                }
                let committed = match &self.reader {
                    Some(reader) => reader.get(entry.key()).await?,
                    None => None,
                };
                let (value, version) = match committed {
                    Some((value, version)) => (Some(value), version),
                    None => (None, 0),
                };
                Ok(entry.insert(Touched { committed_version: version, value, version }))
            }
        }
    }

    async fn get(&mut self, key: String) -> Result<Option<state::Entry>, StateFault> {
        let touched = self.touch(key).await?;
        Ok(touched
            .value
            .as_ref()
            .map(|value| state::Entry { value: value.text().to_owned(), version: touched.version }))
    }

    async fn compare_and_set(
        &mut self,
        key: String,
        expected: u64,
        value: String,
    ) -> Result<bool, StateFault> {
        if value.len() > self.bounds.value_bytes {
            return Err(StateFault::Limit {
                what: format!("the value for state key `{key}` has {} bytes", value.len()),
                limit_name: "state.value_bytes",
                limit: self.bounds.value_bytes,
            });
        }
        let value = Json::parse(&value)
            .map_err(|reason| StateFault::Invalid { key: key.clone(), reason })?;
        let touched = self.touch(key.clone()).await?;
        if touched.version != expected {
            return Ok(false);
        }
        let first = touched.version == touched.committed_version;
        touched.value = Some(value);
        touched.version += 1;
        if first {
            self.written.push(key);
        }
        Ok(true)
    }
}

impl state::Host for Guest {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<state::Entry>> {
        Ok(self.state.get(key).await?)
    }

    async fn compare_and_set(
        &mut self,
        key: String,
        expected: u64,
        value: String,
    ) -> wasmtime::Result<bool> {
        Ok(self.state.compare_and_set(key, expected, value).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct One;

    #[async_trait::async_trait]
    impl StateReader for One {
        async fn get(&self, key: &str) -> Result<Option<(Json, u64)>, StateUnavailable> {
            match key {
                "cursor" => Ok(Some((Json::from_trusted("7"), 3))),
                "broken" => Err(StateUnavailable("no answer".to_owned())),
                _ => Ok(None),
            }
        }
    }

    fn buffer() -> StateBuffer {
        StateBuffer::new(
            Some(Arc::new(One)),
            StateBounds { entries: 2, key_bytes: 10, value_bytes: 10 },
        )
    }

    #[tokio::test]
    async fn an_attempt_reads_its_own_writes_and_keeps_the_committed_version() {
        let mut state = buffer();
        let cursor = "cursor".to_owned();
        assert!(!state.compare_and_set(cursor.clone(), 2, "8".to_owned()).await.unwrap());
        assert!(state.compare_and_set(cursor.clone(), 3, "8".to_owned()).await.unwrap());
        let entry = state.get(cursor.clone()).await.unwrap().unwrap();
        assert_eq!((entry.value.as_str(), entry.version), ("8", 4));
        assert!(state.compare_and_set(cursor.clone(), 4, "9".to_owned()).await.unwrap());
        assert!(state.compare_and_set("new".to_owned(), 0, "1".to_owned()).await.unwrap());
        assert_eq!(
            state.into_writes(),
            [
                StateWrite { key: cursor, expected: 3, value: Json::from_trusted("9") },
                StateWrite { key: "new".to_owned(), expected: 0, value: Json::from_trusted("1") },
            ]
        );
    }

    #[tokio::test]
    async fn a_refused_write_is_not_committed() {
        let mut state = buffer();
        assert!(!state.compare_and_set("new".to_owned(), 1, "1".to_owned()).await.unwrap());
        assert_eq!(state.into_writes(), []);
    }

    #[tokio::test]
    async fn bounds_and_bad_values_are_named() {
        let mut state = buffer();
        let error = state.get("a-key-too-long".to_owned()).await.unwrap_err();
        assert!(error.to_string().contains("state.key_bytes = 10"), "{error}");
        let error = state.compare_and_set("k".to_owned(), 0, "12345678901".to_owned()).await;
        assert!(error.unwrap_err().to_string().contains("state.value_bytes = 10"));
        let error = state.compare_and_set("k".to_owned(), 0, "{".to_owned()).await.unwrap_err();
        assert!(matches!(error, StateFault::Invalid { .. }), "{error}");
        state.get("a".to_owned()).await.unwrap();
        state.get("b".to_owned()).await.unwrap();
        let error = state.get("c".to_owned()).await.unwrap_err();
        assert!(error.to_string().contains("state.entries = 2"), "{error}");
        let error = buffer().get("broken".to_owned()).await.unwrap_err();
        assert!(matches!(error, StateFault::Unavailable(_)), "{error}");
    }
}
