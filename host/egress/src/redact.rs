//! Taking secrets out of what is kept or shown: known values wherever they are, headers and query
//! parameters by name. Pure.

use bytes::Bytes;
use memchr::memmem;
use tombolo_core::secret::{REDACTED, names_a_secret};
use zeroize::Zeroizing;

/// Secrets at least this long are taken out of answers on their way to the plugin, too. Shorter
/// ones may be ordinary words, and answers are data. Eight is what most systems ask of a password.
const MIN_SCRUBBED_BYTES: usize = 8;

/// Headers whose values may be kept. Everything else is [`REDACTED`]: what is unknown may be a
/// credential.
const KEPT_HEADERS: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "deprecation",
    "etag",
    "expires",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "last-modified",
    "location",
    "prefer",
    "preference-applied",
    "range",
    "request-id",
    "retry-after",
    "server",
    "sunset",
    "transfer-encoding",
    "user-agent",
    "vary",
    "via",
    "x-correlation-id",
    "x-request-id",
];
/// As [`KEPT_HEADERS`], for families of names.
const KEPT_HEADER_PREFIXES: &[&str] = &["ratelimit", "x-ratelimit"];

/// True if the value of the header `name` (lower case) may be kept.
pub(crate) fn keeps_header(name: &str) -> bool {
    KEPT_HEADERS.contains(&name)
        || KEPT_HEADER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// `url` without user information and fragment, and without the values of secret parameters:
/// those named like one, and `parameter`.
pub(crate) fn redact_url(url: &str, parameter: Option<&str>) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let (address, query) = url.split_once('?').map_or((url, None), |(a, q)| (a, Some(q)));
    let mut out = without_user(address);
    for (index, pair) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
        out.push(if index == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, _)) if is_secret_parameter(name, parameter) => {
                out.push_str(name);
                out.push('=');
                out.push_str(REDACTED);
            }
            _ => out.push_str(pair),
        }
    }
    out
}

fn without_user(address: &str) -> String {
    let start = address.find("//").map_or(0, |at| at + 2);
    let end = address[start..].find('/').map_or(address.len(), |at| start + at);
    match address[start..end].rfind('@') {
        Some(at) => format!("{}{REDACTED}{}", &address[..start], &address[start + at..]),
        None => address.to_owned(),
    }
}

/// `name` as it stands in the URL, maybe percent-encoded.
pub(crate) fn decoded_name(name: &str) -> String {
    url::form_urlencoded::parse(name.as_bytes())
        .next()
        .map_or_else(String::new, |(name, _)| name.into_owned())
}

fn is_secret_parameter(name: &str, parameter: Option<&str>) -> bool {
    let name = decoded_name(name);
    parameter == Some(name.as_str()) || names_a_secret(&name)
}

/// Knows the secrets of one connection, in the forms in which they travel.
#[derive(Default)]
pub(crate) struct Redactor {
    /// Longest first, none empty.
    needles: Vec<Zeroizing<Vec<u8>>>,
}

impl Redactor {
    /// Adds a secret as it is, percent-encoded, in base64 and as JSON writes it.
    pub fn learn(&mut self, secret: &[u8]) {
        use base64::Engine;
        use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
        let mut forms = vec![
            secret.to_vec(),
            url::form_urlencoded::byte_serialize(secret).collect::<String>().into_bytes(),
            percent_encoded(secret),
            STANDARD.encode(secret).into_bytes(),
            STANDARD_NO_PAD.encode(secret).into_bytes(),
            URL_SAFE_NO_PAD.encode(secret).into_bytes(),
        ];
        if let Ok(json) =
            std::str::from_utf8(secret).map(|text| serde_json::json!(text).to_string())
        {
            forms.push(json.as_bytes()[1..json.len() - 1].to_vec());
        }
        for form in forms.into_iter().map(Zeroizing::new) {
            if !form.is_empty() && !self.needles.contains(&form) {
                self.needles.push(form);
            }
        }
        self.needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
    }

    /// The first `limit` bytes of `bytes`, each secret that begins in them replaced as a whole.
    pub fn replace(&self, bytes: &[u8], limit: usize) -> Vec<u8> {
        self.replace_from(bytes, limit, 1)
    }

    /// As [`Redactor::replace`], for text without a limit.
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.replace(text.as_bytes(), text.len())).into_owned()
    }

    /// Takes long secrets out of an answer, for servers that echo what they were sent.
    pub fn scrub(&self, answer: Bytes) -> Bytes {
        let found = self
            .needles
            .iter()
            .filter(|needle| needle.len() >= MIN_SCRUBBED_BYTES)
            .any(|needle| memmem::find(&answer, needle).is_some());
        if found {
            self.replace_from(&answer, answer.len(), MIN_SCRUBBED_BYTES).into()
        } else {
            answer
        }
    }

    fn replace_from(&self, bytes: &[u8], limit: usize, min_bytes: usize) -> Vec<u8> {
        let end = limit.min(bytes.len());
        let needles = self.needles.iter().filter(|needle| needle.len() >= min_bytes);
        let mut found = Found::new(bytes, needles.map(|needle| needle.as_slice()));
        let mut out = Vec::with_capacity(end);
        let mut at = 0;
        while let Some((place, needle)) = found.first_from(at).filter(|(place, _)| *place < end) {
            out.extend_from_slice(&bytes[at..place]);
            out.extend_from_slice(REDACTED.as_bytes());
            at = place + needle.len();
        }
        out.extend_from_slice(bytes.get(at..end).unwrap_or_default());
        out
    }
}

