//! What a test tells the disk, and what the disk answers: one line of JSON each.

use serde::{Deserialize, Serialize};

pub use super::survival::Leaves;

/// How many writes are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Spell {
    /// One.
    Once,
    /// All, until the disk is healed.
    FromThenOn,
}

/// What the disk is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Order {
    Look,
    FlushAll,
    CutAfter { steps: u64, leaves: Leaves },
    Remount,
    Space { bytes: Option<u64> },
    RefuseWrites { after: u64, spell: Spell },
    FailFlush { after: u64, leaves: Leaves },
    Heal,
}

/// How the disk stands. Counts begin anew with every mount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskState {
    /// Writes of programs; not those by which the kernel saves mapped pages.
    pub writes: u64,
    /// Flushes of files: `fsync` and `fdatasync`.
    pub file_flushes: u64,
    /// Flushes of folders.
    pub folder_flushes: u64,
    /// Everything that changes the disk: writes, flushes, lengths, names.
    pub steps: u64,
    /// Writes refused for want of space.
    pub refused: u64,
    /// Flushes that failed on command.
    pub failed_flushes: u64,
    /// Bytes that are taken.
    pub used_bytes: u64,
    /// True once the power is gone: nothing is written any more.
    pub cut: bool,
}
