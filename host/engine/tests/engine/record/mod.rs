//! The record of what people did: signed while it grows, checked on a file that was tampered with.

mod checkpoints;
mod deeds;
mod export;
mod tampering;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::json;
use tombolo_core::audit::{
    Actor, AuditEntry, CheckpointHistory, PublicKey, SignedCheckpoint, Signs,
};
use tombolo_core::clock::Timestamp;
use tombolo_core::ports::checkpoints::Checkpoints;

/// A key that anybody knows.
struct Key(u8);

impl Key {
    fn secret(&self) -> SigningKey {
        SigningKey::from_bytes(&[self.0; 32])
    }
}

impl Signs for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::new(self.secret().verifying_key())
    }

    fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.secret().sign(bytes).to_bytes()
    }
}

/// Keeps checkpoints, unless it is told to refuse them.
#[derive(Default)]
struct Kept {
    lines: Mutex<Vec<String>>,
    refuses: AtomicBool,
}

impl Kept {
    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    fn history(&self) -> CheckpointHistory {
        history(&self.lines())
    }

    /// Entries of the newest checkpoint; 0 if there is none.
    fn newest(&self) -> u64 {
        self.history().newest().map(|newest| newest.size).max().unwrap_or(0)
    }
}

#[async_trait]
impl Checkpoints for Kept {
    async fn keep(&self, signed: &SignedCheckpoint, at: Timestamp) -> Result<(), String> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err("the disk is full".to_owned());
        }
        self.lines.lock().unwrap().push(CheckpointHistory::line(signed, at));
        Ok(())
    }
}

fn history(lines: &[String]) -> CheckpointHistory {
    let mut history = CheckpointHistory::default();
    lines.iter().for_each(|line| history.read(line, &Key(1).public_key()));
    history
}

fn entry(n: i64) -> AuditEntry {
    AuditEntry {
        at: Timestamp(1_700_000_000_000 + n),
        actor: Actor("token:tok_1".to_owned()),
        action: "step-redriven".to_owned(),
        subject: format!("run/steps/{n}"),
        detail: json!({ "reason": format!("because {n}") }),
        correlation_id: Some(format!("c{n}")),
    }
}
