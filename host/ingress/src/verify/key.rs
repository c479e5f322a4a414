//! Keys out of secrets, and what is computed with them. Every comparison takes constant time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;
use tombolo_core::secret::Secret;
use tombolo_core::workflow::{AcceptedSignature, KeyEncoding, KeyRule, SignatureAlgorithm};
use zeroize::Zeroizing;

/// How long a signature of this algorithm is, in bytes.
pub(super) fn signature_bytes(algorithm: SignatureAlgorithm) -> usize {
    match algorithm {
        SignatureAlgorithm::HmacSha1 => 20,
        SignatureAlgorithm::HmacSha256 => 32,
        SignatureAlgorithm::HmacSha512 | SignatureAlgorithm::Ed25519 => 64,
    }
}

/// What checks signatures of one kind.
pub(super) enum Verifying {
    /// A shared key.
    Shared(SharedKey),
    /// The sender's public key.
    Public(Box<VerifyingKey>),
}

/// What makes signatures of one kind.
pub(super) enum Signing {
    /// A shared key.
    Shared(SharedKey),
    /// The sender's private key.
    Private(Box<SigningKey>),
}

/// A key for HMAC. Wiped when dropped.
pub(super) struct SharedKey {
    hash: Hash,
    bytes: Zeroizing<Vec<u8>>,
}

/// The hash function inside an HMAC.
#[derive(Clone, Copy)]
enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

/// The hash function of an HMAC; nothing for an algorithm with public keys.
fn hash_of(algorithm: SignatureAlgorithm) -> Option<Hash> {
    match algorithm {
        SignatureAlgorithm::HmacSha1 => Some(Hash::Sha1),
        SignatureAlgorithm::HmacSha256 => Some(Hash::Sha256),
        SignatureAlgorithm::HmacSha512 => Some(Hash::Sha512),
        SignatureAlgorithm::Ed25519 => None,
    }
}

/// True if whoever can check a signature of this algorithm can also make one.
pub(super) fn is_shared(algorithm: SignatureAlgorithm) -> bool {
    hash_of(algorithm).is_some()
}

/// The key that checks signatures of this kind, if the secret has its form.
pub(super) fn verifying(accepted: &AcceptedSignature, secret: &Secret) -> Option<Verifying> {
    let bytes = decode(&accepted.key, accepted.key.prefix.as_deref(), secret)?;
    if let Some(hash) = hash_of(accepted.algorithm) {
        return Some(Verifying::Shared(SharedKey { hash, bytes }));
    }
    let bytes = bytes.as_slice().try_into().ok()?;
    VerifyingKey::from_bytes(bytes).ok().map(|key| Verifying::Public(Box::new(key)))
}

/// The key that makes signatures of this kind, if the secret has its form. A private Ed25519 key is
/// its seed (32 bytes), or seed and public key (64 bytes).
pub(super) fn signing(accepted: &AcceptedSignature, secret: &Secret) -> Option<Signing> {
    if let Some(hash) = hash_of(accepted.algorithm) {
        let bytes = decode(&accepted.key, accepted.key.prefix.as_deref(), secret)?;
        return Some(Signing::Shared(SharedKey { hash, bytes }));
    }
    let bytes = decode(&accepted.key, accepted.key.signing_prefix.as_deref(), secret)?;
    let key = match bytes.len() {
        32 => SigningKey::from_bytes(bytes.as_slice().try_into().ok()?),
        _ => SigningKey::from_keypair_bytes(bytes.as_slice().try_into().ok()?).ok()?,
    };
    Some(Signing::Private(Box::new(key)))
}

/// The key's bytes. An empty key is no key: anybody can compute its signatures.
fn decode(rule: &KeyRule, prefix: Option<&str>, secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    let rest = secret.reveal().strip_prefix(prefix.unwrap_or_default().as_bytes())?;
    let bytes = match rule.encoding {
        KeyEncoding::Utf8 => rest.to_vec(),
        KeyEncoding::Base64 => BASE64.decode(rest).ok()?,
        KeyEncoding::Hex => hex::decode(rest).ok()?,
    };
    Some(Zeroizing::new(bytes)).filter(|bytes| !bytes.is_empty())
}

impl Verifying {
    /// True if this key made one of the signatures over `message`.
    pub fn signed_any(&self, message: &[&[u8]], signatures: &[&[u8]]) -> bool {
        if signatures.is_empty() {
            return false;
        }
        match self {
            Self::Shared(key) => {
                let expected = key.mac(message);
                signatures.iter().any(|given| bool::from(expected.as_slice().ct_eq(given)))
            }
            Self::Public(key) => {
                let message = message.concat();
                let good = |signature| key.verify_strict(&message, &signature).is_ok();
                signatures.iter().any(|given| Signature::from_slice(given).is_ok_and(good))
            }
        }
    }
}

impl Signing {
    /// The signature over `message`.
    pub fn sign(&self, message: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::Shared(key) => key.mac(message),
            Self::Private(key) => key.sign(&message.concat()).to_vec(),
        }
    }
}

impl SharedKey {
    /// The HMAC (RFC 2104) of `message`.
    fn mac(&self, message: &[&[u8]]) -> Vec<u8> {
        match self.hash {
            Hash::Sha1 => hmac::<Hmac<Sha1>>(&self.bytes, message),
            Hash::Sha256 => hmac::<Hmac<Sha256>>(&self.bytes, message),
            Hash::Sha512 => hmac::<Hmac<Sha512>>(&self.bytes, message),
        }
    }
}

/// The MAC of the slices, one after the other.
fn hmac<M: Mac + KeyInit>(key: &[u8], message: &[&[u8]]) -> Vec<u8> {
    let mut mac = <M as Mac>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in message {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}
