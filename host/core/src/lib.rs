//! The laws of Tombolo: what a workflow, a plan, a run and a step are, and how they change.
//!
//! Owns the types, the decisions and the ports to the outside.
//! Never does I/O, never asks for the time or for randomness: both are passed in.

pub mod alerting;
pub mod audit;
pub mod clock;
pub mod descriptor;
pub mod effect;
pub mod error;
pub mod id;
pub mod json;
pub mod ledger;
pub mod ports;
pub mod quota;
pub mod random;
pub mod rate;
pub mod role;
pub mod run;
pub mod secret;
pub mod wait;
pub mod workflow;
