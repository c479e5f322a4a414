//! Where a master key may come from, and what is refused as one.

use std::fs;

use tombolo_core::audit::Signs;
use tombolo_vault::{AuditKey, KeyError, MasterKey, OsRandomness};

const HEX: &str = "fbffbe02030405060708090a0b0c0d0e0f101112131415161718191a1b1c1dff";

#[test]
fn every_spelling_is_the_same_key() {
    let id = MasterKey::parse(HEX).unwrap().id();
    let spellings = [
        HEX.to_uppercase(),
        format!("  {HEX}\n"),
        "+/++AgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHf8=".to_owned(),
        "+/++AgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHf8".to_owned(),
        "-_--AgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHf8=".to_owned(),
    ];
    for text in spellings {
        assert_eq!(MasterKey::parse(&text).unwrap().id(), id, "{text}");
    }
}

#[test]
fn what_is_no_key_is_refused_and_not_repeated() {
    let long = format!("{HEX}00");
    for text in ["", "hunter2", &HEX[2..], long.as_str(), &HEX.replace('f', "g")] {
        let error = MasterKey::parse(text).unwrap_err();
        assert!(matches!(error, KeyError::NotAKey { .. }), "{text}: {error}");
        assert!(text.is_empty() || !format!("{error} {error:?}").contains(text));
    }
    let zeros = MasterKey::parse(&"0".repeat(64)).unwrap_err();
    assert!(matches!(zeros, KeyError::Placeholder { .. }));
}

#[test]
fn a_created_key_file_loads_and_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let created = MasterKey::create(&path, &OsRandomness).unwrap();
    assert_eq!(MasterKey::load(&path).unwrap().id(), created.id());

    let again = MasterKey::create(&path, &OsRandomness).unwrap_err();
    assert!(matches!(again, KeyError::File { doing: "created", .. }), "{again}");
    assert_eq!(MasterKey::load(&path).unwrap().id(), created.id());
}

#[test]
fn a_key_that_signs_is_made_once_and_not_the_master_key_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.key");
    assert!(AuditKey::load(&path).is_err());
    let made = AuditKey::load_or_create(&path, &OsRandomness).unwrap();
    let loaded = AuditKey::load_or_create(&path, &OsRandomness).unwrap();
    assert_eq!(made.public_key(), loaded.public_key());
    assert_eq!(made.sign(b"x"), AuditKey::load(&path).unwrap().sign(b"x"));

    fs::write(&path, HEX).unwrap();
    let known = AuditKey::load(&path).unwrap();
    // Part of the format: checkpoints are checked with it.
    let expected = "tombolo/audit+c67bb2ef+AWpGhJeBhCyUjpvv6eaKPSUeSQ3pgfLrDTriEZnwrTpm";
    assert_eq!(known.public_key().to_string(), expected);
    assert!(!format!("{known:?}").contains(HEX));
}

#[test]
fn a_missing_and_an_endless_key_file_end_in_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = MasterKey::load(&folder.path().join("none")).unwrap_err();
    assert!(error.to_string().contains("none"), "{error}");

    let path = folder.path().join("large");
    MasterKey::create(&path, &OsRandomness).unwrap();
    fs::write(&path, "0".repeat(1_000_000)).unwrap();
    assert!(matches!(MasterKey::load(&path), Err(KeyError::NotAKey { .. })));
}

#[cfg(unix)]
#[test]
fn a_key_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    MasterKey::create(&path, &OsRandomness).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = MasterKey::load(&path).unwrap_err();
    assert!(matches!(error, KeyError::Exposed { mode: 0o640, .. }), "{error}");
    assert!(error.to_string().contains("chmod 600"), "{error}");
}
