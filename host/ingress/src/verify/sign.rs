//! The mirror of the verifier: signs a request as a sender would, for tests, the demo and the
//! command line. Goes through the same template.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue, InvalidHeaderName, InvalidHeaderValue};
use tombolo_core::secret::Secret;
use tombolo_core::workflow::{TimestampSource, VerifyScheme};

use super::{Refusal, SchemeProblem, Signed, check, content, headers, key, signature, timestamp};

/// Why a request cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The scheme is not one to sign by.
    #[error(transparent)]
    Scheme(#[from] SchemeProblem),
    /// The request lacks the id that is part of what is signed.
    #[error("the request cannot be signed: {0}")]
    Request(#[from] Refusal),
    /// The secret is not a key of any kind this scheme accepts.
    #[error("the secret has not the form this scheme wants; see the scheme's `key`")]
    Secret,
    /// The scheme names a header that cannot be.
    #[error(transparent)]
    HeaderName(#[from] InvalidHeaderName),
    /// A prefix or label of the scheme cannot stand in a header.
    #[error(transparent)]
    HeaderValue(#[from] InvalidHeaderValue),
}

/// The headers that sign `request` at `now_ms`: the signature's, and the timestamp's where it has
/// one. Headers the sender chooses, such as the id of the delivery, must already be in the request;
/// a timestamp that stands in the body must already be there, too.
///
/// The first accepted kind that the secret fits is used. For Ed25519 the secret is the private key.
///
/// # Errors
/// If scheme, request and secret do not fit together.
pub fn sign(
    scheme: &VerifyScheme,
    secret: &Secret,
    request: &Signed<'_>,
    now_ms: i64,
) -> Result<HeaderMap, SignError> {
    check::check_scheme(scheme)?;
    let unit = scheme.timestamp.as_ref().map(|rule| rule.unit);
    let timestamp = unit.map(|unit| timestamp::write(unit, now_ms)).unwrap_or_default();
    sign_with(scheme, secret, request, &timestamp)
}

/// The same with the timestamp as text.
pub(super) fn sign_with(
    scheme: &VerifyScheme,
    secret: &Secret,
    request: &Signed<'_>,
    timestamp: &str,
) -> Result<HeaderMap, SignError> {
    let (accepted, key) = scheme
        .accept
        .iter()
        .find_map(|accepted| Some((accepted, key::signing(accepted, secret)?)))
        .ok_or(SignError::Secret)?;
    let values = content::Values { timestamp, id: headers::id(scheme, request.headers)? };
    let signed = key.sign(&content::message(scheme, request, request.url, values));

    let mut headers = HeaderMap::new();
    if let Some(TimestampSource::Header(name)) = scheme.timestamp.as_ref().map(|rule| &rule.from) {
        headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(timestamp)?);
    }
    let value = signature::write(scheme, accepted, &signed, timestamp);
    headers.insert(HeaderName::try_from(&scheme.signature.header)?, HeaderValue::try_from(value)?);
    Ok(headers)
}
