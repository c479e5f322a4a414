//! tombolo-vault
