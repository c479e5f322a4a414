//! The only way out: every call to another system goes through [`HttpEgress`].
//!
//! Owns what may be called (hosts, ports, addresses), how credentials are attached, the bounds of a
//! call and what is kept on record of it. Never follows a redirect, never decompresses, never reads
//! a proxy from the environment, and never retries a request that may have been sent.

mod admission;
mod alert_webhook;
mod checkpoint_webhook;
mod connector;
mod credentials;
mod document_reader;
mod exchange;
mod guard;
mod headers;
mod host_port;
mod host_webhook;
mod http_egress;
mod record;
mod redact;
mod resolve;
mod settings;
mod target;
#[cfg(test)]
mod testing;
mod tls;
mod turnstile;

pub use alert_webhook::AlertWebhook;
pub use checkpoint_webhook::CheckpointWebhook;
pub use document_reader::{DocumentReader, MAX_DOCUMENT_BYTES};
pub use guard::{Reason, forbidden};
pub use host_port::{HostPort, InvalidHostPort};
pub use host_webhook::InvalidHostUrl;
pub use http_egress::HttpEgress;
pub use resolve::{Resolve, SystemResolver};
pub use settings::EgressSettings;
pub use tls::EgressSetupError;
