//! What an error of the HTTP call itself means: the difference between "was not sent" and "nobody
//! can know" is the difference between trying again and asking a person.

use ::http::Method;

use crate::error::NodeError;

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendFailure {
    /// Nothing left: no address, no connection, no TLS session.
    NotSent(String),
    /// The host or the SDK refuses this request; trying again gives the same answer.
    Refused(String),
    /// The request was on its way when the connection broke or the time ran out.
    AfterSend(String),
    /// The response is larger than [`super::MAX_RESPONSE_BYTES`].
    TooLarge,
}

impl SendFailure {
    /// The node's error. `target` is the URL without its query, which may hold secrets.
    pub fn into_error(self, method: &Method, target: &str) -> NodeError {
        match self {
            Self::NotSent(reason) => NodeError::transient(
                "upstream-unreachable",
                format!("{method} {target} could not be sent: {reason}"),
            ),
            Self::Refused(reason) => NodeError::permanent(
                "request-refused",
                format!("{method} {target} was refused before it was sent: {reason}"),
            ),
            Self::AfterSend(reason) if is_safe(method) => NodeError::transient(
                "no-response",
                format!("{method} {target} got no response: {reason}"),
            ),
            Self::AfterSend(reason) => NodeError::unknown_outcome(
                "no-response",
                format!(
                    "{method} {target} was sent and got no response ({reason}); \
                     look at the other side whether it took effect"
                ),
            ),
            Self::TooLarge => NodeError::permanent(
                "response-too-large",
                format!(
                    "the response to {method} {target} is longer than {} bytes; \
                     ask for less in one call",
                    super::MAX_RESPONSE_BYTES
                ),
            ),
        }
    }
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorClass::{Permanent, Transient, UnknownOutcome};

    #[test]
    fn only_a_write_that_was_sent_is_unknown() {
        let lost = || SendFailure::AfterSend("connection closed".to_owned());
        let unsent = || SendFailure::NotSent("connection refused".to_owned());
        let refused = || SendFailure::Refused("address is private".to_owned());
        let class =
            |failure: SendFailure, method| failure.into_error(&method, "https://x.test/a").class;
        assert_eq!(class(lost(), Method::POST), UnknownOutcome);
        assert_eq!(class(lost(), Method::PATCH), UnknownOutcome);
        assert_eq!(class(lost(), Method::DELETE), UnknownOutcome);
        assert_eq!(class(lost(), Method::GET), Transient);
        assert_eq!(class(lost(), Method::HEAD), Transient);
        assert_eq!(class(unsent(), Method::POST), Transient);
        assert_eq!(class(refused(), Method::GET), Permanent);
        assert_eq!(class(SendFailure::TooLarge, Method::GET), Permanent);
    }
}
