//! What makes an event the same as another: its tenant, source and key, in the few bytes that are
//! unique in the database.

use tombolo_core::id::{ContentHash, TenantId};
use tombolo_core::ports::store::NewEvent;

use super::Shortened;
use super::digits::bytes_of;

/// Bytes of SHA-256 that are kept. Two keys would have to agree in 128 bits to be taken for one.
const HASH_BYTES: usize = 16;

/// Begins the keys that are hashes of what came.
const HASHED: &str = "sha256:";

/// Digits of such a hash.
const HASH_DIGITS: usize = 64;

/// An event's key as columns.
#[derive(Debug)]
pub(crate) struct DedupeKey {
    /// Of tenant, source and key; see [`dedupe_hash`].
    pub(crate) hash: [u8; HASH_BYTES],
    /// The key itself; where it is a hash, only the bytes of that.
    pub(crate) key: Shortened,
}

impl DedupeKey {
    /// The key of an event that is to be stored.
    pub(crate) fn of(event: &NewEvent) -> Self {
        Self {
            hash: dedupe_hash(event.tenant, &event.source, &event.dedupe_key),
            key: shortened(&event.dedupe_key),
        }
    }
}

/// The first bytes of SHA-256 of the tenant's id, the source's length in 8 bytes, source and key.
pub(crate) fn dedupe_hash(tenant: TenantId, source: &str, key: &str) -> [u8; HASH_BYTES] {
    let mut named = tenant.0.as_bytes().to_vec();
    named.extend((source.len() as u64).to_be_bytes());
    named.extend(source.as_bytes());
    named.extend(key.as_bytes());
    let mut hash = [0; HASH_BYTES];
    hash.copy_from_slice(&ContentHash::of(&named).0[..HASH_BYTES]);
    hash
}

fn shortened(key: &str) -> Shortened {
    let digits = key.strip_prefix(HASHED).filter(|digits| digits.len() == HASH_DIGITS);
    digits.and_then(bytes_of).map_or_else(|| Shortened::Text(key.to_owned()), Shortened::Bytes)
}

/// The key whose bytes stand in its column.
pub(crate) fn dedupe_key(bytes: &[u8]) -> String {
    format!("{HASHED}{}", hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn tenant_source_and_key_all_count() {
        let hash =
            |tenant, source, key| dedupe_hash(TenantId(Uuid::from_u128(tenant)), source, key);
        let first = hash(1, "hook:a", "b");
        for other in [hash(2, "hook:a", "b"), hash(1, "hook:", "ab"), hash(1, "hook:a", "c")] {
            assert_ne!(other, first);
        }
        // Part of the format: files hold it.
        let expected = "6dac2b077e33d0c300177dbc0796a5e2";
        assert_eq!(hex::encode(first), expected);
    }

    #[test]
    fn a_key_comes_back_as_it_was() {
        let hashed = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(shortened(&hashed), Shortened::Bytes(vec![10; 32]));
        assert_eq!(dedupe_key(&[10; 32]), hashed);
        let upper = format!("sha256:{}", "0A".repeat(32));
        for key in ["", "7", "sha256:0a", &upper, &hashed[7..]] {
            assert_eq!(shortened(key), Shortened::Text(key.to_owned()));
        }
    }
}