/// Where the secrets stand in some bytes. Looks at every byte once for each of them, however many
/// there are.
struct Found<'a> {
    bytes: &'a [u8],
    /// The next place of each secret that is left, in the order given.
    next: Vec<(usize, &'a [u8])>,
}

impl<'a> Found<'a> {
    fn new(bytes: &'a [u8], needles: impl Iterator<Item = &'a [u8]>) -> Self {
        let found = |needle| Some((memmem::find(bytes, needle)?, needle));
        Self { bytes, next: needles.filter_map(found).collect() }
    }

    /// The first secret that begins at `at` or behind; of several that begin there, the first given.
    fn first_from(&mut self, at: usize) -> Option<(usize, &'a [u8])> {
        let bytes = self.bytes;
        self.next.retain_mut(|(place, needle)| {
            if *place >= at {
                return true;
            }
            let found = bytes.get(at..).and_then(|rest| memmem::find(rest, needle));
            *place = at + found.unwrap_or_default();
            found.is_some()
        });
        self.next.iter().copied().min_by_key(|(place, _)| *place)
    }
}

fn percent_encoded(bytes: &[u8]) -> Vec<u8> {
    let form: String = url::form_urlencoded::byte_serialize(bytes).collect();
    form.replace('+', "%20").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secret: &str) -> Redactor {
        let mut redactor = Redactor::default();
        redactor.learn(secret.as_bytes());
        redactor
    }

    #[test]
    fn a_secret_is_found_in_every_form() {
        let redactor = redactor("s3cr\"t/+ é=canary");
        let forms = [
            "s3cr\"t/+ é=canary",
            "s3cr%22t%2F%2B+%C3%A9%3Dcanary",
            "s3cr%22t%2F%2B%20%C3%A9%3Dcanary",
            "s3cr\\\"t/+ é=canary",
            "czNjciJ0Lysgw6k9Y2FuYXJ5",
        ];
        for form in forms {
            assert_eq!(redactor.text(&format!("<{form}>")), "<[redacted]>", "{form}");
        }
        assert_eq!(redactor.text("s3cr canary"), "s3cr canary");
    }

    #[test]
    fn a_secret_across_the_limit_is_gone_as_a_whole() {
        let redactor = redactor("canary");
        for limit in 1..=6 {
            assert_eq!(redactor.replace(b"canary and more", limit), b"[redacted]");
        }
        assert_eq!(redactor.replace(b"a canary", 2), b"a ");
        assert_eq!(redactor.replace(b"a canary", 3), b"a [redacted]");
    }

    /// Byte by byte, as it is defined.
    fn replaced(needles: &[&[u8]], bytes: &[u8], limit: usize) -> Vec<u8> {
        let (mut out, mut at) = (Vec::new(), 0);
        while at < limit.min(bytes.len()) {
            match needles.iter().find(|needle| bytes[at..].starts_with(needle)) {
                Some(needle) => {
                    out.extend_from_slice(REDACTED.as_bytes());
                    at += needle.len();
                }
                None => {
                    out.push(bytes[at]);
                    at += 1;
                }
            }
        }
        out
    }

    #[test]
    fn secrets_that_overlap_or_cross_the_limit_are_gone_wherever_they_stand() {
        let needles: [&[u8]; 4] = [b"abab", b"aba", b"bb", b"b"];
        for count in 1..=needles.len() {
            let needles = &needles[..count];
            let known = needles.iter().map(|needle| Zeroizing::new(needle.to_vec())).collect();
            let redactor = Redactor { needles: known };
            for bits in 0..1_u32 << 9 {
                let bytes: Vec<u8> = (0..9).map(|at| b"ab"[(bits >> at & 1) as usize]).collect();
                for limit in 0..=bytes.len() {
                    let expected = replaced(needles, &bytes, limit);
                    assert_eq!(redactor.replace(&bytes, limit), expected, "{bytes:?} {limit}");
                }
            }
        }
    }

    #[test]
    fn answers_lose_long_secrets_only() {
        let long = redactor("0123456789abcdef");
        let echo = Bytes::from_static(b"{\"auth\": \"Bearer 0123456789abcdef\"}");
        assert_eq!(long.scrub(echo), "{\"auth\": \"Bearer [redacted]\"}");
        let untouched = Bytes::from_static(b"\xff\x00 0123456789abcde");
        assert_eq!(long.scrub(untouched.clone()), untouched);
        assert_eq!(redactor("passwort").scrub("a passwort".into()), "a [redacted]");
        assert_eq!(redactor("canary!").scrub("canary!".into()), "canary!");
    }

    #[test]
    fn urls_lose_secret_parameters_and_users() {
        let table = [
            ("https://a.example/x?id=1", "https://a.example/x?id=1"),
            ("https://a.example?Access_Token=c&b=", "https://a.example?Access_Token=[redacted]&b="),
            ("/next?X-Amz-Signature=c&after=2", "/next?X-Amz-Signature=[redacted]&after=2"),
            ("/?%74oken=c", "/?%74oken=[redacted]"),
            ("/?hapi=c&q=a=b#token=c", "/?hapi=[redacted]&q=a=b"),
            ("https://u:c@a.example/x", "https://[redacted]@a.example/x"),
            ("https://a.example/@x?token", "https://a.example/@x?token"),
        ];
        for (url, expected) in table {
            assert_eq!(redact_url(url, Some("hapi")), expected);
        }
    }

    #[test]
    fn headers_are_kept_by_name() {
        for name in ["content-type", "x-ratelimit-remaining", "ratelimit", "x-request-id"] {
            assert!(keeps_header(name), "{name}");
        }
        for name in ["authorization", "cookie", "set-cookie", "x-api-key", "proxy-authorization"] {
            assert!(!keeps_header(name), "{name}");
        }
    }
}
