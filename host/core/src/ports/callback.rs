//! The port of callback addresses: how somebody outside lets one node of one run go on.

use crate::id::{RunId, TenantId};

/// Makes and checks addresses that nobody can guess. The same node of the same run has the same
/// address for ever, so that it can be sent before the node waits.
pub trait CallbackAddresses: Send + Sync {
    /// The address: `https://host/callbacks/<tenant>/<run>/<node>/<proof>`.
    fn address(&self, tenant: TenantId, run: RunId, node: &str) -> String;

    /// True if that is the proof in the node's address. Takes the same time for every wrong proof.
    fn proves(&self, tenant: TenantId, run: RunId, node: &str, proof: &str) -> bool;
}
