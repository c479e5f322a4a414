//! Keys and chains for tests.

use ed25519_dalek::{Signer, SigningKey};
use serde_json::json;
use uuid::Uuid;

use super::{Actor, AuditEntry, Chained, Head, PublicKey, Record, Signs};
use crate::clock::Timestamp;
use crate::id::TenantId;

/// A key that anybody knows.
pub(super) struct TestKey(SigningKey);

impl TestKey {
    pub(super) fn new(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }
}

impl Signs for TestKey {
    fn public_key(&self) -> PublicKey {
        PublicKey::new(self.0.verifying_key())
    }

    fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes).to_bytes()
    }
}

pub(super) fn tenant(n: u128) -> TenantId {
    TenantId(Uuid::from_u128(n))
}

pub(super) fn entry(n: u64) -> AuditEntry {
    AuditEntry {
        at: Timestamp(1_700_000_000_000 + n.cast_signed()),
        actor: Actor("token:tok_1".to_owned()),
        action: "step-redriven".to_owned(),
        subject: format!("run/steps/{n}"),
        detail: json!({ "reason": n }),
        correlation_id: Some(format!("c{n}")),
    }
}

/// So many entries of a tenant; `first` tells one chain from another.
pub(super) fn chain(tenant: TenantId, first: u64, count: u64) -> Vec<Chained> {
    let mut head = Head::EMPTY;
    let append = |n| {
        let chained = head.append(tenant, entry(first + n)).unwrap();
        head = chained.head();
        chained
    };
    (0..count).map(append).collect()
}

/// The record with the hash that fits it.
pub(super) fn rehash(record: Record) -> Chained {
    let hash = record.hash().unwrap();
    Chained { record, hash }
}
