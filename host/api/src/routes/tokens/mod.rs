//! `/api/v1/tokens`: make, list and take back. What opens is shown once, when it is made.

pub(super) mod create;
pub(super) mod list;
pub(super) mod revoke;
mod shape;
