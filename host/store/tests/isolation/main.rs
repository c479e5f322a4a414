//! Tenants on PostgreSQL: what the database itself keeps apart, whatever a statement forgets; and how
//! its tables grow. Against a real server.

mod catalogue;
mod everything;
mod explain;
mod forget;
mod hardened;
mod lost;
mod many;
mod plans;
mod pool;
mod queue;
mod rows;
mod schema;
mod start;
mod texts;
mod world;
