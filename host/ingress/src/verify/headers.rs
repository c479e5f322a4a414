//! Reads the headers that count: each at most once, as visible ASCII, no longer than its bound.

use http::{HeaderMap, HeaderValue};
use tombolo_core::workflow::{ContentPart, VerifyScheme};

use super::Refusal;

/// Bound on a header that carries signatures.
pub const MAX_SIGNATURE_HEADER_BYTES: usize = 8 * 1024;

/// Bound on an id of a delivery and on a timestamp.
pub const MAX_ID_BYTES: usize = 256;

/// The header's only value, or nothing if it is absent.
pub(crate) fn only_value<'a>(
    headers: &'a HeaderMap,
    name: &str,
) -> Result<Option<&'a HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Refusal::DuplicateHeader { header: name.to_owned() }),
    }
}

/// The same for a short text such as an id.
pub(super) fn short_text<'a>(
    headers: &'a HeaderMap,
    name: &str,
) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = only_value(headers, name)? else {
        return Ok(None);
    };
    let malformed = |problem| Refusal::MalformedId { header: name.to_owned(), problem };
    let text =
        value.to_str().map_err(|_| malformed("it holds bytes that are not visible ASCII"))?;
    match text.len() {
        0 => Err(malformed("it is empty")),
        1..=MAX_ID_BYTES => Ok(Some(text)),
        _ => Err(malformed("it is longer than 256 bytes")),
    }
}

/// The id that is part of the signed content; empty if none is.
pub(super) fn id<'a>(scheme: &VerifyScheme, headers: &'a HeaderMap) -> Result<&'a str, Refusal> {
    let Some(name) = &scheme.id_header else {
        return Ok("");
    };
    let id =
        short_text(headers, name)?.ok_or_else(|| Refusal::MissingId { header: name.clone() })?;
    if runs_into_what_follows(scheme, id) {
        let problem = "it holds the text that separates it from what follows";
        return Err(Refusal::MalformedId { header: name.clone(), problem });
    }
    Ok(id)
}

/// True if the id holds the literal after it, so that one signature would fit two requests: id
/// `a.1` with time `2`, and id `a` with time `1` and a body that starts with `2.`.
fn runs_into_what_follows(scheme: &VerifyScheme, id: &str) -> bool {
    scheme.content.windows(2).any(|pair| match pair {
        [ContentPart::Id, ContentPart::Literal(text)] => id.contains(text.as_str()),
        _ => false,
    })
}
