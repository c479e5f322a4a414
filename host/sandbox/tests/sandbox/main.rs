//! Scenarios of the sandbox, one file per subject.

#[path = "../support/mod.rs"]
mod support;

mod expression;
mod http;
mod library;
mod limits;
mod purity;
mod serving;
mod upload;
