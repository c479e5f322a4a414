//! What is wrong with a record: what, where, and what it means.

use std::fmt;

use serde::Serialize;

use super::AuditHash;
use crate::id::TenantId;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whose record.
    pub tenant: TenantId,
    /// At which entry; of a checkpoint, how many entries it is over.
    pub seq: Option<u64>,
    /// What.
    #[serde(flatten)]
    pub trouble: Trouble,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Trouble {
    /// It cannot be read as an entry.
    Unreadable {
        /// Why.
        why: String,
    },
    /// Its content is not what was hashed.
    Altered,
    /// Its content is that of another place in the same chain.
    Moved {
        /// Where it belongs.
        from: u64,
    },
    /// It belongs to another tenant's record.
    Foreign {
        /// Whose.
        of: TenantId,
    },
    /// It comes after one of the same number or a higher one.
    OutOfOrder {
        /// The number of the one before.
        after: u64,
    },
    /// Entries before it are missing.
    Missing {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// It does not follow the entry that stands before it.
    BrokenLink,
    /// The record ends before its known end.
    CutTail {
        /// Where it has to end at least.
        known: u64,
        /// Where it ends.
        found: u64,
        /// Who knows.
        by: Witness,
    },
    /// The database's own note of the end cannot be read.
    UnreadableHead {
        /// Why.
        why: String,
    },
    /// The database's own note of the end, which moves with each entry, is behind them.
    HeadBehind {
        /// Where it says that the record ends.
        noted: u64,
        /// Where it ends.
        found: u64,
    },
    /// Its end is of another hash than its known end.
    OtherHead,
    /// An export ends without its summary, or goes on behind it.
    NoSummary,
    /// The summary of an export tells other numbers than there are.
    OtherSummary,
    /// The signed root over the entries up to here is another one.
    OtherRoot {
        /// What was signed.
        signed: AuditHash,
        /// What the entries give.
        found: AuditHash,
    },
    /// An older checkpoint stands behind a newer one.
    OlderCheckpoint {
        /// Entries of the newer one.
        newer: u64,
    },
    /// Two checkpoints over as many entries have other roots.
    TwoRoots,
    /// There are more of these than are listed.
    More {
        /// So many.
        count: u64,
    },
}

/// Who knows where a record ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Witness {
    /// A signed checkpoint.
    Checkpoint,
    /// The database's own note of the end.
    Head,
    /// The summary of an export.
    Summary,
}

impl Trouble {
    /// What it means, in a sentence.
    pub fn meaning(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "the entry was damaged, or overwritten by something else",
            Self::Altered => "somebody changed the entry after it was written",
            Self::Moved { .. } => "somebody swapped entries, or copied one over another",
            Self::Foreign { .. } => "somebody put an entry of another tenant here",
            Self::OutOfOrder { .. } => "somebody swapped or repeated entries",
            Self::Missing { .. } => "somebody deleted entries",
            Self::BrokenLink => "the entry before it was deleted, exchanged or written anew",
            Self::CutTail { .. } => "somebody deleted the last entries",
            Self::UnreadableHead { .. } => "the note was damaged, or overwritten by something else",
            Self::HeadBehind { .. } => {
                "somebody changed or deleted the note, or added entries beside it"
            }
            Self::OtherHead => "the last entry was exchanged or written anew",
            Self::NoSummary => "the export was cut off or added to",
            Self::OtherSummary => "the export was added to, or its summary was changed",
            Self::OtherRoot { .. } => {
                "entries were written anew after the checkpoint was signed, with hashes that fit"
            }
            Self::OlderCheckpoint { .. } => {
                "somebody put an old checkpoint in the place of a newer one: a record never shrinks"
            }
            Self::TwoRoots => "two different records were signed as the same one",
            Self::More { .. } => "the record is damaged in many places",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { why } => write!(f, "the entry cannot be read: {why}"),
            Self::Altered => f.write_str("the content has another hash than the entry"),
            Self::Moved { from } => write!(f, "this is entry {from}, in another place"),
            Self::Foreign { of } => write!(f, "this is an entry of {of}"),
            Self::OutOfOrder { after } => write!(f, "it stands behind entry {after}"),
            Self::Missing { first, last } => write!(f, "entries {first} to {last} are missing"),
            Self::BrokenLink => f.write_str("it names another hash than the entry before has"),
            Self::CutTail { known, found, by } => {
                let by = match by {
                    Witness::Checkpoint => "a signed checkpoint",
                    Witness::Head => "the database",
                    Witness::Summary => "the summary",
                };
                write!(f, "{by} knows {known} entries, there are {found}")
            }
            Self::UnreadableHead { why } => write!(f, "the note of the end cannot be read: {why}"),
            Self::HeadBehind { noted, found } => {
                write!(f, "the database knows {noted} entries, there are {found}")
            }
            Self::OtherHead => f.write_str("the last entry is not the one that is known"),
            Self::NoSummary => f.write_str("the summary is not the last line"),
            Self::OtherSummary => f.write_str("the summary tells other numbers"),
            Self::OtherRoot { signed, found } => {
                write!(f, "the signed root is {signed}, the entries give {found}")
            }
            Self::OlderCheckpoint { newer } => {
                write!(f, "this checkpoint stands behind one over {newer} entries")
            }
            Self::TwoRoots => f.write_str("there are two checkpoints over as many entries"),
            Self::More { count } => write!(f, "{count} more findings"),
        }
    }
}
