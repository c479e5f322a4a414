//! Tests of the verifier: published vectors, one matrix of refusals for all schemes, properties,
//! and the schemes themselves.

mod covered;
mod properties;
mod refusals;
mod schemes;
mod times;
mod vectors;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tombolo_core::secret::Secret;
use tombolo_core::workflow::{
    DedupeSource, SignatureAlgorithm, TimestampRule, TimestampSource, VerifyScheme,
};

use super::sign::sign_with;
use super::{Refusal, Signed, Verified, preset, presets, sign, verify};

/// 2023-03-15T13:20:00Z, on a full second.
const NOW_MS: i64 = 1_678_886_400_000;

const BODY: &[u8] = br#"{"id":"evt_1","webhookTimestamp":1678886400000}"#;

const STANDARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The seed of the Standard Webhooks project's own tests.
const ED25519_SEED: &str = "VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=";

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn scheme(name: &str) -> VerifyScheme {
    preset(name).expect("a preset of this name").scheme.clone()
}

/// The public key to [`ED25519_SEED`], as a receiver configures it.
fn ed25519_public() -> Secret {
    let seed: [u8; 32] = BASE64.decode(ED25519_SEED).unwrap().try_into().unwrap();
    let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
    secret(&format!("whpk_{}", BASE64.encode(public.as_bytes())))
}

/// One scheme with a secret for each side.
#[derive(Debug)]
struct Case {
    name: String,
    scheme: VerifyScheme,
    receiver: Secret,
    sender: Secret,
}

impl Case {
    fn shared(name: &str, scheme: VerifyScheme, text: &str) -> Self {
        Self { name: name.to_owned(), scheme, receiver: secret(text), sender: secret(text) }
    }

    fn rule(&self) -> Option<&TimestampRule> {
        self.scheme.timestamp.as_ref()
    }

    /// A signed delivery, sent now.
    fn delivery(&self) -> Delivery {
        self.delivery_of(BODY)
    }

    fn delivery_of(&self, body: &[u8]) -> Delivery {
        let mut delivery = self.unsigned(body);
        let signed = sign(&self.scheme, &self.sender, &delivery.signed(), NOW_MS).unwrap();
        delivery.headers.extend(signed);
        delivery
    }

    /// A delivery signed with any text for a timestamp.
    fn delivery_at(&self, timestamp: &str) -> Delivery {
        let mut delivery = self.unsigned(BODY);
        let signed = sign_with(&self.scheme, &self.sender, &delivery.signed(), timestamp).unwrap();
        delivery.headers.extend(signed);
        delivery
    }

    /// A delivery with the headers that the sender chooses.
    fn unsigned(&self, body: &[u8]) -> Delivery {
        let mut delivery = Delivery::post(body);
        if let Some(DedupeSource::Header(name)) = &self.scheme.dedupe {
            delivery.set(name, "delivery_1");
        }
        if let Some(name) = &self.scheme.id_header {
            delivery.set(name, "msg_1");
        }
        delivery
    }

    fn verify(&self, delivery: &Delivery) -> Result<Verified, Refusal> {
        self.verify_at(delivery, NOW_MS)
    }

    fn verify_at(&self, delivery: &Delivery, now_ms: i64) -> Result<Verified, Refusal> {
        verify(&self.scheme, std::slice::from_ref(&self.receiver), &delivery.signed(), now_ms)
    }

    /// The code of the refusal.
    fn refused(&self, delivery: &Delivery) -> &'static str {
        match self.verify(delivery) {
            Ok(verified) => panic!("{}: not refused but {verified:?}", self.name),
            Err(refusal) => refusal.code(),
        }
    }

    /// How long one signature is in the header.
    fn signature_len(&self) -> usize {
        match (self.scheme.accept[0].algorithm, self.name.as_str()) {
            (_, "standard-webhooks ed25519") => 88,
            (SignatureAlgorithm::HmacSha1, _) => 40,
            (SignatureAlgorithm::HmacSha512, _) => 128,
            _ if self.is_hex() => 64,
            _ => 44,
        }
    }

    fn is_hex(&self) -> bool {
        self.scheme.accept[0].encoding == tombolo_core::workflow::SignatureEncoding::Hex
    }

    /// The text of the signature header without its last signature, and that signature.
    fn parted<'a>(&self, delivery: &'a Delivery) -> (&'a str, &'a str) {
        let text = delivery.get(&self.scheme.signature.header);
        text.split_at(text.len() - self.signature_len())
    }
}

/// A request that owns its parts, so that a test can tamper with them.
struct Delivery {
    method: Method,
    url: String,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Delivery {
    fn post(body: &[u8]) -> Self {
        let path = "/hooks/acme/deals?source=crm".to_owned();
        Self {
            method: Method::POST,
            url: format!("https://hooks.example.com{path}"),
            path,
            headers: HeaderMap::new(),
            body: body.to_vec(),
        }
    }

    fn signed(&self) -> Signed<'_> {
        let Self { method, url, path, headers, body } = self;
        Signed { method, url, path, headers, body }
    }

    fn set(&mut self, name: &str, value: &str) {
        self.set_bytes(name, value.as_bytes());
    }

    fn set_bytes(&mut self, name: &str, value: &[u8]) {
        let name: HeaderName = name.parse().unwrap();
        self.headers.insert(name, HeaderValue::from_bytes(value).unwrap());
    }

    fn append(&mut self, name: &str, value: &str) {
        self.headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }

    fn get(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// Every preset, Ed25519, and schemes as an operator writes them.
fn cases() -> Vec<Case> {
    let of_preset = |(name, preset): (&str, &super::Preset)| {
        let text = match name {
            "standard-webhooks" | "svix" => STANDARD_SECRET,
            _ => "It's a Secret to Everybody",
        };
        Case::shared(name, preset.scheme.clone(), text)
    };
    let mut cases: Vec<_> = presets().map(of_preset).collect();
    cases.push(Case {
        name: "standard-webhooks ed25519".to_owned(),
        scheme: scheme("standard-webhooks"),
        receiver: ed25519_public(),
        sender: secret(&format!("whsk_{ED25519_SEED}")),
    });
    cases.push(Case::shared("sha1", custom("hmac-sha1", "hex"), "key"));
    cases.push(Case::shared("sha512", custom("hmac-sha512", "hex"), "key"));
    cases
}

/// A scheme as an operator writes it, over method, path, time and body.
fn custom(algorithm: &str, encoding: &str) -> VerifyScheme {
    serde_json::from_value(serde_json::json!({
        "signature": { "header": "X-Acme-Signature", "form": { "prefix": "mac=" } },
        "accept": [{ "algorithm": algorithm, "encoding": encoding }],
        "content": ["method", "path", { "literal": "\n" }, "timestamp", { "literal": "\n" }, "body"],
        "timestamp": { "from": { "header": "X-Acme-Time" }, "unit": "s" },
        "dedupe": { "header": "X-Acme-Id" }
    }))
    .unwrap()
}
