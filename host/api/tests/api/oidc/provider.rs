//! An identity provider on this machine: it tells of itself and its keys over HTTP, counts how often
//! it is asked, and signs whatever it is given.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Made for these tests with `openssl genpkey`.
const RSA: &[u8] = include_bytes!("test-only-rsa.pk8");

pub struct Provider {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The key set; an answer that is none if it is text.
    keys: Mutex<Value>,
    /// In place of the description.
    about: Mutex<Option<Value>>,
    asked: AtomicUsize,
}

impl Provider {
    pub async fn start(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let about = move |State(shared): State<Arc<Shared>>| async move {
            let about = shared.about.lock().unwrap().clone();
            let issuer = format!("http://{address}");
            let usual = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")});
            about.unwrap_or(usual).to_string()
        };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(about))
            .route("/keys", get(keys_of))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let provider = Self { address, shared };
        provider.publish(keys);
        provider
    }

    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn publish(&self, keys: &[&Key]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.public.clone()).collect();
        self.answer(json!({ "keys": keys }));
    }

    /// Answers this for its keys; a text stands for itself.
    pub fn answer(&self, keys: Value) {
        *self.shared.keys.lock().unwrap() = keys;
    }

    /// Tells this of itself.
    pub fn describe(&self, about: Option<Value>) {
        *self.shared.about.lock().unwrap() = about;
    }

    /// How often its keys were asked for.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }
}

async fn keys_of(State(shared): State<Arc<Shared>>) -> Response {
    shared.asked.fetch_add(1, Ordering::SeqCst);
    match &*shared.keys.lock().unwrap() {
        Value::String(text) => text.clone().into_response(),
        Value::Null => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        keys => keys.to_string().into_response(),
    }
}

/// Makes the signature of what is signed.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// A key with its id and the algorithm that it is for.
pub struct Key {
    pub id: String,
    pub algorithm: &'static str,
    pub public: Value,
    sign: Sign,
}

impl Key {
    pub fn rsa(id: &str) -> Self {
        let pair = RsaKeyPair::from_pkcs8(RSA).unwrap();
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
        let [n, e] = [public.n, public.e].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        let public = json!({"kty": "RSA", "kid": id, "use": "sig", "n": n, "e": e});
        let sign = move |signed: &[u8]| {
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed, &mut signature).unwrap();
            signature
        };
        Self { id: id.to_owned(), algorithm: "RS256", public, sign: Box::new(sign) }
    }

    pub fn p256(id: &str) -> Self {
        let random = SystemRandom::new();
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        let pair = EcdsaKeyPair::generate_pkcs8(algorithm, random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pair.as_ref(), random).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let [x, y] = [x, y].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        let public = json!({"kty": "EC", "crv": "P-256", "kid": id, "x": x, "y": y});
        let sign =
            move |signed: &[u8]| pair.sign(&SystemRandom::new(), signed).unwrap().as_ref().to_vec();
        Self { id: id.to_owned(), algorithm: "ES256", public, sign: Box::new(sign) }
    }

    pub fn ed25519(id: &str) -> Self {
        let pair = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pair.as_ref()).unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let public = json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": x});
        let sign = move |signed: &[u8]| pair.sign(signed).as_ref().to_vec();
        Self { id: id.to_owned(), algorithm: "EdDSA", public, sign: Box::new(sign) }
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.signed(&json!({"alg": self.algorithm, "kid": self.id, "typ": "JWT"}), claims)
    }

    /// The same with a head of the test's choice.
    pub fn signed(&self, head: &Value, claims: &Value) -> String {
        sealed(head, claims, |signed| (self.sign)(signed))
    }
}

/// A token whose last part is what `sign` says.
pub fn sealed(head: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let [head, claims] = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = format!("{head}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}
