//! The stand-ins of SaaS systems, and what the tests share.
//!
//! A stand-in is a real HTTP server on loopback that follows a provider's documented requests,
//! answers and errors, counts what it is asked, and misbehaves on command. No stand-in knows the
//! host: what speaks to it cannot tell it from the real system but by its address.

pub mod asana;
pub mod bench;
pub mod disk;
pub mod host;
mod http_client;
pub mod hubspot;
pub mod load;
pub mod proxy;
pub mod sink;
pub mod standin;

pub use disk::Disk;
pub use host::{Host, HostOptions};
pub use http_client::http_client;
pub use standin::{Call, Misbehaviour, Rule, Standin};
