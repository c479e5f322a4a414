//! The headers of a request before credentials, and of an answer before the plugin sees it.

use http::Method;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use tombolo_core::ports::egress::{EgressError, OutboundCall};

/// Largest sum of names and values that a plugin may send, in bytes.
pub(crate) const MAX_REQUEST_HEADER_BYTES: usize = 64 * 1024;

/// draft-ietf-httpapi-idempotency-key-header.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const USER_AGENT_VALUE: &str = concat!("tombolo/", env!("CARGO_PKG_VERSION"));

/// About one hop, not about the message (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What the plugin set, and what every call carries.
pub(crate) fn prepare(call: &OutboundCall) -> Result<HeaderMap, EgressError> {
    let bytes: usize =
        call.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > MAX_REQUEST_HEADER_BYTES {
        return Err(EgressError::InvalidRequest {
            reason: format!(
                "the request's headers have {bytes} bytes, the limit is {MAX_REQUEST_HEADER_BYTES}"
            ),
        });
    }
    let mut headers = call.headers.clone();
    remove_hop_by_hop(&mut headers);
    // The connection's own business: the host comes from the checked URL, the length from the body.
    for name in [HOST, CONTENT_LENGTH, EXPECT] {
        headers.remove(name);
    }
    if call.body.is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(&call.method) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT_VALUE));
    // The id may come from outside; one that cannot be a header is not worth losing the call.
    if let Ok(id) = HeaderValue::from_str(&call.caller.correlation_id) {
        headers.entry(CORRELATION_ID).or_insert(id);
    }
    add_idempotency_key(call, &mut headers)?;
    Ok(headers)
}

/// The headers of an answer that a plugin sees.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.into_iter().chain(named) {
        headers.remove(name);
    }
}

/// Methods that change something get the step's key, which is the same in every attempt. A step's
/// later changes get the key with their position, so that each is its own; reads don't count, so
/// that one more or less of them makes no other key.
fn add_idempotency_key(call: &OutboundCall, headers: &mut HeaderMap) -> Result<(), EgressError> {
    let Some(change) = call.change.filter(|_| !headers.contains_key(IDEMPOTENCY_KEY)) else {
        return Ok(());
    };
    let key = match change {
        0 => call.caller.idempotency_key.clone(),
        change => format!("{}-{change}", call.caller.idempotency_key),
    };
    let value = HeaderValue::from_str(&key).map_err(|_| EgressError::InvalidRequest {
        reason: "the step's idempotency key cannot be sent as a header".to_owned(),
    })?;
    headers.insert(IDEMPOTENCY_KEY, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, connection};

    fn prepared(method: &str, place: u32, headers: &[(&str, &str)]) -> HeaderMap {
        let mut call = call(method, "https://api.example.com/", Some(connection()));
        call.change = call.change.map(|_| place);
        for (name, value) in headers {
            call.headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        prepare(&call).unwrap()
    }

    #[test]
    fn changing_calls_carry_a_key_of_their_own() {
        assert_eq!(prepared("POST", 0, &[])["idempotency-key"], "step-key");
        assert_eq!(prepared("DELETE", 2, &[])["idempotency-key"], "step-key-2");
        assert_eq!(prepared("POST", 1, &[("Idempotency-Key", "mine")])["idempotency-key"], "mine");
        for method in ["GET", "HEAD", "OPTIONS"] {
            assert!(!prepared(method, 0, &[]).contains_key("idempotency-key"), "{method}");
        }
    }

    #[test]
    fn the_plugin_does_not_choose_host_length_or_hop() {
        let headers = prepared(
            "GET",
            0,
            &[
                ("Host", "evil.com"),
                ("Content-Length", "5"),
                ("Transfer-Encoding", "chunked"),
                ("Connection", "close, X-Hop"),
                ("X-Hop", "1"),
                ("Proxy-Authorization", "Basic eA=="),
                ("Expect", "100-continue"),
                ("X-Mine", "1"),
                ("X-Correlation-Id", "theirs"),
            ],
        );
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["user-agent", "x-correlation-id", "x-mine"]);
        assert_eq!(headers["x-correlation-id"], "theirs");
        assert_eq!(headers["user-agent"], USER_AGENT_VALUE);
    }

    #[test]
    fn correlation_that_is_no_header_is_left_out() {
        let mut call = call("GET", "https://api.example.com/", Some(connection()));
        std::sync::Arc::make_mut(&mut call.caller).correlation_id = "a\nb".to_owned();
        assert!(!prepare(&call).unwrap().contains_key("x-correlation-id"));
    }

    #[test]
    fn too_many_header_bytes_are_refused() {
        let mut call = call("GET", "https://api.example.com/", Some(connection()));
        let large = "x".repeat(MAX_REQUEST_HEADER_BYTES);
        call.headers.insert("x-large", large.parse().unwrap());
        let error = prepare(&call).unwrap_err().to_string();
        assert!(error.contains("the limit is 65536"), "{error}");
    }
}
