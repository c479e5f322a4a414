//! Which server a command speaks to, and with which token.

use std::path::Path;

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
    let token = match &global.token {
        Some(token) => Some(parse(token)?),
        None if is_this_machine(&global.url) => local_token(global.config.as_deref())?,
        None => None,
    };
    Client::new(&global.url, token)
}

/// True if the address can only be this machine: the token of its data folder goes nowhere else.
fn is_this_machine(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The token that the server left in its data folder, if there is one that this user may read.
fn local_token(config: Option<&Path>) -> anyhow::Result<Option<Secret>> {
    let path = Config::load(config)?.config.data.admin_token();
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(parse(&Zeroizing::new(text))?)),
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
    use super::{is_this_machine, parse};

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
    fn a_broken_token_is_not_repeated() {
        let error = parse("tok_secret with spaces").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        assert_eq!(parse(" tok_1\n").unwrap().reveal(), b"tok_1");
    }
}
