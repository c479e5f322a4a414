//! A native double of the host, so that a plugin's unit tests run with plain `cargo test`.
//!
//! ```
//! use serde_json::json;
//! use tombolo_sdk::testing::Upstream;
//!
//! let session = Upstream::new()
//!     .on("GET", "/crm/v3/objects/deals/7")
//!     .respond(200, json!({"id": "7"}))
//!     .install();
//! let deal: serde_json::Value = tombolo_sdk::http::get("/crm/v3/objects/deals/7")
//!     .send()?
//!     .json()?;
//! assert_eq!(deal["id"], "7");
//! assert_eq!(session.requests().len(), 1);
//! # Ok::<(), tombolo_sdk::NodeError>(())
//! ```
//!
//! The double belongs to the thread: tests that run side by side do not see each other's.

mod host;
mod upstream;

use serde_json::Value;

use crate::error::NodeError;
use crate::plugin::Plugin;

pub use host::{Context, LogLine};
pub(crate) use host::{context, current_upstream, log, state};
pub use upstream::{Expecting, Recorded, Reply, Session, Upstream};

/// A finished call.
#[derive(Debug, Clone, PartialEq)]
pub struct Called {
    /// The output.
    pub output: Value,
    /// The ports that fire; none means the default port.
    pub ports: Vec<String>,
}

/// Runs an operation as the host does: parameters and output cross as JSON text.
///
/// # Panics
/// If the operation's output is not JSON, which is a defect of the plugin.
pub fn invoke(plugin: &Plugin, operation: &str, params: Value) -> Result<Called, NodeError> {
    let outcome = plugin.invoke(operation, &params.to_string())?;
    let output = serde_json::from_str(&outcome.output)
        .unwrap_or_else(|error| panic!("`{operation}` answered no JSON: {error}"));
    Ok(Called { output, ports: outcome.ports })
}
