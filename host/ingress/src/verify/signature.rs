//! Reads and writes the header that carries the signatures, strictly.
//!
//! Never judges a signature: it only finds them and decodes their bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderMap;
use tombolo_core::workflow::{
    AcceptedSignature, SignatureEncoding, SignatureForm, TimestampSource, VerifyScheme,
};

use super::{MAX_SIGNATURE_HEADER_BYTES, Refusal, headers, key};

/// How many signatures of accepted kinds one request may carry.
pub const MAX_SIGNATURES: usize = 5;

/// What the signature header carries.
pub(super) struct Given<'a> {
    /// Decoded signatures with the position of their kind in the scheme's `accept`.
    signatures: Vec<(usize, Vec<u8>)>,
    /// The timestamp, if it is one of the pairs.
    pub timestamp: Option<&'a str>,
}

impl Given<'_> {
    /// The signatures of one accepted kind.
    pub fn of_kind(&self, position: usize) -> Vec<&[u8]> {
        let of_kind = self.signatures.iter().filter(|(kind, _)| *kind == position);
        of_kind.map(|(_, bytes)| bytes.as_slice()).collect()
    }
}

/// Finds the signatures in a request.
pub(super) fn read<'a>(
    scheme: &VerifyScheme,
    headers: &'a HeaderMap,
) -> Result<Given<'a>, Refusal> {
    let header = &scheme.signature.header;
    let missing = || Refusal::MissingSignature { header: header.clone() };
    let malformed = |problem| Refusal::MalformedSignature { header: header.clone(), problem };

    let value = headers::only_value(headers, header)?.ok_or_else(missing)?;
    if value.len() > MAX_SIGNATURE_HEADER_BYTES {
        return Err(malformed("it is longer than 8 KiB"));
    }
    let text =
        value.to_str().map_err(|_| malformed("it holds bytes that are not visible ASCII"))?;
    let found = split(scheme, text).map_err(malformed)?;
    if found.signatures.is_empty() {
        return Err(missing());
    }
    if found.signatures.len() > MAX_SIGNATURES {
        return Err(malformed("it carries more than 5 signatures"));
    }
    // One that cannot be decoded is passed over as long as another can: a sender that adds a new
    // kind under an old label must not lock itself out.
    let decoded =
        |(kind, text): &(usize, &str)| Some((*kind, decode(&scheme.accept[*kind], text)?));
    let signatures: Vec<_> = found.signatures.iter().filter_map(decoded).collect();
    if signatures.is_empty() {
        return Err(malformed("it cannot be decoded, or its length is wrong"));
    }
    Ok(Given { signatures, timestamp: found.timestamp })
}

/// The signatures in the header, still in text.
struct Found<'a> {
    signatures: Vec<(usize, &'a str)>,
    timestamp: Option<&'a str>,
}

/// Takes the header apart by the scheme's form.
fn split<'a>(scheme: &VerifyScheme, text: &'a str) -> Result<Found<'a>, &'static str> {
    match &scheme.signature.form {
        SignatureForm::Raw => Ok(alone(text)),
        SignatureForm::Prefix(prefix) => text
            .strip_prefix(prefix.as_str())
            .map(alone)
            .ok_or("it does not start with the prefix of this scheme"),
        SignatureForm::Pairs => labelled(scheme, text.split(','), '='),
        SignatureForm::List => labelled(scheme, text.split(' '), ','),
    }
}

/// One signature without a label; none if the text is empty.
fn alone(text: &str) -> Found<'_> {
    let signatures = if text.is_empty() { Vec::new() } else { vec![(0, text)] };
    Found { signatures, timestamp: None }
}

/// Signatures with labels. Labels that the scheme does not know are passed over; nothing is trimmed.
fn labelled<'a>(
    scheme: &VerifyScheme,
    items: impl Iterator<Item = &'a str>,
    separator: char,
) -> Result<Found<'a>, &'static str> {
    let timestamp_label = match scheme.timestamp.as_ref().map(|rule| &rule.from) {
        Some(TimestampSource::Parameter(label)) => Some(label.as_str()),
        _ => None,
    };
    let mut found = Found { signatures: Vec::new(), timestamp: None };
    for (label, value) in items.filter_map(|item| item.split_once(separator)) {
        if timestamp_label == Some(label) {
            if found.timestamp.replace(value).is_some() {
                return Err("it carries two timestamps");
            }
        } else if !value.is_empty() {
            let of_label = |accepted: &AcceptedSignature| accepted.label.as_deref() == Some(label);
            found
                .signatures
                .extend(scheme.accept.iter().position(of_label).map(|kind| (kind, value)));
        }
    }
    Ok(found)
}

/// The signature's bytes, if the text is exactly one signature of this kind.
fn decode(accepted: &AcceptedSignature, text: &str) -> Option<Vec<u8>> {
    let bytes = match accepted.encoding {
        SignatureEncoding::Hex => hex::decode(text).ok(),
        SignatureEncoding::Base64 => BASE64.decode(text).ok(),
    };
    bytes.filter(|bytes| bytes.len() == key::signature_bytes(accepted.algorithm))
}

/// Writes the header: the mirror of [`read`], with one signature of the given kind.
pub(super) fn write(
    scheme: &VerifyScheme,
    accepted: &AcceptedSignature,
    signature: &[u8],
    timestamp: &str,
) -> String {
    let text = match accepted.encoding {
        SignatureEncoding::Hex => hex::encode(signature),
        SignatureEncoding::Base64 => BASE64.encode(signature),
    };
    let label = accepted.label.as_deref().unwrap_or_default();
    match &scheme.signature.form {
        SignatureForm::Raw => text,
        SignatureForm::Prefix(prefix) => format!("{prefix}{text}"),
        SignatureForm::List => format!("{label},{text}"),
        SignatureForm::Pairs => match scheme.timestamp.as_ref().map(|rule| &rule.from) {
            Some(TimestampSource::Parameter(name)) => format!("{name}={timestamp},{label}={text}"),
            _ => format!("{label}={text}"),
        },
    }
}
