//! The template: puts together what is signed. Verifying and signing both go through here.

use std::borrow::Cow;

use tombolo_core::workflow::{ContentPart, VerifyScheme};

use super::Signed;

/// The parts of the content that come out of headers, letter for letter.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    /// The timestamp; empty if the scheme has none or has it in the body.
    pub timestamp: &'a str,
    /// The id; empty if the scheme has none.
    pub id: &'a str,
}

/// What is signed, as slices to be read one after the other, so that no body is copied.
pub(super) fn message<'a>(
    scheme: &'a VerifyScheme,
    request: &Signed<'a>,
    url: &'a str,
    values: Values<'a>,
) -> Vec<&'a [u8]> {
    scheme
        .content
        .iter()
        .map(|part| match part {
            ContentPart::Timestamp => values.timestamp.as_bytes(),
            ContentPart::Id => values.id.as_bytes(),
            ContentPart::Method => request.method.as_str().as_bytes(),
            ContentPart::Url => url.as_bytes(),
            ContentPart::Path => request.path.as_bytes(),
            ContentPart::Body => request.body,
            ContentPart::Literal(text) => text.as_bytes(),
        })
        .collect()
}

/// The forms of the URL that may have been signed: as called, and with the scheme's escapes decoded
/// if that is something else.
pub(super) fn urls<'a>(scheme: &VerifyScheme, url: &'a str) -> Vec<Cow<'a, str>> {
    let mut forms = vec![Cow::Borrowed(url)];
    if !scheme.url_unescape.is_empty() && scheme.content.contains(&ContentPart::Url) {
        let decoded = unescape(url, &scheme.url_unescape);
        if decoded != url {
            forms.push(Cow::Owned(decoded));
        }
    }
    forms
}

/// Decodes the percent escapes of these ASCII characters, once, and leaves all others alone.
fn unescape(url: &str, characters: &str) -> String {
    let mut decoded = String::with_capacity(url.len());
    let mut rest = url;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at..];
        let mut byte = [0];
        let escape = rest.get(1..3).and_then(|digits| hex::decode_to_slice(digits, &mut byte).ok());
        let character = escape.map(|()| char::from(byte[0]));
        match character.filter(|c| characters.contains(*c)) {
            Some(character) => {
                decoded.push(character);
                rest = &rest[3..];
            }
            None => {
                decoded.push('%');
                rest = &rest[1..];
            }
        }
    }
    decoded + rest
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn only_the_listed_escapes_are_decoded_and_only_once() {
        let listed = ":/?@!$'()*,;";
        for (url, decoded) in [
            ("https://a.example/x", "https://a.example/x"),
            ("/x?a=%3A%2f%3F%40%21%24%27%28%29%2A%2C%3B", "/x?a=:/?@!$'()*,;"),
            ("/x?a=%20%26%3D", "/x?a=%20%26%3D"),
            ("/x?a=%253A", "/x?a=%253A"),
            ("/x?a=%", "/x?a=%"),
            ("/x?a=%3", "/x?a=%3"),
            ("/x?a=%zz%3A", "/x?a=%zz:"),
            ("/x?a=%é%3A", "/x?a=%é:"),
            ("/x?a=%%3A", "/x?a=%:"),
        ] {
            assert_eq!(unescape(url, listed), decoded, "{url}");
        }
    }
}
