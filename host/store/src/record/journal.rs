//! Calls of earlier attempts as columns.

use bytes::Bytes;
use tombolo_core::ports::journal::{JournalEntry, Kept, headers_to_text, response_from_text};
use tombolo_core::ports::store::Journaled;

use super::{Damaged, from_json, to_json};

/// What stands in `status` for a call that failed: no status of HTTP.
pub(crate) const FAILED: u16 = 0;

/// A row of `journal`, without tenant and run.
#[derive(Debug, Clone)]
pub(crate) struct JournalRecord {
    pub(crate) node: String,
    pub(crate) item: u32,
    pub(crate) place: u32,
    pub(crate) request_hash: [u8; 32],
    /// None if the answer was not kept.
    pub(crate) answer: Option<JournaledAnswer>,
}

/// An answer as columns.
#[derive(Debug, Clone)]
pub(crate) struct JournaledAnswer {
    pub(crate) status: u16,
    /// JSON: `[[name, value], ..]`.
    pub(crate) headers: String,
    pub(crate) body: Bytes,
}

impl JournalRecord {
    /// Makes the columns.
    pub(crate) fn new(journaled: Journaled) -> Self {
        let JournalEntry { place, request_hash, kept } = journaled.entry;
        Self {
            node: journaled.node,
            item: journaled.item,
            place,
            request_hash,
            answer: match kept {
                Kept::TooLarge => None,
                Kept::Failed => Some(JournaledAnswer {
                    status: FAILED,
                    headers: "[]".to_owned(),
                    body: Bytes::new(),
                }),
                Kept::Answer(response) => Some(JournaledAnswer {
                    status: response.status.as_u16(),
                    headers: to_json(&headers_to_text(&response.headers)),
                    body: response.body,
                }),
            },
        }
    }

    /// Reads the columns back.
    pub(crate) fn into_journaled(self) -> Result<Journaled, Damaged> {
        let damaged = || Damaged("a journaled answer cannot be read".to_owned());
        let kept = match self.answer {
            None => Kept::TooLarge,
            Some(JournaledAnswer { status: FAILED, .. }) => Kept::Failed,
            Some(answer) => {
                let headers: Vec<(String, String)> =
                    from_json(&answer.headers, "a journaled answer's headers")?;
                let read = response_from_text(answer.status, &headers, answer.body);
                Kept::Answer(read.ok_or_else(damaged)?)
            }
        };
        let entry = JournalEntry { place: self.place, request_hash: self.request_hash, kept };
        Ok(Journaled { node: self.node, item: self.item, entry })
    }

    /// Bytes of its long columns.
    pub(crate) fn len(&self) -> usize {
        self.answer.as_ref().map_or(0, |answer| answer.headers.len() + answer.body.len())
    }
}
