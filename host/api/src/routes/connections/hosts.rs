//! `allowed_hosts`: the forms that the egress understands. An entry of another form would allow
//! nothing, and nobody would be told.

use url::Host;

use super::input::wrong;
use crate::problem::Problem;

/// Most entries of `allowed_hosts`.
const MAX_HOSTS: usize = 50;

pub(super) fn check(hosts: &[String]) -> Result<(), Problem> {
    if hosts.len() > MAX_HOSTS {
        return Err(wrong("/allowed_hosts", &format!("it has more than {MAX_HOSTS} entries")));
    }
    match hosts.iter().position(|host| !is_host(host)) {
        None => Ok(()),
        Some(index) => Err(wrong(
            format!("/allowed_hosts/{index}"),
            "write `files.example.com` or `*.example.com`, with `:port` if it is not the usual one",
        )),
    }
}

fn is_host(text: &str) -> bool {
    let rest = text.strip_prefix("*.").unwrap_or(text);
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !rest.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let port =
        port.is_none_or(|port| digits(port) && port.parse::<u16>().is_ok_and(|port| port > 0));
    let below = rest.len() < text.len();
    let host = match Host::parse(host) {
        Ok(Host::Domain(domain)) => {
            let bare = domain.strip_suffix('.').unwrap_or(&domain);
            !host.contains('*') && bare.split('.').all(|label| !label.is_empty())
        }
        Ok(_) => !below,
        Err(_) => false,
    };
    port && host
}

#[cfg(test)]
mod tests {
    use super::is_host;

    #[test]
    fn hosts() {
        for host in [
            "a.example",
            "a.example.",
            "*.a.example",
            "*.a.example:8443",
            "a.example:8443",
            "127.0.0.1:1",
            "[::1]:80",
            "[::1]",
        ] {
            assert!(is_host(host), "{host}");
        }
        for host in [
            "",
            "*",
            "*.",
            ".",
            "a..example",
            "a.*.example",
            "*.1.2.3.4",
            "https://a",
            "a:0",
            "a:x",
            "a:+1",
            "a:",
            "a/b",
            "a b",
        ] {
            assert!(!is_host(host), "{host}");
        }
    }
}
