//! What handlers take out of a request: body, path, query and headers, each refused precisely.

mod body;
mod budget;
mod correlation;
mod deadline;
mod form;
mod idempotency;
mod params;
mod prefer;

pub(crate) use body::{Bound, Incoming, parse};
pub(crate) use budget::Budget;
pub(crate) use correlation::{Correlation, HEADER as CORRELATION_HEADER};
pub(crate) use deadline::Deadline;
pub(crate) use form::{invalid, read};
pub(crate) use idempotency::{IdempotencyKey, fingerprint};
pub(crate) use params::{PathParam, QueryParams};
pub(crate) use prefer::preferred_wait;
