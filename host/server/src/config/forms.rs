//! The form of values that a kind and bounds do not say enough about: addresses, levels, powers.

use reqwest::Url;
use serde_json::Value;
use tracing_subscriber::EnvFilter;

/// What a word alone in `log.level` may be.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What is wrong with the form of a value, if anything is.
pub(super) fn complaint(key: &str, value: &Value) -> Option<String> {
    let reason = match (key, value) {
        ("store.page_bytes", Value::Number(number)) => power_of_two(number.as_u64()?),
        ("server.public_url", Value::String(text)) => origin(text),
        ("alerts.url" | "audit.checkpoint_url", Value::String(text)) => address(text),
        ("oidc.issuer", Value::String(text)) => issuer(text),
        ("oidc.audience" | "oidc.tenant_claim" | "oidc.role_claim", Value::String(text)) => {
            text.is_empty().then(|| "it has to say something".to_owned())
        }
        ("data.dir", Value::String(text)) => {
            text.is_empty().then(|| "it has to name a folder".to_owned())
        }
        ("oidc.algorithms" | "oidc.roles", Value::Array(all)) => {
            all.is_empty().then(|| "it has to have at least one entry".to_owned())
        }
        ("log.level", Value::String(text)) => level(text),
        _ => None,
    }?;
    Some(format!("`{key}` is {value}; {reason}"))
}

fn power_of_two(number: u64) -> Option<String> {
    (!number.is_power_of_two()).then(|| "it has to be a power of two, such as 4096".to_owned())
}

/// What senders sign starts with this text, so that anything more would make each signature wrong.
fn origin(text: &str) -> Option<String> {
    let fine = Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
    });
    let form = "it has to be scheme, host and, if it is not the usual one, port: \
                \"https://tombolo.example.com\"";
    (!fine).then(|| form.to_owned())
}

/// Where something is posted to.
fn address(text: &str) -> Option<String> {
    let fine = Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    (!fine).then(|| "it has to be an address: \"https://chat.example.com/hooks/in\"".to_owned())
}

/// Keys that came in the open could be anybody's, but for those of this machine.
fn issuer(text: &str) -> Option<String> {
    let fine = Url::parse(text).is_ok_and(|url| {
        let here = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        (url.scheme() == "https" || url.scheme() == "http" && here)
            && url.has_host()
            && url.username().is_empty()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    let form = "it has to be what tokens have in `iss`, an https address: \
                \"https://id.example.com/realms/company\"";
    (!fine).then(|| form.to_owned())
}

/// `EnvFilter` takes a misspelt level for the name of a part of the program, and then logs nothing.
fn level(text: &str) -> Option<String> {
    let known = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let part = |directive: &str| directive.contains(['=', '[']);
    match text.split(',').find(|directive| !part(directive) && !known(directive)) {
        Some(word) => Some(format!(
            "`{word}` is none of {}; a part of the program is written `tombolo_egress=debug`",
            LEVELS.join(", ")
        )),
        None => EnvFilter::try_new(text).err().map(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{issuer, level, origin, power_of_two};

    #[test]
    fn levels() {
        for fine in ["info", "OFF", "warn,tombolo_egress=debug", "info,tombolo_store=trace"] {
            assert_eq!(level(fine), None, "{fine}");
        }
        for wrong in
            ["inof", "", "3", "info,", "info, debug", "info,tombolo_egress", "tombolo_egress=loud"]
        {
            assert!(level(wrong).is_some(), "{wrong}");
        }
        assert!(level("inof").unwrap().starts_with("`inof` is none of off, error, warn,"));
    }

    #[test]
    fn origins() {
        for fine in ["https://t.example.com", "http://127.0.0.1:8686/", "http://[::1]:1"] {
            assert_eq!(origin(fine), None, "{fine}");
        }
        for wrong in [
            "t.example.com",
            "ftp://t.example.com",
            "https://t.example.com/hooks",
            "https://t.example.com?x=1",
            "https://t.example.com#x",
            "https://u:p@t.example.com",
            "",
        ] {
            assert!(origin(wrong).is_some(), "{wrong}");
        }
    }

    #[test]
    fn issuers() {
        for fine in ["https://id.example.com", "https://id.example.com/r/x/", "http://127.0.0.1:9"]
        {
            assert_eq!(issuer(fine), None, "{fine}");
        }
        for wrong in [
            "id.example.com",
            "http://id.example.com",
            "https://id.example.com?x=1",
            "https://",
            "",
        ] {
            assert!(issuer(wrong).is_some(), "{wrong}");
        }
    }

    #[test]
    fn powers_of_two() {
        assert_eq!(power_of_two(8_192), None);
        assert!(power_of_two(5_000).is_some());
    }
}
