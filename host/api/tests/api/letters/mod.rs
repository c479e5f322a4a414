//! `/api/v1/dead-letters`

mod bulk;
mod list;
mod show;
