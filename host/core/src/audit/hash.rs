//! Hashes of the record, with the domains of RFC 9162 kept apart.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// In front of what is hashed as a leaf (RFC 9162, section 2.1.1).
const LEAF: [u8; 1] = [0];
/// In front of what is hashed as a node.
const NODE: [u8; 1] = [1];

/// SHA-256 of an entry or of a node of the tree. In text 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditHash(pub [u8; Self::BYTES]);

impl AuditHash {
    /// Bytes of a hash.
    pub const BYTES: usize = 32;

    /// What the first entry names as the one before.
    pub const ZERO: Self = Self([0; Self::BYTES]);

    /// Of an entry: SHA-256(0x00 || bytes).
    pub fn of_leaf(bytes: &[u8]) -> Self {
        Self(Sha256::new().chain_update(LEAF).chain_update(bytes).finalize().into())
    }

    /// Of two nodes: SHA-256(0x01 || left || right).
    pub fn of_node(left: Self, right: Self) -> Self {
        let nodes = Sha256::new().chain_update(NODE).chain_update(left.0).chain_update(right.0);
        Self(nodes.finalize().into())
    }

    /// Of nothing: the root of an empty tree.
    pub fn of_nothing() -> Self {
        Self(Sha256::digest([]).into())
    }
}

/// Text that is no hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no hash of 64 hexadecimal digits")]
pub struct NotAHash(String);

impl FromStr for AuditHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let mut bytes = [0; Self::BYTES];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NotAHash(text.to_owned()))?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for AuditHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AuditHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
