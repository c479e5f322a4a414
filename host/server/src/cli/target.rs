//! Which server a command speaks to, and with which token.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use anyhow::Context;
use reqwest::Url;
use tombolo_core::secret::Secret;
use zeroize::Zeroizing;

use super::client::Client;
use super::{Global, Usage};
use crate::config::Config;

/// A token is one line of text; what is longer is not a token.
const MAX_TOKEN_BYTES: usize = 4 * 1024;

/// A client for what the global options say.
pub(super) fn client(global: &Global) -> anyhow::Result<Client> {
    let config = global.config.as_deref();
    let (url, is_ours) = match &global.url {
        Some(url) => (url.clone(), is_this_machine(url)),
        // The address and the token of one configuration belong together.
        None => (own_url(Config::load(config)?.config.server.listen)?, true),
    };
    let token = match &global.token {
        Some(token) => Some(parse(token)?),
        None if is_ours => local_token(config)?,
        None => None,
    };
    Client::new(&url, token)
}

/// How a server that listens there is called from its own machine.
fn own_url(listen: SocketAddr) -> anyhow::Result<String> {
    if listen.port() == 0 {
        let reason = "`server.listen` leaves the port to the system; name the server with --url";
        return Err(Usage(reason.to_owned()).into());
    }
    let host = match listen.ip() {
        IpAddr::V4(any) if any.is_unspecified() => IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::V6(any) if any.is_unspecified() => IpAddr::from(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    Ok(format!("http://{}", SocketAddr::new(host, listen.port())))
}

/// True if the address can only be this machine: the token of its data folder goes nowhere else.
fn is_this_machine(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The token that the server left in its data folder, if there is one that this user may read.
fn local_token(config: Option<&Path>) -> anyhow::Result<Option<Secret>> {
    let path = Config::load(config)?.config.data.admin_token();
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let token = parse(&Zeroizing::new(text))
                .with_context(|| format!("{} holds no token", path.display()))?;
            Ok(Some(token))
        }
        Err(_) => Ok(None),
    }
}

fn parse(text: &str) -> anyhow::Result<Secret> {
    let token = text.trim();
    let fine = !token.is_empty()
        && token.len() <= MAX_TOKEN_BYTES
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !fine {
        // Without the text: it may be a token with a typing error.
        return Err(Usage("the API token is not one line of printable characters".into()).into());
    }
    Ok(Secret::new(token.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::{is_this_machine, own_url, parse};

    #[test]
    fn the_local_token_goes_to_this_machine_only() {
        for url in [
            "http://127.0.0.1:8686",
            "http://localhost:1",
            "http://[::1]:8686",
            "https://127.9.9.9",
        ] {
            assert!(is_this_machine(url), "{url}");
        }
        for url in [
            "http://example.com",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "http://127.0.0.1@example.com",
            "http://10.0.0.1",
            "http://0.0.0.0:8686",
            "nonsense",
        ] {
            assert!(!is_this_machine(url), "{url}");
        }
    }

    #[test]
    fn the_address_of_a_server_as_its_own_machine_calls_it() {
        let url = |listen: &str| own_url(listen.parse().unwrap()).ok();
        assert_eq!(url("127.0.0.1:8686").as_deref(), Some("http://127.0.0.1:8686"));
        assert_eq!(url("0.0.0.0:80").as_deref(), Some("http://127.0.0.1:80"));
        assert_eq!(url("[::]:9").as_deref(), Some("http://[::1]:9"));
        assert_eq!(url("10.1.2.3:9").as_deref(), Some("http://10.1.2.3:9"));
        assert_eq!(url("127.0.0.1:0"), None);
    }

    #[test]
    fn a_broken_token_is_not_repeated() {
        let error = parse("tok_secret with spaces").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        assert_eq!(parse(" tok_1\n").unwrap().reveal(), b"tok_1");
    }
}
