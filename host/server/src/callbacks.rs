//! Addresses that let one node of one run go on. Nobody can guess one: it ends in a proof that only
//! this host can make.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::callback::CallbackAddresses;
use tombolo_vault::SealingVault;
use zeroize::Zeroizing;

/// What the keys are derived for.
const LABEL: &str = "callback proofs v1";

/// Bytes of a proof: 128 bits cannot be guessed.
const PROOF_BYTES: usize = 16;

/// Makes addresses below the public URL, and checks them.
pub struct Addresses {
    public_url: String,
    /// The current key first; what an older one has proved still holds.
    keys: Vec<Zeroizing<[u8; 32]>>,
}

impl Addresses {
    /// With keys of the vault; `public_url` has no slash at its end.
    pub fn new(public_url: String, vault: &SealingVault) -> Self {
        Self { public_url, keys: vault.derive(LABEL) }
    }
}

impl CallbackAddresses for Addresses {
    fn address(&self, tenant: TenantId, run: RunId, node: &str) -> String {
        let proof = self.keys.first().map(|key| proof(key, tenant, run, node)).unwrap_or_default();
        let proof = URL_SAFE_NO_PAD.encode(proof);
        format!("{}/callbacks/{tenant}/{run}/{node}/{proof}", self.public_url)
    }

    fn proves(&self, tenant: TenantId, run: RunId, node: &str, given: &str) -> bool {
        let given = URL_SAFE_NO_PAD.decode(given).unwrap_or_default();
        // Every key is asked, so that the time tells nothing.
        let proved = self.keys.iter().map(|key| proof(key, tenant, run, node).ct_eq(&given));
        proved.fold(subtle::Choice::from(0), |one, other| one | other).into()
    }
}

/// The first bytes of HMAC-SHA-256 (RFC 2104) over tenant, run and node; the lengths of the first two
/// are fixed, so that no two nodes have the same text.
fn proof(key: &[u8; 32], tenant: TenantId, run: RunId, node: &str) -> [u8; PROOF_BYTES] {
    let mut tag = <Hmac<Sha256> as Mac>::new_from_slice(key)
        .unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
    tag.update(tenant.0.as_bytes());
    tag.update(run.0.as_bytes());
    tag.update(node.as_bytes());
    let mut proof = [0; PROOF_BYTES];
    proof.copy_from_slice(&tag.finalize().into_bytes()[..PROOF_BYTES]);
    proof
}

#[cfg(test)]
mod tests {
    use tombolo_core::ports::callback::CallbackAddresses;
    use uuid::Uuid;

    use super::*;
    use crate::keys;

    fn ids(tenant: u128, run: u128) -> (TenantId, RunId) {
        (TenantId(Uuid::from_u128(tenant)), RunId(Uuid::from_u128(run)))
    }

    fn addresses() -> Addresses {
        Addresses::new("https://t.example".to_owned(), &keys::throw_away().unwrap())
    }

    fn proof_in(address: &str) -> String {
        address.rsplit('/').next().unwrap().to_owned()
    }

    #[test]
    fn an_address_is_the_same_for_ever_and_proves_itself_only() {
        let addresses = addresses();
        let (tenant, run) = ids(1, 2);
        let address = addresses.address(tenant, run, "ask");
        assert_eq!(address, addresses.address(tenant, run, "ask"));
        assert!(address.starts_with(&format!("https://t.example/callbacks/{tenant}/{run}/ask/")));
        let proof = proof_in(&address);
        assert!(addresses.proves(tenant, run, "ask", &proof));
        let (other_tenant, other_run) = ids(3, 4);
        assert!(!addresses.proves(other_tenant, run, "ask", &proof));
        assert!(!addresses.proves(tenant, other_run, "ask", &proof));
        assert!(!addresses.proves(tenant, run, "asked", &proof));
        for wrong in ["", "AAAAAAAAAAAAAAAAAAAAAA", &proof[1..], "%%%"] {
            assert!(!addresses.proves(tenant, run, "ask", wrong), "{wrong}");
        }
    }

    #[test]
    fn another_hosts_proof_is_none() {
        let (tenant, run) = ids(1, 2);
        let proof = proof_in(&addresses().address(tenant, run, "ask"));
        assert!(!addresses().proves(tenant, run, "ask", &proof));
    }

    #[test]
    fn what_an_older_key_has_proved_still_holds() {
        let (tenant, run) = ids(1, 2);
        let before = addresses();
        let address = before.address(tenant, run, "ask");
        let mut keys = vec![Zeroizing::new([7; 32])];
        keys.extend(before.keys.clone());
        let after = Addresses { keys, ..before };
        assert!(after.proves(tenant, run, "ask", &proof_in(&address)));
        assert_ne!(after.address(tenant, run, "ask"), address);
    }
}
