//! The engine's own words for what went wrong with a run.

use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::ports::store::StoreError;
use tombolo_core::run::Illegal;

/// Stored states that the laws do not know are damage, not bad luck.
pub(crate) fn corrupt(illegal: Illegal) -> StoreError {
    StoreError::Corrupt(illegal.to_string())
}

/// The error of a run that cannot be run.
pub(crate) fn permanent(code: &str, message: String) -> StepError {
    StepError::new(ErrorClass::Permanent, code, message)
}
