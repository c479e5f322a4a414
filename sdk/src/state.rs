//! Key/value state of this node in this workflow. Writes are committed with the step's result, or
//! not at all.

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(target_family = "wasm")]
use crate::bindings::tombolo::node::state as host;
use crate::error::NodeError;
#[cfg(not(target_family = "wasm"))]
use crate::testing::state as host;

/// How often [`update`] tries before it gives up.
pub const MAX_UPDATE_ATTEMPTS: u32 = 8;

/// A stored value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<T> {
    /// The value.
    pub value: T,
    /// Increases with every committed write.
    pub version: u64,
}

/// Reads the entry of `key`; None if there is none.
pub fn get<T: DeserializeOwned>(key: &str) -> Result<Option<Entry<T>>, NodeError> {
    let Some(entry) = host::get(key) else {
        return Ok(None);
    };
    let value = serde_json::from_str(&entry.value).map_err(|error| {
        NodeError::permanent(
            "state-unreadable",
            format!("the state stored under `{key}` does not have the expected shape: {error}"),
        )
    })?;
    Ok(Some(Entry { value, version: entry.version }))
}

/// Writes if the entry's version still is `expected`, 0 standing for "no entry". False when it is
/// not.
pub fn compare_and_set<T: Serialize>(
    key: &str,
    expected: u64,
    value: &T,
) -> Result<bool, NodeError> {
    let value = serde_json::to_string(value).map_err(|error| {
        NodeError::permanent(
            "state-not-json",
            format!("the state for `{key}` cannot be written as JSON: {error}"),
        )
    })?;
    Ok(host::compare_and_set(key, expected, &value))
}

/// Replaces the value of `key` by what `change` makes of it, and returns that.
pub fn update<T: Serialize + DeserializeOwned>(
    key: &str,
    mut change: impl FnMut(Option<T>) -> T,
) -> Result<T, NodeError> {
    for _ in 0..MAX_UPDATE_ATTEMPTS {
        let entry = get(key)?;
        let expected = entry.as_ref().map_or(0, |entry| entry.version);
        let value = change(entry.map(|entry| entry.value));
        if compare_and_set(key, expected, &value)? {
            return Ok(value);
        }
    }
    Err(NodeError::transient(
        "state-contended",
        format!("the state `{key}` was changed by others {MAX_UPDATE_ATTEMPTS} times in a row"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Upstream;

    #[test]
    fn an_update_sees_the_value_before_it() {
        let session = Upstream::new().install();
        let count = |before: Option<u64>| before.unwrap_or(0) + 1;
        assert_eq!(update("seen", count), Ok(1));
        assert_eq!(update("seen", count), Ok(2));
        assert_eq!(session.state("seen"), Some(serde_json::json!(2)));
    }

    #[test]
    fn a_stale_version_writes_nothing() {
        let session = Upstream::new().install();
        assert_eq!(compare_and_set("cursor", 0, &"a"), Ok(true));
        assert_eq!(compare_and_set("cursor", 0, &"b"), Ok(false));
        assert_eq!(session.state("cursor"), Some(serde_json::json!("a")));
        let entry = get::<String>("cursor").expect("is readable").expect("is there");
        assert_eq!(entry.version, 1);
    }

    #[test]
    fn a_value_of_another_shape_is_refused() {
        let _session = Upstream::new().install();
        assert_eq!(compare_and_set("cursor", 0, &"a"), Ok(true));
        let error = get::<u64>("cursor").expect_err("is text");
        assert_eq!(error.code, "state-unreadable");
    }
}
