//! Any HTTP call: REST with `request` and `get`, GraphQL with `graphql`.

mod graphql;
mod request;
mod target;

use tombolo_sdk::{Auth, Plugin};

tombolo_sdk::export!(plugin);

/// What this plugin offers.
pub fn plugin() -> Plugin {
    Plugin::connector("http", env!("CARGO_PKG_VERSION"), "Any REST or GraphQL call")
        .reusable()
        .connection("http", [Auth::Bearer, Auth::Basic, Auth::Header, Auth::Query], "Any HTTP API")
        .operations([request::request(), request::get(), graphql::graphql()])
}
