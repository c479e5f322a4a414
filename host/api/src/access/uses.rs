//! When tokens were used last: gathered in memory, written by somebody else now and then.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tombolo_core::id::TokenId;
use tombolo_core::ports::store::{Token, TokenUse};

use tombolo_core::clock::Timestamp;

/// Most tokens whose use waits to be written; the use of one more is not noted this time.
const MAX_TOKENS: usize = 10_000;

/// The latest use of each token since the last time they were taken.
#[derive(Default)]
pub(crate) struct Uses(Mutex<HashMap<TokenId, TokenUse>>);

impl Uses {
    /// Notes that a token was used.
    pub fn note(&self, token: &Token, at: Timestamp) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.len() < MAX_TOKENS || uses.contains_key(&token.id) {
            uses.insert(token.id, TokenUse { tenant: token.tenant, token: token.id, at });
        }
    }

    /// What was taken and could not be written: it counts where no later use was noted since.
    pub fn put_back(&self, taken: Vec<TokenUse>) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for one in taken {
            if uses.len() < MAX_TOKENS {
                uses.entry(one.token).or_insert(one);
            }
        }
    }

    /// What was noted, for writing.
    pub fn take(&self) -> Vec<TokenUse> {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *uses).into_values().collect()
    }
}
