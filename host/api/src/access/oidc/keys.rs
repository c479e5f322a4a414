//! The issuer's keys, as its JWK set (RFC 7517) has them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tombolo_core::json::parse;

use super::jws::{Algorithm, Invalid, Jws, Key};

/// Most keys of an issuer.
const MAX_KEYS: usize = 64;

/// Bytes of a coordinate of P-256, and of a point of Ed25519.
const COORDINATE_BYTES: usize = 32;

/// Keys by id. Those of kinds that are not on our list are left out.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<(String, Key)>);

impl Keys {
    /// Reads a JWK set.
    ///
    /// # Errors
    /// What is wrong with it, for the log.
    pub fn read(document: &[u8]) -> Result<Self, String> {
        let set = parse(document).map_err(|error| error.to_string())?;
        let keys = set["keys"].as_array().ok_or("the key set has no `keys`")?;
        if keys.len() > MAX_KEYS {
            return Err(format!("the key set has {} keys (limit {MAX_KEYS})", keys.len()));
        }
        Ok(Self(keys.iter().filter_map(key).collect()))
    }

    /// The key that the token names, of the kind that its algorithm needs.
    pub fn of(&self, jws: &Jws<'_>) -> Result<&Key, Invalid> {
        self.0
            .iter()
            .find(|(id, key)| *id == jws.key_id && key.algorithm() == jws.algorithm)
            .map(|(_, key)| key)
            .ok_or(Invalid::UnknownKey)
    }
}

/// A key for signatures. One that says another use or algorithm is none.
fn key(jwk: &Value) -> Option<(String, Key)> {
    let id = jwk["kid"].as_str()?.to_owned();
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str()?).ok();
    let coordinate = |name: &str| bytes(name).filter(|bytes| bytes.len() == COORDINATE_BYTES);
    let key = match (jwk["kty"].as_str()?, jwk["crv"].as_str()) {
        ("RSA", _) => Key::Rsa { n: bytes("n")?, e: bytes("e")? },
        ("EC", Some("P-256")) => Key::P256([vec![4], coordinate("x")?, coordinate("y")?].concat()),
        ("OKP", Some("Ed25519")) => Key::Ed25519(coordinate("x")?),
        _ => return None,
    };
    let says = |name: &str, wanted: &str| jwk[name].as_str().is_none_or(|text| text == wanted);
    let verifies = jwk["key_ops"]
        .as_array()
        .is_none_or(|operations| operations.iter().any(|one| one == "verify"));
    let algorithm: Algorithm = key.algorithm();
    (says("use", "sig") && says("alg", algorithm.name()) && verifies).then_some((id, key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn count(keys: &Value) -> Result<usize, String> {
        Keys::read(json!({ "keys": keys }).to_string().as_bytes()).map(|keys| keys.0.len())
    }

    #[test]
    fn only_keys_for_signatures_of_our_kinds_are_kept() {
        let x = URL_SAFE_NO_PAD.encode([7; 32]);
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": x});
        assert_eq!(count(&json!([ed])), Ok(1));
        let with = |name: &str, value: Value| {
            let mut changed = ed.clone();
            changed[name] = value;
            count(&json!([changed])).unwrap()
        };
        assert_eq!((with("use", json!("sig")), with("use", json!("enc"))), (1, 0));
        assert_eq!((with("alg", json!("EdDSA")), with("alg", json!("RS256"))), (1, 0));
        assert_eq!((with("key_ops", json!(["verify"])), with("key_ops", json!(["sign"]))), (1, 0));
        assert_eq!((with("crv", json!("X25519")), with("x", json!("AAAA"))), (0, 0));
        assert_eq!((with("kid", Value::Null), with("kty", json!("oct"))), (0, 0));
    }

    #[test]
    fn a_set_that_is_none_or_too_large_is_refused() {
        for wrong in ["", "[]", "{}", r#"{"keys": 1}"#, r#"{"keys": [], "keys": []}"#] {
            assert!(Keys::read(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(count(&Value::Array(vec![json!({}); MAX_KEYS + 1])).unwrap_err().contains("64"));
    }
}
