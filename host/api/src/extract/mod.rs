//! What handlers take out of a request: body, path, query and headers, each refused precisely.

mod body;
mod correlation;
mod idempotency;
mod params;
mod prefer;

pub(crate) use body::{Bound, Incoming};
pub(crate) use correlation::{Correlation, HEADER as CORRELATION_HEADER};
pub(crate) use idempotency::{IdempotencyKey, fingerprint};
pub(crate) use params::{PathParam, QueryParams};
pub(crate) use prefer::preferred_wait;
