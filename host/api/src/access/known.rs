//! Tokens that were looked up a moment ago, so that not every request asks the store.
//!
//! What was changed elsewhere is seen after [`MAX_AGE`] at the latest; what this process took back it
//! forgets at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tombolo_core::clock::Timestamp;
use tombolo_core::ports::store::Token;

/// How long a token that was found counts as found: within this time a revocation holds everywhere.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(1);

/// Most tokens that are remembered; when there are more, all are looked up again.
const MAX_TOKENS: usize = 10_000;

/// Only those that the store has: what somebody makes up takes no room here.
#[derive(Default)]
pub(crate) struct Known(Mutex<HashMap<[u8; 32], Entry>>);

struct Entry {
    token: Token,
    /// Before the store was asked.
    asked_at: Timestamp,
}

impl Known {
    /// The token, if it was looked up less than [`MAX_AGE`] ago.
    pub fn get(&self, hash: &[u8; 32], now: Timestamp) -> Option<Token> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = tokens.get(hash)?;
        // A clock that was set back makes nothing last longer.
        let fresh = entry.asked_at <= now && now.since(entry.asked_at) < MAX_AGE;
        fresh.then(|| entry.token.clone())
    }

    /// Remembers what the store said when it was asked at that time.
    pub fn put(&self, token: &Token, asked_at: Timestamp) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MAX_TOKENS {
            tokens.clear();
        }
        tokens.insert(token.hash, Entry { token: token.clone(), asked_at });
    }

    /// The store is asked the next time.
    pub fn forget(&self, hash: &[u8; 32]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(hash);
    }
}
