//! Where a call goes, read once with the rules of the WHATWG URL standard, so that the checks and
//! the connection can never see two different hosts.

use tombolo_core::ports::egress::EgressError;
use url::{Host, Url};

use crate::host_port::{HostPort, parse_host};

/// A normalised URL: `http` or `https`, no user info, no fragment, no dot after the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub url: Url,
    pub place: HostPort,
}

impl Target {
    /// Normalises `text`. The error never repeats the text: it may hold a secret.
    pub fn parse(text: &str) -> Result<Self, EgressError> {
        let invalid = |reason: &str| EgressError::InvalidRequest { reason: reason.to_owned() };
        let mut url = Url::parse(text)
            .map_err(|error| invalid(&format!("the URL cannot be read: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EgressError::Refused {
                reason: format!("scheme `{}`: only http and https go out", url.scheme()),
            });
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid(
                "the URL has user information before the host (`user@`); credentials belong into the connection",
            ));
        }
        let host = url
            .host_str()
            .and_then(parse_host)
            .ok_or_else(|| invalid("the URL has no valid host"))?;
        if url.host() != Some(borrowed(&host)) {
            url.set_host(Some(&host.to_string()))
                .map_err(|_| invalid("the URL has no valid host"))?;
        }
        url.set_fragment(None);
        let port = url.port_or_known_default().filter(|port| *port != 0);
        let port = port.ok_or_else(|| invalid("port 0 cannot be called"))?;
        Ok(Self { url, place: HostPort::new(host, port) })
    }

    /// True for the port that goes without saying: 443 with https, 80 with http.
    pub fn has_standard_port(&self) -> bool {
        self.url.port().is_none()
    }

    /// Same scheme, host and port.
    pub fn same_origin(&self, other: &Self) -> bool {
        self.url.scheme() == other.url.scheme() && self.place == other.place
    }

    /// True if this URL is `base` or below it, by whole path segments.
    pub fn is_below(&self, base: &Self) -> bool {
        let folder = base.url.path().trim_end_matches('/');
        let rest = self.url.path().strip_prefix(folder);
        self.same_origin(base) && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// False if a server could find this URL, which is below `base`, to be above it: below a base
    /// with a path, its own path hides a separator or a dot segment in escapes. Some servers and
    /// proxies decode these before they resolve `..`, some decode twice, and some take what follows
    /// a `;` off a segment first; the URL standard does none of it.
    pub fn stays_below(&self, base: &Self) -> bool {
        let folder = base.url.path().trim_end_matches('/');
        let rest = self.url.path().strip_prefix(folder).unwrap_or_default();
        folder.is_empty() || !(hides_a_separator_or_dot(rest) || has_dots_with_parameters(rest))
    }
}

/// `%2f`, `%5c`, however often escaped, and `%2e` escaped more than once: the single one was
/// resolved when the URL was read.
fn hides_a_separator_or_dot(path: &str) -> bool {
    path.to_ascii_lowercase().split('%').skip(1).any(|escape| {
        let decoded = escape.trim_start_matches("25");
        let again = decoded.len() < escape.len();
        decoded.starts_with("2f")
            || decoded.starts_with("5c")
            || (again && decoded.starts_with("2e"))
    })
}

/// A segment such as `..;a=b`.
fn has_dots_with_parameters(path: &str) -> bool {
    path.split('/').filter_map(|segment| segment.split_once(';')).any(|(name, _)| {
        let name = name.to_ascii_lowercase().replace("%2e", ".");
        matches!(name.as_str(), "." | "..")
    })
}

fn borrowed(host: &Host) -> Host<&str> {
    match host {
        Host::Domain(domain) => Host::Domain(domain),
        Host::Ipv4(ip) => Host::Ipv4(*ip),
        Host::Ipv6(ip) => Host::Ipv6(*ip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text).unwrap()
    }

    #[test]
    fn every_spelling_of_a_host_is_one() {
        let table = [
            ("http://2130706433/", "http://127.0.0.1/"),
            ("http://0x7f.1/", "http://127.0.0.1/"),
            ("http://0177.0.0.1/", "http://127.0.0.1/"),
            ("http://127.1/", "http://127.0.0.1/"),
            ("http://127.0.0.1./", "http://127.0.0.1/"),
            ("http://%31%32%37.0.0.1/", "http://127.0.0.1/"),
            ("http://①②⑦.0.0.1/", "http://127.0.0.1/"),
            ("http://[::]:80/", "http://[::]/"),
            ("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/"),
            ("https://API.Example.com.:443/a#b", "https://api.example.com/a"),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
            ("https://a.example/x/../y/%2e%2e/z", "https://a.example/z"),
            ("https:\\\\a.example\\b", "https://a.example/b"),
        ];
        for (text, expected) in table {
            assert_eq!(target(text).url.as_str(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_call_is_refused_without_repeating_it() {
        let table = [
            "/path",
            "canary",
            "ftp://canary.example/",
            "file:///etc/canary",
            "http://",
            "http://user:canary@a.example/",
            "https://api.example.com@canary.example/",
            "http://[fe80::1%25eth0]/canary",
            "http://a..example/canary",
            "http://a.example:0/canary",
            "http://./canary",
            "http://a.example:99999/canary",
            "http://256.256.256.256/canary",
        ];
        for text in table {
            let error = Target::parse(text).unwrap_err();
            assert!(!error.to_string().contains("canary"), "{text}: {error}");
        }
    }

    #[test]
    fn below_means_whole_segments_of_the_same_origin() {
        let base = target("https://api.example.com/v1");
        for inside in ["https://api.example.com/v1", "https://api.example.com./v1/deals?q=1"] {
            assert!(target(inside).is_below(&base), "{inside}");
        }
        let outside = [
            "https://api.example.com/",
            "https://api.example.com/v10",
            "https://api.example.com/v1/../v2",
            "https://api.example.com:8443/v1/",
            "http://api.example.com/v1/",
            "https://api.example.com.evil.com/v1/",
            "https://evil.com/v1/",
        ];
        for outside in outside {
            assert!(!target(outside).is_below(&base), "{outside}");
        }
        assert!(target("https://api.example.com/x").is_below(&target("https://api.example.com")));
    }

    #[test]
    fn what_a_server_may_read_as_above_does_not_stay_below() {
        let base = target("https://api.example.com/v1/");
        let climbing = [
            "..%2fv2",
            "..%2Fv2",
            "a%2f..%2f..%2fv2",
            "%2e%2e%2fv2",
            "..%5cv2",
            "..%5C..%5Cv2",
            "%252e%252e/v2",
            "%252E%252E%252Fv2",
            "%25252e./v2",
            "..%252fv2",
            "..%255cv2",
            "..;/v2",
            "%2e%2E;x=1/v2",
            "a%2fb",
        ];
        for rest in climbing {
            let climbing = target(&format!("https://api.example.com/v1/{rest}"));
            assert!(climbing.is_below(&base), "the URL standard sees nothing in {rest}");
            assert!(!climbing.stays_below(&base), "{rest}");
            assert!(climbing.stays_below(&target("https://api.example.com")), "{rest}");
        }
        let plain =
            ["", "deals?next=%2f%252e", "a%20b", "%25", "100%252d", "a.b", "%2ehidden", "a;v=1/b"];
        for rest in plain {
            let plain = target(&format!("https://api.example.com/v1/{rest}"));
            assert!(plain.stays_below(&base), "{rest}");
        }
    }
}
