//! Columns back to the port's types. What does not fit is damage, reported with its place.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tombolo_core::id::ContentHash;
use tombolo_core::ports::store::CancelRequest;
use tombolo_core::run::{RunState, StepState};
use uuid::Uuid;

/// Stored data that is not what it should be.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Damaged(pub(crate) String);

/// The state of a run.
pub(crate) fn run_state(name: &str) -> Result<RunState, Damaged> {
    RunState::parse(name).ok_or_else(|| Damaged(format!("`{name}` is no state of a run")))
}

/// The state of a step.
pub(crate) fn step_state(name: &str) -> Result<StepState, Damaged> {
    StepState::parse(name).ok_or_else(|| Damaged(format!("`{name}` is no state of a step")))
}

/// What a request to cancel met, from the run's state if there is such a run.
pub(crate) fn cancel_state(state: Option<&str>) -> Result<CancelRequest, Damaged> {
    let Some(state) = state.map(run_state).transpose()? else {
        return Ok(CancelRequest::Unknown);
    };
    Ok(if state.ended() { CancelRequest::Ended(state) } else { CancelRequest::Requested })
}

/// The 32 bytes of a hash.
pub(crate) fn content_hash(bytes: &[u8]) -> Result<ContentHash, Damaged> {
    bytes
        .try_into()
        .map(ContentHash)
        .map_err(|_| Damaged(format!("a hash has {} bytes, not 32", bytes.len())))
}

/// The bytes of an id.
pub(crate) fn id(id: &Uuid) -> &[u8] {
    id.as_bytes()
}

/// The bytes of a hash.
pub(crate) fn hash_bytes(hash: Option<&ContentHash>) -> Option<&[u8]> {
    hash.map(|hash| hash.0.as_slice())
}

/// A count that the port has as `u32` or `u64`.
pub(crate) fn unsigned<T: TryFrom<i64>>(value: i64) -> Result<T, Damaged> {
    T::try_from(value).map_err(|_| Damaged(format!("{value} is out of range for a count")))
}

/// A value of ours as JSON text.
///
/// Ours always serialize: their maps have text keys, and nothing in them refuses.
pub(crate) fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// JSON text that [`to_json`] wrote.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, Damaged> {
    serde_json::from_str(text).map_err(|error| Damaged(format!("{what}: {error}")))
}

/// Ids one after the other, 16 bytes each.
pub(crate) fn join_ids(ids: impl Iterator<Item = Uuid>) -> Vec<u8> {
    ids.flat_map(Uuid::into_bytes).collect()
}

/// Ids that [`join_ids`] wrote.
pub(crate) fn split_ids(bytes: &[u8]) -> Result<Vec<Uuid>, Damaged> {
    let (ids, rest) = bytes.as_chunks::<16>();
    if rest.is_empty() {
        Ok(ids.iter().copied().map(Uuid::from_bytes).collect())
    } else {
        Err(Damaged(format!("a list of ids has {} bytes, which is no multiple of 16", bytes.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_ids_reads_back_in_order_and_a_torn_one_is_damage() {
        let ids = [Uuid::from_u128(7), Uuid::from_u128(3)];
        let bytes = join_ids(ids.into_iter());
        assert_eq!(split_ids(&bytes).unwrap(), ids);
        assert!(split_ids(&bytes[..17]).is_err());
    }

    #[test]
    fn an_unknown_state_is_damage() {
        assert!(run_state("done").is_err());
        assert!(step_state("done").is_err());
        assert_eq!(cancel_state(None).unwrap(), CancelRequest::Unknown);
        assert_eq!(cancel_state(Some("failed")).unwrap(), CancelRequest::Ended(RunState::Failed));
        assert_eq!(cancel_state(Some("waiting")).unwrap(), CancelRequest::Requested);
    }
}
