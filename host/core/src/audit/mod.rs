//! What people did, on record: the entries of a tenant are a chain of hashes, the hashes are the
//! leaves of a Merkle tree (RFC 9162), and the tree's roots are signed and kept elsewhere.
//!
//! Owns how an entry is written to the byte, and what is wrong with a record that was tampered with.
//! Never reads or writes one: stores and exports do.

mod canonical;
mod checkpoint;
mod describe;
mod detail;
mod entry;
mod export;
mod export_walk;
mod finding;
mod hash;
mod history;
mod key;
mod merkle;
mod record;
mod signing;
mod trail;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod trail_tests;

pub use canonical::{MAX_SAFE_INTEGER, NotCanonical, canonical, recordable};
pub use checkpoint::{BadCheckpoint, Checkpoint, SignedCheckpoint};
pub use describe::{
    ConnectionBefore, VersionShape, connection_put, runs_started, workflow_applied,
};
pub use entry::{Actor, AuditEntry};
pub use export::{ExportLine, Summary};
pub use export_walk::{ExportWalk, NoExport};
pub use finding::{Finding, Trouble, Witness};
pub use hash::AuditHash;
pub use history::CheckpointHistory;
pub use key::{BadNote, PublicKey, Signs};
pub use merkle::Tree;
pub use record::{Chained, FORMAT, Head, Record, Stored};
pub use signing::{CheckpointRule, Contradiction, Moment, Signing};
pub use trail::{Trail, Verdict};
