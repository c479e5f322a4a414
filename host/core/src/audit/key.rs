//! Signed notes (<https://c2sp.org/signed-note>) with Ed25519: who signed a text.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{PUBLIC_KEY_LENGTH, SIGNATURE_LENGTH, Signature, VerifyingKey};
use sha2::{Digest, Sha256};

/// The name under which hosts sign their checkpoints.
const NAME: &str = "tombolo/audit";

/// Signature type of Ed25519 in a note.
const ED25519: u8 = 1;

/// Begins a line with a signature.
const SIGNATURE_LINE: &str = "\u{2014} ";

/// Bytes of a key's id.
const ID_BYTES: usize = 4;

/// Signs checkpoints. The key itself stays where it is.
pub trait Signs: Send + Sync {
    /// Whom the signatures are of.
    fn public_key(&self) -> PublicKey;

    /// An Ed25519 signature (RFC 8032) of these bytes.
    fn sign(&self, bytes: &[u8]) -> [u8; SIGNATURE_LENGTH];
}

/// Checks signatures. In text, as the note's format has it, `<name>+<id>+<key>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// Text that is no public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no public key of a record: `tombolo audit key` prints one, `{NAME}+..+..`")]
pub struct NotAKey(String);

/// A note that this key did not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadNote {
    /// It is no note at all.
    #[error("it is no signed note: {0}")]
    Shape(&'static str),
    /// It has no signature of this key.
    #[error("nobody signed it with this key")]
    NoSignature,
    /// It has one, of another text.
    #[error("the signature is of another text")]
    WrongSignature,
}

impl PublicKey {
    /// The public part of an Ed25519 key.
    pub fn new(key: VerifyingKey) -> Self {
        Self(key)
    }

    /// The first bytes of SHA-256(name || 0x0A || type || key).
    fn id(&self) -> [u8; ID_BYTES] {
        let hash = Sha256::new()
            .chain_update(NAME)
            .chain_update([b'\n', ED25519])
            .chain_update(self.0.as_bytes())
            .finalize();
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&hash[..ID_BYTES]);
        id
    }

    /// The note of a text, which ends with a newline.
    pub(super) fn note(text: &str, signer: &dyn Signs) -> String {
        let key = signer.public_key();
        let mut signature = key.id().to_vec();
        signature.extend(signer.sign(text.as_bytes()));
        format!("{text}\n{SIGNATURE_LINE}{NAME} {}\n", STANDARD.encode(signature))
    }

    /// The text of a note that has a good signature of this key. Those of others are passed over.
    ///
    /// # Errors
    /// If it is no note, or has no good one.
    pub(super) fn open<'a>(&self, note: &'a str) -> Result<&'a str, BadNote> {
        let (text, signatures) =
            note.rsplit_once("\n\n").ok_or(BadNote::Shape("there is no empty line"))?;
        let text = &note[..=text.len()];
        if !signatures.ends_with('\n') {
            return Err(BadNote::Shape("its last line does not end"));
        }
        for line in signatures.lines() {
            let line = line
                .strip_prefix(SIGNATURE_LINE)
                .and_then(|line| line.split_once(' '))
                .ok_or(BadNote::Shape("a line of a signature has another form"))?;
            if let (NAME, Some(signature)) = (line.0, self.own(line.1)?) {
                let good = self.0.verify_strict(text.as_bytes(), &signature).is_ok();
                return if good { Ok(text) } else { Err(BadNote::WrongSignature) };
            }
        }
        Err(BadNote::NoSignature)
    }

    /// The signature, if it says that it is of this key.
    fn own(&self, encoded: &str) -> Result<Option<Signature>, BadNote> {
        let bytes = STANDARD.decode(encoded).map_err(|_| BadNote::Shape("no base64"))?;
        let Some(signature) = bytes.strip_prefix(&self.id()) else { return Ok(None) };
        let signature = Signature::from_slice(signature);
        signature.map(Some).map_err(|_| BadNote::Shape("a signature has another length"))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend(self.0.as_bytes());
        write!(f, "{NAME}+{}+{}", hex::encode(self.id()), STANDARD.encode(key))
    }
}

impl FromStr for PublicKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let text = text.trim();
        let read = || {
            let (id, key) = text.strip_prefix(NAME)?.strip_prefix('+')?.split_once('+')?;
            let bytes = STANDARD.decode(key).ok()?;
            let bytes: &[u8; PUBLIC_KEY_LENGTH] =
                bytes.strip_prefix(&[ED25519])?.try_into().ok()?;
            let key = Self(VerifyingKey::from_bytes(bytes).ok()?);
            (hex::encode(key.id()) == id).then_some(key)
        };
        read().ok_or_else(|| NotAKey(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::testing::TestKey;

    const TEXT: &str = "tombolo/audit/x\n2\nroot\n";

    #[test]
    fn a_note_opens_with_the_key_that_signed_it() {
        let (ours, theirs) = (TestKey::new(1), TestKey::new(2));
        let note = PublicKey::note(TEXT, &ours);
        assert_eq!(ours.public_key().open(&note), Ok(TEXT));
        assert_eq!(theirs.public_key().open(&note), Err(BadNote::NoSignature));
        // A witness has signed it, too.
        let line = PublicKey::note(TEXT, &theirs);
        let both = format!("{note}{}", line.rsplit_once("\n\n").unwrap().1);
        for key in [ours.public_key(), theirs.public_key()] {
            assert_eq!(key.open(&both), Ok(TEXT));
        }
    }

    #[test]
    fn a_note_that_was_changed_does_not_open() {
        let key = TestKey::new(1);
        let (note, public) = (PublicKey::note(TEXT, &key), key.public_key());
        let more = note.replacen("\n2\n", "\n3\n", 1);
        assert_eq!(public.open(&more), Err(BadNote::WrongSignature));
        for broken in ["", "x\n", &note[..note.len() - 1], &note.replace('\u{2014}', "-")] {
            assert!(matches!(public.open(broken), Err(BadNote::Shape(_))), "{broken}");
        }
    }

    #[test]
    fn a_public_key_reads_back_and_a_wrong_one_does_not() {
        let key = TestKey::new(1).public_key();
        let text = key.to_string();
        assert_eq!(text.parse(), Ok(key));
        assert!(text.starts_with("tombolo/audit+"), "{text}");
        let other = TestKey::new(2).public_key().to_string();
        // The id of one with the bytes of the other.
        let mixed =
            format!("{}+{}", text.rsplit_once('+').unwrap().0, other.rsplit_once('+').unwrap().1);
        for wrong in ["", "tombolo/audit", &mixed, &text[1..]] {
            assert!(wrong.parse::<PublicKey>().is_err(), "{wrong}");
        }
    }
}
