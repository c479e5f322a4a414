//! A PostgreSQL server for tests, and fresh databases on it.
//!
//! Tests share one server: that of `TEST_DATABASE_URL` (a user who may make databases and users), or
//! one that is started for them in a temporary folder. Each gets a database of its own, whose owner
//! is no superuser.

mod database;
mod server;

pub use database::Database;
pub use server::{Durable, Server};
