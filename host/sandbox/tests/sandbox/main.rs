//! Scenarios of the sandbox, one file per subject.

#[path = "../support/mod.rs"]
mod support;

mod expression;
mod http;
mod journal;
mod library;
mod limits;
mod needs;
mod purity;
mod reuse;
mod serving;
mod upload;
