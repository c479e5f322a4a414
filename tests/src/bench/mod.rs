//! The benchmarks: the real server, a client, and a sink on one machine; runs counted as completed
//! from the store, never as acknowledged.
//!
//! Owns the shapes, the load and the report. A benchmark fails on errors and lost work, never on
//! time. See `docs/benchmarks.md`.

mod api;
mod claims;
mod completed;
mod connection;
mod demand;
mod figures;
mod history;
mod idle;
mod limit;
mod load;
mod machine;
mod pacer;
mod payload;
mod place;
mod policies;
mod process;
mod queued;
mod report;
mod rounds;
mod sandbox;
mod scale;
mod server;
mod settings;
mod shape;
mod sinks;
mod start;
mod table;
mod template;
mod turns;
mod webhooks;
mod workflows;

pub use place::Place;
pub use report::Report;
pub use rounds::run;
pub use settings::{DEFAULT_ROUNDS, DEFAULT_SECONDS, Settings};
pub use shape::Shape;
