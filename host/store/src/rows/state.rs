//! What plugins keep between runs.

use tombolo_core::json::Json;

use super::{Columns, ReadFault};
use crate::record::unsigned;

/// Reads a value and its version.
pub(crate) fn node_state(row: &impl Columns) -> Result<(Json, u64), ReadFault> {
    Ok((Json::from_trusted(row.text(0)?), unsigned(row.number(1)?)?))
}
