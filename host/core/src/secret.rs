//! Secrets in memory and at rest. Neither shows itself in `Debug`, logs or errors. And what the
//! secrets of others are called, so that their values are not kept.

use std::fmt;

use zeroize::Zeroizing;

/// A secret in the clear. Wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes. Named so that every use stands out in a review.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A sealed secret as the store keeps it: version, key id, nonce and ciphertext.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// What stands where a secret was taken out.
pub const REDACTED: &str = "[redacted]";

/// Parts of the names that secrets are given, in lower case.
const SECRET_PARTS: &[&str] = &[
    "authorization",
    "credential",
    "jwt",
    "key",
    "passwd",
    "password",
    "pwd",
    "secret",
    "sig",
    "token",
];

/// True if a parameter or header of this name is likely to carry a secret: `token`, `X-Api-Key`,
/// `Signature`, in any case.
pub fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // Not as a part: it begins `author`, too.
    name == "auth" || SECRET_PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::names_a_secret;

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in ["token", "hub.verify_token", "X-Api-Key", "SIG", "Auth", "clientSecret"] {
            assert!(names_a_secret(name), "{name}");
        }
        for name in ["author", "page", "X-GitHub-Event", "state"] {
            assert!(!names_a_secret(name), "{name}");
        }
    }
}
