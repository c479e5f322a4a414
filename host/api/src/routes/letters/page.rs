//! The cursor of a list of dead letters: after which one the next page starts.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Letter, LetterCursor, StepKey};
use uuid::Uuid;

use crate::problem::{Kind, Problem};

/// The first byte: what a cursor is made of may change.
const VERSION: u8 = 1;

/// The letter after which a page starts, as text.
pub(super) fn write(letter: &Letter) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(letter.run.0.as_bytes());
    bytes.extend_from_slice(&letter.step.item.to_be_bytes());
    bytes.extend_from_slice(letter.step.node.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The text of [`write()`].
pub(super) fn read(text: &str) -> Result<LetterCursor, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    parts(&bytes).ok_or_else(|| Problem::new(Kind::InvalidCursor, "the cursor cannot be read"))
}

fn parts(bytes: &[u8]) -> Option<LetterCursor> {
    let rest = bytes.strip_prefix(&[VERSION])?;
    let (run, rest) = rest.split_first_chunk::<16>()?;
    let (item, node) = rest.split_first_chunk::<4>()?;
    let node = std::str::from_utf8(node).ok()?.to_owned();
    let step = StepKey { node, item: u32::from_be_bytes(*item) };
    Some(LetterCursor { run: RunId(Uuid::from_bytes(*run)), step })
}
