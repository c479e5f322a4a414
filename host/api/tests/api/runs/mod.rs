//! `/api/v1/runs`, `/api/v1/workflows/{name}/runs` and `/api/v1/events`

mod cancel;
mod follow;
mod list;
mod scene;
mod show;
mod start;
