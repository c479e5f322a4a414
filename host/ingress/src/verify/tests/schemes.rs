//! Which schemes are relied on, which secrets fit, and that the reference page knows them all.

use serde_json::{Value, json};
use tombolo_core::workflow::Verify;

use super::super::{check_scheme, check_secret, resolve};
use super::*;

const PAGE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reference/webhook-verification.md"
));

fn good() -> Value {
    serde_json::to_value(custom("hmac-sha256", "hex")).unwrap()
}

#[test]
fn every_preset_is_safe_to_rely_on() {
    for (name, preset) in presets() {
        assert_eq!(check_scheme(&preset.scheme), Ok(()), "{name}");
        assert!(!preset.summary.is_empty(), "{name}");
    }
}

#[test]
fn an_unsafe_scheme_is_refused_with_its_place_and_verifies_nothing() {
    let label = json!([{ "label": "v1", "algorithm": "hmac-sha256", "encoding": "hex" }]);
    let twice = json!([label[0], label[0]]);
    let confused = json!([
        { "label": "v1", "algorithm": "hmac-sha256", "encoding": "base64", "key": { "encoding": "base64" } },
        { "label": "v1a", "algorithm": "ed25519", "encoding": "base64", "key": { "encoding": "base64" } },
    ]);
    let many = vec![json!({ "literal": "." }); 20];
    for (changes, place) in [
        (json!({ "/signature/header": "X Acme" }), "/signature/header"),
        (json!({ "/accept": [] }), "/accept"),
        (json!({ "/accept": label }), "/accept"),
        (json!({ "/signature/form": "list" }), "/accept"),
        (json!({ "/signature/form": "list", "/accept": twice }), "/accept"),
        (json!({ "/signature/form": "list", "/accept": confused }), "/accept"),
        (json!({ "/content": ["timestamp"] }), "/content"),
        (json!({ "/content": ["timestamp", "id", "body"] }), "/content"),
        (json!({ "/content": ["timestamp", { "literal": "" }, "body"] }), "/content"),
        (json!({ "/content": many }), "/content"),
        (json!({ "/content": ["body"] }), "/timestamp/from"),
        (json!({ "/timestamp": null }), "/timestamp"),
        (json!({ "/timestamp/from": { "body_pointer": "/at" } }), "/timestamp/from"),
        (json!({ "/timestamp/from": { "parameter": "t" } }), "/timestamp/from/parameter"),
        (json!({ "/timestamp/past_s": 86_401 }), "/timestamp"),
        (json!({ "/dedupe": { "header": "" } }), "/dedupe/header"),
        (json!({ "/dedupe": { "body_pointer": "id" } }), "/dedupe/body_pointer"),
    ] {
        let mut scheme = good();
        for (pointer, value) in changes.as_object().unwrap() {
            *scheme.pointer_mut(pointer).unwrap() = value.clone();
        }
        let scheme: VerifyScheme = serde_json::from_value(scheme).unwrap();
        let problem = check_scheme(&scheme).expect_err(&changes.to_string());
        assert_eq!(problem.pointer, place, "{changes}: {}", problem.message);

        let delivery = Delivery::post(BODY);
        let refusal = verify(&scheme, &[secret("key")], &delivery.signed(), NOW_MS);
        assert_eq!(refusal, Err(Refusal::UnusableScheme), "{changes}");
    }
}

#[test]
fn an_unknown_key_of_a_scheme_is_refused_by_name() {
    let mut scheme = good();
    scheme["tolerance"] = json!(5);
    let error = serde_json::from_value::<VerifyScheme>(scheme).unwrap_err();
    assert!(error.to_string().contains("unknown field `tolerance`"), "{error}");
}

#[test]
fn a_trigger_names_a_preset_or_a_scheme_or_nothing() {
    let verify = |written: Value| serde_json::from_value::<Verify>(written).unwrap();

    assert!(resolve(&verify(json!("none"))).unwrap().is_none());

    let by_preset = verify(json!({ "preset": "hubspot-v3", "secrets": ["app"] }));
    let required = resolve(&by_preset).unwrap().unwrap();
    assert_eq!(required.scheme, &scheme("hubspot-v3"));
    assert_eq!(required.secrets, ["app"]);

    let custom = verify(json!({ "scheme": good(), "secrets": ["acme"] }));
    assert!(resolve(&custom).unwrap().is_some());

    let unknown = verify(json!({ "preset": "hubspot", "secrets": ["app"] }));
    let problem = resolve(&unknown).unwrap_err();
    assert_eq!(problem.pointer, "/preset");
    assert!(problem.message.contains("hubspot-v3"), "{problem}");

    let mut bad = good();
    bad["content"] = json!(["timestamp"]);
    let problem = resolve(&verify(json!({ "scheme": bad, "secrets": ["a"] }))).map(|_| ());
    assert_eq!(problem.unwrap_err().pointer, "/scheme/content");
}

#[test]
fn a_secret_of_the_wrong_form_is_told_when_it_is_set() {
    let standard = scheme("standard-webhooks");
    assert!(check_secret(&standard, &secret(STANDARD_SECRET)));
    assert!(check_secret(&standard, &ed25519_public()));
    for wrong in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_***", "whpk_AAAA"] {
        assert!(!check_secret(&standard, &secret(wrong)), "{wrong}");
    }
    assert!(check_secret(&scheme("stripe"), &secret(STANDARD_SECRET)));
    assert!(!check_secret(&scheme("stripe"), &secret("")));
}

#[test]
fn a_hexadecimal_key_is_the_bytes_it_stands_for() {
    let mut in_hex = custom("hmac-sha256", "base64");
    in_hex.accept[0].key.encoding = tombolo_core::workflow::KeyEncoding::Hex;
    let as_text = custom("hmac-sha256", "base64");
    let delivery = Delivery::post(BODY);
    assert_eq!(
        sign(&in_hex, &secret("6b6579"), &delivery.signed(), NOW_MS).unwrap(),
        sign(&as_text, &secret("key"), &delivery.signed(), NOW_MS).unwrap(),
    );
}

#[test]
fn the_reference_page_lists_every_preset_and_every_refusal() {
    for (name, _) in presets() {
        assert!(PAGE.contains(&format!("| `{name}` |")), "preset {name}");
    }
    let text = String::new;
    for refusal in [
        Refusal::MissingSignature { header: text() },
        Refusal::MalformedSignature { header: text(), problem: "" },
        Refusal::WrongSignature,
        Refusal::StaleTimestamp { age_s: 0, past_s: 0 },
        Refusal::FutureTimestamp { ahead_s: 0, future_s: 0 },
        Refusal::MissingTimestamp { place: text() },
        Refusal::MalformedTimestamp { place: text() },
        Refusal::MissingId { header: text() },
        Refusal::MalformedId { header: text(), problem: "" },
        Refusal::DuplicateHeader { header: text() },
        Refusal::NoSecret,
        Refusal::UnusableScheme,
    ] {
        assert!(PAGE.contains(&format!("| `{}` |", refusal.code())), "{}", refusal.code());
    }
}

#[test]
fn every_example_of_the_reference_page_is_good() {
    let mut examples = 0;
    for block in PAGE.split("```json\n").skip(1) {
        let (block, _) = block.split_once("```").unwrap();
        let trigger: Value = serde_json::from_str(&format!("{{{block}}}")).unwrap();
        let verify: Verify = serde_json::from_value(trigger["verify"].clone()).unwrap();
        assert!(resolve(&verify).is_ok(), "{block}");
        examples += 1;
    }
    assert_eq!(examples, 3);
}
