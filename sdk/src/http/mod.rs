//! An HTTP client over `wasi:http`. The host's egress carries every request and adds the node's
//! credentials; redirects are never followed here.
//!
//! ```no_run
//! # fn main() -> Result<(), tombolo_sdk::NodeError> {
//! use tombolo_sdk::http;
//!
//! let deal: serde_json::Value = http::get("/crm/v3/objects/deals/7")
//!     .query("properties", "amount")
//!     .send()?
//!     .json()?;
//! # Ok(())
//! # }
//! ```

mod failure;
mod rate_limit;
mod request;
mod response;
mod retry_after;
#[cfg(target_family = "wasm")]
mod wasi;

use serde_json::json;

use crate::error::NodeError;

pub use ::http::Method;
pub use failure::SendFailure;
pub use request::{Outgoing, Request};
pub use response::{Incoming, Response};

/// Largest response body that is read, in bytes; a longer one is `response-too-large`.
pub const MAX_RESPONSE_BYTES: usize = 16 * 1024 * 1024;

/// Carries a request: `wasi:http` in a component, [`crate::testing::Upstream`] in a native test.
pub trait Transport {
    /// Sends the request and reads the whole answer.
    fn send(&self, outgoing: &Outgoing) -> Result<Incoming, SendFailure>;
}

/// A GET request. A target that starts with `/` is joined to the base URL of the node's connection.
pub fn get(target: impl Into<String>) -> Request {
    Request::new(Method::GET, target)
}

/// A POST request; for the target see [`get`].
pub fn post(target: impl Into<String>) -> Request {
    Request::new(Method::POST, target)
}

/// A PUT request; for the target see [`get`].
pub fn put(target: impl Into<String>) -> Request {
    Request::new(Method::PUT, target)
}

/// A PATCH request; for the target see [`get`].
pub fn patch(target: impl Into<String>) -> Request {
    Request::new(Method::PATCH, target)
}

/// A DELETE request; for the target see [`get`].
pub fn delete(target: impl Into<String>) -> Request {
    Request::new(Method::DELETE, target)
}

/// Text that came from the parameter `name`, made safe as one segment of a path: `a/b c` becomes
/// `a%2Fb%20c`.
///
/// `.` and `..` alone would be read as steps in the path, so their dots are encoded too.
///
/// # Errors
/// `invalid-params` for the empty text: without the segment the path is that of the whole
/// collection.
pub fn segment(name: &str, text: &str) -> Result<String, NodeError> {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    // The unreserved characters of RFC 3986, section 2.3, and the colon, which Asana's ids use.
    const KEPT: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');
    match text {
        "" => Err(NodeError::invalid_input("invalid-params", format!("`{name}`: is empty"))
            .with_details(json!({ "pointer": format!("/{name}") }))),
        "." => Ok("%2E".to_owned()),
        ".." => Ok("%2E%2E".to_owned()),
        _ => Ok(utf8_percent_encode(text, KEPT).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorClass;

    #[test]
    fn a_segment_cannot_leave_its_place_in_the_path() {
        let table = [
            ("7", "7"),
            ("external:a-1", "external:a-1"),
            ("../owners?x=1#y", "..%2Fowners%3Fx%3D1%23y"),
            ("..", "%2E%2E"),
            ("ä b", "%C3%A4%20b"),
        ];
        for (text, expected) in table {
            assert_eq!(segment("id", text).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn a_segment_is_never_empty() {
        let error = segment("id", "").unwrap_err();
        assert_eq!((error.class, &*error.code), (ErrorClass::InvalidInput, "invalid-params"));
        assert_eq!(error.message, "`id`: is empty");
        assert_eq!(error.details.as_deref(), Some(&json!({ "pointer": "/id" })));
    }
}
