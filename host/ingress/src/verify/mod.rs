//! Who sent this request: checks a webhook's signature by a scheme that is data.
//!
//! Owns the schemes' meaning, the presets and the mirror that signs. Never does I/O, never asks for
//! the time, never knows a provider by name: a provider is a file in `presets/`.

mod check;
mod content;
mod headers;
mod key;
mod presets;
mod refusal;
mod sign;
mod signature;
#[cfg(test)]
mod tests;
mod timestamp;

use http::{HeaderMap, Method};
use tombolo_core::secret::Secret;
use tombolo_core::workflow::{DedupeSource, VerifyScheme};

pub use check::{MAX_ACCEPTED, MAX_CONTENT_PARTS, MAX_TOLERANCE_S, MAX_URL_UNESCAPE};
pub use check::{Required, SchemeProblem, check_scheme, check_secret, resolve};
pub(crate) use headers::only_value;
pub use headers::{MAX_ID_BYTES, MAX_SIGNATURE_HEADER_BYTES};
pub use presets::{Preset, preset, presets};
pub use refusal::Refusal;
pub use sign::{SignError, sign};
pub use signature::MAX_SIGNATURES;

/// How many secrets are tried. Those after it are not.
pub const MAX_SECRETS: usize = tombolo_core::workflow::MAX_VERIFY_SECRETS;

/// A request as far as a signature can cover it.
#[derive(Clone, Copy)]
pub struct Signed<'a> {
    /// The method.
    pub method: &'a Method,
    /// The URL with its query as the sender calls it, built from the configured public address and
    /// never from `Host`.
    pub url: &'a str,
    /// Path and query of that URL.
    pub path: &'a str,
    /// The headers as received.
    pub headers: &'a HeaderMap,
    /// The body, byte for byte as received: not decompressed, not decoded.
    pub body: &'a [u8],
}

/// What a good signature tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The delivery's id, where the scheme takes it from a header and the header is there. For
    /// [`DedupeSource::BodyPointer`] the caller reads the body. `None` also leaves it to the caller,
    /// who falls back to the hash of the body.
    pub dedupe: Option<String>,
    /// When the sender sent it, in milliseconds since 1970, where the scheme says so.
    pub timestamp_ms: Option<i64>,
    /// Which of the given secrets made the signature.
    pub secret_index: usize,
}

/// Checks that one of `secrets` signed `request`, and that it did so close enough to `now_ms`.
///
/// The signature is checked before the time, so that an answer about the time tells nothing to
/// somebody who cannot sign. A scheme that [`check_scheme`] would refuse verifies nothing.
///
/// # Errors
/// Why the request is refused.
pub fn verify(
    scheme: &VerifyScheme,
    secrets: &[Secret],
    request: &Signed<'_>,
    now_ms: i64,
) -> Result<Verified, Refusal> {
    if check_scheme(scheme).is_err() {
        return Err(Refusal::UnusableScheme);
    }
    if secrets.is_empty() {
        return Err(Refusal::NoSecret);
    }
    let Head { given, values, dedupe } = read_head(scheme, request.headers)?;
    let secret_index = signer(scheme, secrets, request, &given, values)?;
    let timestamp_ms = timestamp::check(scheme, values.timestamp, request.body, now_ms)?;
    Ok(Verified { dedupe, timestamp_ms, secret_index })
}

/// Checks that a request's headers have all that [`verify`] reads there. Nothing is verified yet:
/// this is to refuse a request before its body is read.
///
/// # Errors
/// What [`verify`] would say of these headers.
pub fn check_head(scheme: &VerifyScheme, headers: &HeaderMap) -> Result<(), Refusal> {
    read_head(scheme, headers).map(drop)
}

/// What the headers say, none of it verified.
struct Head<'a> {
    given: signature::Given<'a>,
    values: content::Values<'a>,
    dedupe: Option<String>,
}

fn read_head<'a>(scheme: &VerifyScheme, headers: &'a HeaderMap) -> Result<Head<'a>, Refusal> {
    let given = signature::read(scheme, headers)?;
    let values = content::Values {
        timestamp: timestamp::read(scheme, headers, &given)?,
        id: headers::id(scheme, headers)?,
    };
    let dedupe = dedupe(scheme, headers)?;
    Ok(Head { given, values, dedupe })
}

/// The index of the secret that made one of the given signatures.
fn signer(
    scheme: &VerifyScheme,
    secrets: &[Secret],
    request: &Signed<'_>,
    given: &signature::Given<'_>,
    values: content::Values<'_>,
) -> Result<usize, Refusal> {
    let urls = content::urls(scheme, request.url);
    let mut usable = false;
    for (index, secret) in secrets.iter().take(MAX_SECRETS).enumerate() {
        for (position, accepted) in scheme.accept.iter().enumerate() {
            let Some(key) = key::verifying(accepted, secret) else {
                continue;
            };
            usable = true;
            let signatures = given.of_kind(position);
            let good = urls.iter().any(|url| {
                key.signed_any(&content::message(scheme, request, url, values), &signatures)
            });
            if good {
                return Ok(index);
            }
        }
    }
    Err(if usable { Refusal::WrongSignature } else { Refusal::NoSecret })
}

/// The delivery's id from its header.
fn dedupe(scheme: &VerifyScheme, headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    match &scheme.dedupe {
        Some(DedupeSource::Header(name)) => {
            headers::short_text(headers, name).map(|id| id.map(str::to_owned))
        }
        Some(DedupeSource::BodyPointer(_)) | None => Ok(None),
    }
}
