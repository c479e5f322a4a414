//! What a sealed secret withstands: other places, changed bytes, other keys, curious eyes.

use proptest::prelude::*;
use tombolo_core::id::TenantId;
use tombolo_core::ports::vault::{SecretPlace, Vault, VaultError};
use tombolo_core::secret::{Sealed, Secret};
use tombolo_vault::{KeyError, MasterKey, Randomness, SealingVault};
use uuid::Uuid;

const KEY_A: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const KEY_B: &str = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000102030405060708090a0b0c0d0e0f";
const CANARY: &str = "canary-3f9d1c";

fn key(text: &str) -> MasterKey {
    MasterKey::parse(text).unwrap()
}

fn vault(current: &str, older: &[&str]) -> SealingVault {
    SealingVault::new(key(current), older.iter().map(|text| key(text)).collect()).unwrap()
}

fn tenant(number: u128) -> TenantId {
    TenantId(Uuid::from_u128(number))
}

fn place() -> SecretPlace<'static> {
    SecretPlace { tenant: tenant(1), connection: "hubspot", field: "bearer" }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

#[test]
fn opens_where_it_was_sealed() {
    let vault = vault(KEY_A, &[]);
    let sealed = vault.seal(place(), &secret(CANARY));
    assert_eq!(vault.open(place(), &sealed).unwrap().reveal(), CANARY.as_bytes());
    let empty = vault.seal(place(), &secret(""));
    assert_eq!(vault.open(place(), &empty).unwrap().reveal(), b"");
}

#[test]
fn opens_nowhere_else() {
    let vault = vault(KEY_A, &[]);
    let sealed = vault.seal(place(), &secret(CANARY));
    let elsewhere = [
        SecretPlace { tenant: tenant(2), ..place() },
        SecretPlace { connection: "asana", ..place() },
        SecretPlace { field: "signing", ..place() },
        // The same letters, divided differently.
        SecretPlace { connection: "hubspotb", field: "earer", ..place() },
        SecretPlace { connection: "hubspo", field: "tbearer", ..place() },
    ];
    for other in elsewhere {
        assert_eq!(vault.open(other, &sealed).unwrap_err(), VaultError::WrongPlace, "{other:?}");
    }
}

#[test]
fn every_flipped_bit_and_every_missing_byte_is_noticed() {
    let vault = vault(KEY_A, &[KEY_B]);
    let sealed = vault.seal(place(), &secret(CANARY));
    for bit in 0..sealed.0.len() * 8 {
        let mut changed = sealed.clone();
        changed.0[bit / 8] ^= 1 << (bit % 8);
        let error = vault.open(place(), &changed).unwrap_err();
        let expected = match bit / 8 {
            0..6 => matches!(error, VaultError::Malformed),
            6..14 => matches!(error, VaultError::UnknownKey { .. }),
            _ => error == VaultError::WrongPlace,
        };
        assert!(expected, "bit {bit}: {error}");
    }
    for length in 0..sealed.0.len() {
        let cut = Sealed(sealed.0[..length].to_vec());
        assert!(vault.open(place(), &cut).is_err(), "cut to {length} bytes");
    }
}

#[test]
fn an_older_key_opens_and_only_the_current_one_seals() {
    let before = vault(KEY_A, &[]);
    let old = before.seal(place(), &secret(CANARY));

    let rotated = vault(KEY_B, &[KEY_A]);
    assert_eq!(rotated.open(place(), &old).unwrap().reveal(), CANARY.as_bytes());
    assert_eq!(rotated.check(&old), Ok(key(KEY_A).id()));
    let new = rotated.seal(place(), &secret(CANARY));
    assert_eq!(rotated.check(&new), Ok(rotated.current_key()));
    assert_eq!(rotated.current_key(), key(KEY_B).id());

    let unknown = VaultError::UnknownKey { key_id: key(KEY_B).id().to_string() };
    assert_eq!(before.open(place(), &new).unwrap_err(), unknown);
    assert_eq!(before.check(&new), Err(unknown));
}

#[test]
fn the_same_key_twice_is_refused() {
    let error = SealingVault::new(key(KEY_A), vec![key(KEY_B), key(KEY_A)]).unwrap_err();
    assert!(matches!(error, KeyError::Twice(id) if id == key(KEY_A).id()));
}

#[test]
fn nothing_shows_in_debug() {
    let vault = vault(KEY_A, &[KEY_B]);
    let sealed = vault.seal(place(), &secret(CANARY));
    let shown = format!("{vault:?} {sealed:?} {:?} {:?}", secret(CANARY), key(KEY_A));
    assert!(!shown.contains(CANARY), "{shown}");
    assert!(!shown.contains("0102030405"), "{shown}");
    assert!(shown.contains(&key(KEY_B).id().to_string()), "key ids are public: {shown}");
}

/// Always the same bytes, so that the format can be pinned.
struct Fixed;

impl Randomness for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// What is stored today has to open in every later version.
#[test]
fn the_stored_format_stays() {
    let vault = SealingVault::with_randomness(key(KEY_A), vec![], Box::new(Fixed)).unwrap();
    let sealed = vault.seal(place(), &secret("hello"));
    assert_eq!(hex(&sealed.0), PINNED.concat());
}

/// Magic, version and algorithm; key id; nonce; ciphertext and tag. Computed by another
/// implementation (RFC 8439, draft-irtf-cfrg-xchacha-03).
const PINNED: [&str; 4] = [
    "544d42530101",
    "465ddd0100ce39fe",
    "070707070707070707070707070707070707070707070707",
    "c97f439e2de62e01dd63af971820c7e9e8dd531b4d",
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

proptest! {
    #[test]
    fn any_secret_at_any_place_round_trips_and_stays_there(
        plain in proptest::collection::vec(any::<u8>(), 0..2_000),
        owner in any::<u128>(),
        connection in ".{0,40}",
        field in ".{0,20}",
        other in ".{0,40}",
    ) {
        let vault = vault(KEY_A, &[]);
        let home = SecretPlace { tenant: tenant(owner), connection: &connection, field: &field };
        let sealed = vault.seal(home, &Secret::new(plain.clone()));
        let opened = vault.open(home, &sealed).unwrap();
        prop_assert_eq!(opened.reveal(), plain.as_slice());
        if other != connection {
            let away = SecretPlace { connection: &other, ..home };
            prop_assert_eq!(vault.open(away, &sealed).unwrap_err(), VaultError::WrongPlace);
        }
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(vault(KEY_A, &[]).open(place(), &Sealed(bytes)).is_err());
    }
}

#[test]
fn derived_keys_differ_by_label_and_master_key_and_outlive_a_rotation() {
    let before = vault(KEY_A, &[]);
    let [old] = &before.derive("proofs")[..] else { panic!("one master key, one derived key") };
    assert_eq!(vault(KEY_A, &[]).derive("proofs")[0], *old, "the same for ever");
    assert_ne!(before.derive("proof")[0], *old);

    let after = vault(KEY_B, &[KEY_A]).derive("proofs");
    assert_eq!(after.len(), 2);
    assert_ne!(after[0], *old, "the current master key's comes first");
    assert_eq!(after[1], *old);
}
