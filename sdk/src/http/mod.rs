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
mod request;
mod response;
mod retry_after;
#[cfg(target_family = "wasm")]
mod wasi;

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

/// Text that came from parameters, made safe as one segment of a path: `a/b c` becomes `a%2Fb%20c`.
///
/// `.` and `..` alone would be read as steps in the path, so their dots are encoded too.
pub fn segment(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    // The unreserved characters of RFC 3986, section 2.3, and the colon, which Asana's ids use.
    const KEPT: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');
    match text {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => utf8_percent_encode(text, KEPT).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn a_segment_cannot_leave_its_place_in_the_path() {
        assert_eq!(segment("7"), "7");
        assert_eq!(segment("external:a-1"), "external:a-1");
        assert_eq!(segment("../owners?x=1#y"), "..%2Fowners%3Fx%3D1%23y");
        assert_eq!(segment(".."), "%2E%2E");
        assert_eq!(segment("ä b"), "%C3%A4%20b");
    }
}
