//! `/api/v1/runs`, `/api/v1/workflows/{name}/runs` and `/api/v1/events`

mod cancel;
mod follow;
mod list;
mod repair;
mod replay;
pub mod scene;
mod show;
mod signal;
mod start;
