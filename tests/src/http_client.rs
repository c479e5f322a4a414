//! The HTTP client of all tests. Never follows a redirect.

use reqwest::{Client, redirect};

/// A client that keeps no connection for another one.
///
/// # Panics
/// If the client cannot be made, which is no fault of a test.
pub fn http_client() -> Client {
    // In a build of the whole workspace the command line's feature is on, and with it TLS without a
    // provider. A second installation is refused, and that is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().redirect(redirect::Policy::none()).build();
    client.expect("a client without certificates of its own can be made")
}
