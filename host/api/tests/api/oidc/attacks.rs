//! Tokens that somebody has made up or bent.

use ring::hmac;
use serde_json::{Value, json};

use super::provider::{Key, Provider, sealed};
use super::{SECONDS, claims, host, runs, with};

/// Refused for this reason.
async fn refused(host: &crate::harness::Host, token: &str, reason: &str) {
    let reply = runs(host, token).await;
    assert_eq!(reply.problem(401, "unauthorized")["reason"], reason, "{token}");
    assert!(reply.header("www-authenticate").is_some());
}

#[tokio::test]
async fn a_token_without_a_signature_is_none() {
    let key = Key::rsa("k");
    let provider = Provider::start(&[&key]).await;
    let host = host(&provider).await;
    let claims = claims(&provider);
    for alg in ["none", "None", "NONE", "", "RS1", "rs256"] {
        let head = json!({"alg": alg, "kid": "k"});
        refused(&host, &sealed(&head, &claims, |_| Vec::new()), "algorithm").await;
        refused(&host, &key.signed(&head, &claims), "algorithm").await;
    }
    for alg in [json!(null), json!(["RS256"]), json!({"alg": "RS256"})] {
        refused(&host, &key.signed(&json!({"alg": alg, "kid": "k"}), &claims), "algorithm").await;
    }
    let head = json!({"alg": "RS256", "kid": "k"});
    refused(&host, &sealed(&head, &claims, |_| Vec::new()), "signature").await;
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let (rsa, ed) = (Key::rsa("k"), Key::ed25519("e"));
    let provider = Provider::start(&[&rsa, &ed]).await;
    let host = host(&provider).await;
    for (key, secret) in [
        (&rsa, rsa.public["n"].as_str().unwrap().to_owned()),
        (&rsa, rsa.public.to_string()),
        (&ed, ed.public["x"].as_str().unwrap().to_owned()),
    ] {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let head = json!({"alg": "HS256", "kid": key.id});
        let sign = |signed: &[u8]| hmac::sign(&secret, signed).as_ref().to_vec();
        refused(&host, &sealed(&head, &claims(&provider), sign), "algorithm").await;
        let head = json!({"alg": key.algorithm, "kid": key.id});
        refused(&host, &sealed(&head, &claims(&provider), sign), "signature").await;
    }
}

#[tokio::test]
async fn a_key_of_another_kind_or_of_somebody_else_checks_nothing() {
    let (rsa, ed) = (Key::rsa("k"), Key::ed25519("e"));
    let provider = Provider::start(&[&rsa, &ed]).await;
    let host = host(&provider).await;
    let claims = claims(&provider);
    // The issuer's own key, under the id of another one of its keys.
    let head = json!({"alg": "EdDSA", "kid": "k"});
    refused(&host, &ed.signed(&head, &claims), "unknown-key").await;
    let head = json!({"alg": "RS256", "kid": "e"});
    refused(&host, &rsa.signed(&head, &claims), "unknown-key").await;
    // Another's key under the id of the issuer's.
    refused(&host, &Key::ed25519("e").token(&claims), "signature").await;
    // Keys that come with the token are not looked at.
    let own = Key::ed25519("e");
    let head = json!({
        "alg": "EdDSA", "kid": "e", "jwk": own.public, "jku": "https://evil.example/keys",
    });
    refused(&host, &own.signed(&head, &claims), "signature").await;
    refused(&host, &ed.signed(&json!({"alg": "EdDSA"}), &claims), "unknown-key").await;
}

#[tokio::test]
async fn claims_are_for_us_and_for_now() {
    let key = Key::ed25519("e");
    let provider = Provider::start(&[&key]).await;
    let host = host(&provider).await;
    for (name, value, reason) in [
        ("iss", json!("http://evil.example"), "claim"),
        ("iss", json!(format!("{}/", provider.issuer())), "claim"),
        ("aud", json!("other"), "claim"),
        ("aud", json!([]), "claim"),
        ("exp", json!(SECONDS - 30), "expired"),
        ("exp", json!("9999999999"), "claim"),
        ("exp", json!(null), "claim"),
        ("nbf", json!(SECONDS + 31), "too-early"),
        ("nbf", json!("0"), "claim"),
        ("sub", json!(""), "claim"),
    ] {
        refused(&host, &key.token(&with(&provider, name, value)), reason).await;
    }
}

#[tokio::test]
async fn what_is_bent_is_no_token() {
    let key = Key::ed25519("e");
    let provider = Provider::start(&[&key]).await;
    let host = host(&provider).await;
    let good = key.token(&claims(&provider));
    runs(&host, &good).await.ok(200);
    let [head, body, signature]: [&str; 3] =
        good.split('.').collect::<Vec<_>>().try_into().unwrap();
    // Padding is not part of it.
    refused(&host, &format!("{good}="), "malformed").await;
    for (bent, reason) in [
        (format!("{head}.{}.{signature}", &body[..body.len() - 4]), "signature"),
        (format!("{head}.{body}."), "signature"),
        (format!(".{body}.{signature}"), "malformed"),
        ("..".to_owned(), "malformed"),
        (format!("{head}.{body}.{}", "A".repeat(20_000)), "malformed"),
    ] {
        refused(&host, &bent, reason).await;
    }
    let crit = json!({"alg": "EdDSA", "kid": "e", "crit": ["exp"]});
    refused(&host, &key.signed(&crit, &claims(&provider)), "malformed").await;
    let typ = json!({"alg": "EdDSA", "kid": "e", "typ": "logout+jwt"});
    refused(&host, &key.signed(&typ, &claims(&provider)), "malformed").await;
    // With another number of dots it is taken for one of ours, and there is no such.
    let ours = runs(&host, &format!("{good}.")).await;
    assert_eq!(ours.problem(401, "unauthorized")["reason"], Value::Null);
}
