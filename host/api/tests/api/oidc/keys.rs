//! The provider's keys: read, rotated, and not to be had.

use std::time::Duration;

use serde_json::{Value, json};

use super::provider::{Key, Provider};
use super::{claims, host, runs, with};

const REFETCH: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_new_key_is_read_when_a_token_names_it() {
    let (old, new) = (Key::ed25519("old"), Key::p256("new"));
    let provider = Provider::start(&[&old]).await;
    let host = host(&provider).await;
    runs(&host, &old.token(&claims(&provider))).await.ok(200);
    host.clock.advance(REFETCH);
    provider.publish(&[&old, &new]);
    runs(&host, &new.token(&claims(&provider))).await.ok(200);
    runs(&host, &old.token(&claims(&provider))).await.ok(200);
    assert_eq!(provider.asked(), 2);
}

#[tokio::test]
async fn a_key_that_was_taken_back_checks_nothing_once_the_keys_are_read() {
    let (old, new) = (Key::ed25519("old"), Key::ed25519("new"));
    let provider = Provider::start(&[&old]).await;
    let host = host(&provider).await;
    runs(&host, &old.token(&claims(&provider))).await.ok(200);
    provider.publish(&[&new]);
    // As the background does.
    host.gate.read_keys().await;
    let refused = runs(&host, &old.token(&claims(&provider))).await;
    assert_eq!(refused.problem(401, "unauthorized")["reason"], "unknown-key");
    runs(&host, &new.token(&claims(&provider))).await.ok(200);
}

#[tokio::test]
async fn made_up_key_ids_cause_one_reading_in_a_while() {
    let key = Key::ed25519("e");
    let provider = Provider::start(&[&key]).await;
    let host = host(&provider).await;
    runs(&host, &key.token(&claims(&provider))).await.ok(200);
    let before = provider.asked();
    for round in 1..=3 {
        host.clock.advance(REFETCH);
        let claims = claims(&provider);
        let storm = (0..50).map(|number| {
            let head = json!({"alg": "EdDSA", "kid": format!("made-up-{number}")});
            let (host, token) = (&host, key.signed(&head, &claims));
            async move { runs(host, &token).await }
        });
        for reply in futures_util::future::join_all(storm).await {
            assert_eq!(reply.problem(401, "unauthorized")["reason"], "unknown-key");
        }
        assert_eq!(provider.asked(), before + round);
    }
    runs(&host, &key.token(&claims(&provider))).await.ok(200);
}

#[tokio::test]
async fn keys_that_cannot_be_read_are_asked_for_again() {
    let key = Key::ed25519("e");
    let provider = Provider::start(&[&key]).await;
    let host = host(&provider).await;
    let elsewhere =
        json!({"issuer": "http://other", "jwks_uri": format!("{}/keys", provider.issuer())});
    let too_long = json!({"keys": [], "x": "y".repeat(300_000)}).to_string();
    let too_many = json!({"keys": vec![key.public.clone(); 65]});
    for (about, keys) in [
        (None, Value::Null),
        (None, json!("<html>")),
        (None, json!(too_long)),
        (None, too_many),
        (Some(elsewhere), json!({"keys": [key.public]})),
        (Some(json!({"issuer": provider.issuer()})), json!({"keys": [key.public]})),
        (Some(json!("no description")), json!({"keys": [key.public]})),
    ] {
        provider.describe(about);
        provider.answer(keys.clone());
        let reply = runs(&host, &key.token(&claims(&provider))).await;
        reply.problem(503, "issuer-unavailable");
        assert_eq!(reply.header("retry-after"), Some("30"));
        host.clock.advance(REFETCH);
    }
    provider.describe(None);
    provider.publish(&[&key]);
    runs(&host, &key.token(&claims(&provider))).await.ok(200);
}

#[tokio::test]
async fn keys_hold_while_the_provider_is_down_but_not_for_ever() {
    let key = Key::ed25519("e");
    let provider = Provider::start(&[&key]).await;
    let host = host(&provider).await;
    let forever = with(&provider, "exp", json!(9_999_999_999_u64));
    let token = key.token(&forever);
    runs(&host, &token).await.ok(200);
    provider.answer(Value::Null);
    host.gate.read_keys().await;
    host.clock.advance(Duration::from_secs(24 * 60 * 60 - 1));
    runs(&host, &token).await.ok(200);
    host.clock.advance(Duration::from_secs(1));
    runs(&host, &token).await.problem(503, "issuer-unavailable");
}
