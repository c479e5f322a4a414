//! Checkpoints (<https://c2sp.org/tlog-checkpoint>): how many entries a tenant's record has, and the
//! root over them, signed. Kept elsewhere, one says later what the record was.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::key::{BadNote, PublicKey, Signs};
use super::{AuditHash, Tree};
use crate::id::TenantId;

/// Begins the origin, which names one tenant's record; the tenant's id follows.
const ORIGIN: &str = "tombolo/audit/";

/// What a tenant's record was at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose record.
    pub tenant: TenantId,
    /// Entries in it.
    pub size: u64,
    /// The root over them.
    pub root: AuditHash,
}

/// Text that is no checkpoint of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCheckpoint {
    /// Not signed, or not by this key.
    #[error(transparent)]
    Note(#[from] BadNote),
    /// Signed, but another text.
    #[error("it is signed, and is no checkpoint of a record")]
    Text,
    /// A line of the file that holds none.
    #[error("it is no line with a checkpoint")]
    Line,
}

impl Checkpoint {
    /// Of the entries in the tree.
    pub fn of(tenant: TenantId, tree: &Tree) -> Self {
        Self { tenant, size: tree.size(), root: tree.root() }
    }

    /// Signs it.
    pub fn sign(self, signer: &dyn Signs) -> SignedCheckpoint {
        SignedCheckpoint { checkpoint: self, note: PublicKey::note(&self.to_string(), signer) }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let tenant = lines.next()?.strip_prefix(ORIGIN)?.parse().ok()?;
        let size = lines.next()?.parse().ok()?;
        let root = STANDARD.decode(lines.next()?).ok()?;
        let read = Self { tenant, size, root: AuditHash(root.try_into().ok()?) };
        // One form only: no sign, no leading zero, nothing behind it.
        (read.to_string() == text).then_some(read)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, size, root } = self;
        write!(f, "{ORIGIN}{tenant}\n{size}\n{}\n", STANDARD.encode(root.0))
    }
}

/// A checkpoint with the note that proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What the note says.
    pub checkpoint: Checkpoint,
    /// The signed note, to be kept to the letter.
    pub note: String,
}

impl SignedCheckpoint {
    /// Reads a note.
    ///
    /// # Errors
    /// If the key did not sign it, or it is no checkpoint.
    pub fn open(note: &str, key: &PublicKey) -> Result<Self, BadCheckpoint> {
        let text = key.open(note)?;
        let checkpoint = Checkpoint::parse(text).ok_or(BadCheckpoint::Text)?;
        Ok(Self { checkpoint, note: note.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::audit::testing::TestKey;

    fn checkpoint() -> Checkpoint {
        let mut tree = Tree::default();
        tree.push(AuditHash::of_leaf(b""));
        Checkpoint::of(TenantId(Uuid::from_u128(7)), &tree)
    }

    #[test]
    fn a_checkpoint_is_three_lines() {
        let expected = "tombolo/audit/ten_00000000000000000000000000000007\n1\n\
                        bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=\n";
        assert_eq!(checkpoint().to_string(), expected);
    }

    #[test]
    fn a_signed_one_reads_back_and_a_changed_one_does_not() {
        let key = TestKey::new(1);
        let signed = checkpoint().sign(&key);
        let opened = SignedCheckpoint::open(&signed.note, &key.public_key());
        assert_eq!(opened.as_ref(), Ok(&signed));
        let changed = signed.note.replacen("\n1\n", "\n2\n", 1);
        assert!(SignedCheckpoint::open(&changed, &key.public_key()).is_err());
    }

    #[test]
    fn only_one_form_is_a_checkpoint() {
        let text = checkpoint().to_string();
        let more = format!("{text}more\n");
        for wrong in ["", &text[1..], &text.replacen("\n1\n", "\n01\n", 1), &more] {
            let note = PublicKey::note(wrong, &TestKey::new(1));
            let opened = SignedCheckpoint::open(&note, &TestKey::new(1).public_key());
            assert!(opened.is_err(), "{wrong}");
        }
    }
}
