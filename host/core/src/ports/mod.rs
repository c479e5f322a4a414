//! The ports: what the laws need from the outside. Each is implemented by one crate around core,
//! and only the server wires them.

pub mod alert;
pub mod authoring;
pub mod callback;
pub mod checkpoints;
pub mod documents;
pub mod egress;
pub mod intake;
pub mod journal;
pub mod quota;
pub mod repair;
pub mod sandbox;
pub mod store;
pub mod vault;
