//! A signed token in compact form (RFC 7515), taken apart and checked against one key.
//!
//! Which algorithms there are is this file's list: `none` and everything that is made with a shared
//! secret are not on it, so a public key is never taken for one. JSON is read strictly: no key twice.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde_json::{Map, Value};
use tombolo_core::json::parse;

/// Longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// How a token may be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA PKCS #1 v1.5 with SHA-256, keys of 2048 to 8192 bits.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519 (RFC 8037).
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    /// The name in a token's `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A public key. Its kind says the one algorithm that it checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// Modulus and exponent, big-endian.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// A point of P-256, uncompressed: 0x04, x, y.
    P256(Vec<u8>),
    /// 32 bytes.
    Ed25519(Vec<u8>),
}

impl Key {
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
            Self::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    fn checks(&self, signed: &[u8], signature: &[u8]) -> bool {
        let checked = match self {
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                signed,
                signature,
            ),
            Self::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature)
            }
            Self::Ed25519(point) => {
                UnparsedPublicKey::new(&ED25519, point).verify(signed, signature)
            }
        };
        checked.is_ok()
    }
}

/// What is wrong with a token. The words are for whoever sent it; nothing of a key is in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    /// Not a token at all.
    #[error("it is no signed token: {0}")]
    Malformed(&'static str),
    /// `alg` is none of those allowed.
    #[error("its algorithm is not allowed")]
    Algorithm,
    /// No key of the issuer has its `kid` and fits its `alg`.
    #[error("its key is not one of the issuer's")]
    UnknownKey,
    /// The signature is not the key's.
    #[error("its signature is wrong")]
    Signature,
    /// A claim is missing or wrong.
    #[error("its claim `{0}` is missing or wrong")]
    Claim(&'static str),
    /// It is over.
    #[error("it has expired")]
    Expired,
    /// It is not valid yet.
    #[error("it is not valid yet")]
    TooEarly,
}

impl Invalid {
    /// Kebab-case, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown-key",
            Self::Signature => "signature",
            Self::Claim(_) => "claim",
            Self::Expired => "expired",
            Self::TooEarly => "too-early",
        }
    }
}

/// A token that was taken apart. Its claims are not shown before a key has checked them.
#[derive(Debug)]
pub(super) struct Jws<'a> {
    pub algorithm: Algorithm,
    pub key_id: String,
    signed: &'a [u8],
    claims: &'a [u8],
    signature: Vec<u8>,
}

/// True if it looks like a signed token and not like one of ours: three parts with dots between.
pub(in crate::access) fn looks_signed(presented: &[u8]) -> bool {
    presented.iter().filter(|byte| **byte == b'.').count() == 2
}

impl<'a> Jws<'a> {
    /// Takes a token apart, if its algorithm is one of those allowed.
    pub fn read(token: &'a [u8], allowed: &[Algorithm]) -> Result<Self, Invalid> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Invalid::Malformed("it is too long"));
        }
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Invalid::Malformed("it has not three parts"));
        };
        let signed = &token[..header.len() + 1 + claims.len()];
        let header = object(header)?;
        // Extensions that have to be understood; none is.
        if header.contains_key("crit") {
            return Err(Invalid::Malformed("it has `crit`"));
        }
        let is_token = |kind: &str| {
            ["jwt", "at+jwt", "application/at+jwt"].iter().any(|one| kind.eq_ignore_ascii_case(one))
        };
        if header.get("typ").is_some_and(|kind| !kind.as_str().is_some_and(is_token)) {
            return Err(Invalid::Malformed("its `typ` is another"));
        }
        let algorithm = header
            .get("alg")
            .and_then(Value::as_str)
            .and_then(Algorithm::named)
            .filter(|algorithm| allowed.contains(algorithm))
            .ok_or(Invalid::Algorithm)?;
        let key_id = header.get("kid").and_then(Value::as_str).ok_or(Invalid::UnknownKey)?;
        let signature =
            URL_SAFE_NO_PAD.decode(signature).map_err(|_| Invalid::Malformed("not base64url"))?;
        Ok(Self { algorithm, key_id: key_id.to_owned(), signed, claims, signature })
    }

    /// The claims, if the key has signed them.
    pub fn check(&self, key: &Key) -> Result<Map<String, Value>, Invalid> {
        if key.algorithm() != self.algorithm {
            return Err(Invalid::UnknownKey);
        }
        if !key.checks(self.signed, &self.signature) {
            return Err(Invalid::Signature);
        }
        object(self.claims)
    }
}

fn object(part: &[u8]) -> Result<Map<String, Value>, Invalid> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Invalid::Malformed("not base64url"))?;
    match parse(&bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(Invalid::Malformed("a part is no JSON object")),
    }
}
