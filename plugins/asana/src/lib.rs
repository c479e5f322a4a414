//! Asana (API 1.0): create a project, create a task, find a task by its external id.
//!
//! Asana knows no idempotency keys, so both creations are unsafe. With the token of an OAuth app, a
//! task may carry an external id, under which a workflow can look for it before it creates one.

mod call;
mod project;
mod task;

use tombolo_sdk::{Auth, Plugin};

tombolo_sdk::export!(plugin);

/// What this plugin offers.
pub fn plugin() -> Plugin {
    Plugin::connector("asana", env!("CARGO_PKG_VERSION"), "Asana")
        .reusable()
        .host("app.asana.com")
        .connection(
            "asana",
            [Auth::Bearer],
            "A personal access token or that of an OAuth app, at https://app.asana.com/api/1.0",
        )
        .operations([project::create(), task::create(), task::find()])
}
