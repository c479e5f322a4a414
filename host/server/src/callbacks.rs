//! The addresses of `callback` and `approval` nodes: what nobody can guess is a proof made with a key
//! that comes from the vault's. Nothing is stored, so nothing is looked up.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::callback::CallbackAddresses;
use tombolo_vault::SealingVault;
use zeroize::Zeroizing;

/// Names the keys. Another version of what a proof is made of takes another label.
const LABEL: &str = "callback proofs v1";

/// 128 bits of the code: 22 characters of base64url.
const PROOF_BYTES: usize = 16;

/// Addresses below one public URL.
pub struct Addresses {
    public_url: String,
    /// The first makes proofs; the others, of older master keys, still check theirs.
    keys: Vec<Zeroizing<[u8; 32]>>,
}

impl Addresses {
    /// `public_url` is how others reach this host, without a slash at the end.
    pub fn new(public_url: String, vault: &SealingVault) -> Self {
        Self { public_url, keys: vault.derive(LABEL) }
    }
}

impl CallbackAddresses for Addresses {
    fn address(&self, tenant: TenantId, run: RunId, node: &str) -> String {
        // A vault has at least one key.
        let proof = self.keys.first().map(|key| prove(key, tenant, run, node)).unwrap_or_default();
        let proof = URL_SAFE_NO_PAD.encode(proof);
        // The name of a node is made of lower-case letters, digits and `_`.
        format!("{}/callbacks/{tenant}/{run}/{node}/{proof}", self.public_url)
    }

    fn proves(&self, tenant: TenantId, run: RunId, node: &str, proof: &str) -> bool {
        let decoded = URL_SAFE_NO_PAD.decode(proof).ok();
        let given = decoded.and_then(|bytes| <[u8; PROOF_BYTES]>::try_from(bytes).ok());
        let well_formed = Choice::from(u8::from(given.is_some()));
        let given = given.unwrap_or_default();
        // Every key is tried, whichever fits.
        let fits = self
            .keys
            .iter()
            .fold(Choice::from(0), |fits, key| fits | prove(key, tenant, run, node).ct_eq(&given));
        (fits & well_formed).into()
    }
}

/// HMAC-SHA-256 (RFC 2104) over the parts, each with its length before it, cut to 128 bits.
fn prove(key: &[u8; 32], tenant: TenantId, run: RunId, node: &str) -> [u8; PROOF_BYTES] {
    let mut code = <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes any key");
    for part in [tenant.0.as_bytes().as_slice(), run.0.as_bytes(), node.as_bytes()] {
        code.update(&(part.len() as u64).to_be_bytes());
        code.update(part);
    }
    let code = code.finalize().into_bytes();
    let mut proof = [0; PROOF_BYTES];
    proof.copy_from_slice(&code[..PROOF_BYTES]);
    proof
}

#[cfg(test)]
mod tests {
    use tombolo_core::id::{RunId, TenantId};
    use tombolo_core::ports::callback::CallbackAddresses;
    use tombolo_vault::{MasterKey, SealingVault};
    use uuid::Uuid;

    use super::Addresses;

    const KEY_A: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const KEY_B: &str = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000102030405060708090a0b0c0d0e0f";

    fn addresses(current: &str, older: &[&str]) -> Addresses {
        let key = |text: &str| MasterKey::parse(text).unwrap();
        let vault = SealingVault::new(key(current), older.iter().map(|text| key(text)).collect());
        Addresses::new("https://t.example".to_owned(), &vault.unwrap())
    }

    fn tenant(number: u128) -> TenantId {
        TenantId(Uuid::from_u128(number))
    }

    fn run(number: u128) -> RunId {
        RunId(Uuid::from_u128(number))
    }

    fn proof(address: &str) -> &str {
        address.rsplit('/').next().unwrap()
    }

    #[test]
    fn the_address_of_a_node_is_the_same_for_ever() {
        let address = addresses(KEY_A, &[]).address(tenant(1), run(2), "ask");
        assert_eq!(
            address,
            "https://t.example/callbacks/ten_00000000000000000000000000000001/\
             run_00000000000000000000000000000002/ask/gqqMxKY4TlL0z9jgm2ODQw"
        );
        assert_eq!(addresses(KEY_A, &[]).address(tenant(1), run(2), "ask"), address);
    }

    #[test]
    fn a_proof_holds_for_its_node_of_its_run_of_its_tenant_only() {
        let ours = addresses(KEY_A, &[]);
        let address = ours.address(tenant(1), run(2), "ask");
        let proof = proof(&address);
        assert!(ours.proves(tenant(1), run(2), "ask", proof));
        for (tenant, run, node) in [
            (tenant(3), run(2), "ask"),
            (tenant(2), run(1), "ask"),
            (tenant(1), run(3), "ask"),
            (tenant(1), run(2), "asks"),
            (tenant(1), run(2), ""),
        ] {
            assert!(!ours.proves(tenant, run, node, proof), "{tenant} {run} {node}");
        }
        assert!(!addresses(KEY_B, &[]).proves(tenant(1), run(2), "ask", proof));
    }

    #[test]
    fn what_is_no_proof_is_none() {
        let ours = addresses(KEY_A, &[]);
        let address = ours.address(tenant(1), run(2), "ask");
        let proof = proof(&address);
        assert_eq!(proof.len(), 22, "128 bits");
        let longer = format!("{proof}A");
        let zeros = "A".repeat(22);
        for wrong in ["", "?", &proof[..21], &longer, &zeros, &proof.to_lowercase()] {
            assert!(!ours.proves(tenant(1), run(2), "ask", wrong), "{wrong}");
        }
        for at in 0..22 {
            let mut letters: Vec<char> = proof.chars().collect();
            letters[at] = if letters[at] == 'Q' { 'g' } else { 'Q' };
            let wrong: String = letters.into_iter().collect();
            assert!(!ours.proves(tenant(1), run(2), "ask", &wrong), "{wrong}");
        }
    }

    #[test]
    fn a_proof_outlives_the_rotation_of_the_master_key() {
        let (before, after) = (addresses(KEY_A, &[]), addresses(KEY_B, &[KEY_A]));
        let (old, new) =
            (before.address(tenant(1), run(2), "ask"), after.address(tenant(1), run(2), "ask"));
        assert_ne!(old, new, "new ones are made with the new key");
        assert!(after.proves(tenant(1), run(2), "ask", proof(&old)));
        assert!(after.proves(tenant(1), run(2), "ask", proof(&new)));
        assert!(!before.proves(tenant(1), run(2), "ask", proof(&new)));
    }
}
