//! Users' stories, told to the real binary: over HTTP, over signals, over the command line, with the
//! stand-ins of `tests/src` as the other systems. One file per subject.
//!
//! Needs the binary and the components of the same profile: `cargo xtask test` builds them.

mod access;
mod api;
mod blueprint;
mod cli;
mod crash;
mod engine;
mod expressions;
mod journal;
mod limits;
mod many;
mod plugins;
mod repair;
mod retention;
mod scene;
mod secrets;
mod together;
mod uploads;
mod upstream;
mod webhooks;
mod workflow_files;
