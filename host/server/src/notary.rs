//! Who signs the record of what people did, and where the checkpoints go.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tombolo_core::audit::Signs;
use tombolo_core::ports::checkpoints::Checkpoints;
use tombolo_egress::{CheckpointWebhook, HttpEgress};
use tombolo_engine::Notary;
use tombolo_vault::AuditKey;

use crate::checkpoint_file::CheckpointFile;
use crate::config::Config;
use crate::system::System;

/// The notary of this host. The first start makes its key.
///
/// # Errors
/// If the key or the file of checkpoints cannot be read or made, or do not belong together.
pub fn notary(config: &Config, egress: impl FnOnce() -> Result<HttpEgress>) -> Result<Notary> {
    let (key, file) = (config.audit.key_file(&config.data), config.audit.file(&config.data));
    let signed_before = std::fs::metadata(&file).is_ok_and(|file| file.len() > 0);
    ensure!(
        key.exists() || !signed_before,
        "the key that signs the audit is gone: there is no {}, and {} was signed with it\n  help: put \
         that key back; only if it is lost for good, move that file to where it is kept",
        key.display(),
        file.display(),
    );
    let signer = AuditKey::load_or_create(&key, &System).context("the key that signs the audit")?;
    let (file, known) = CheckpointFile::open(&file, &signer.public_key())?;
    let mut places: Vec<(&'static str, Arc<dyn Checkpoints>)> = vec![("file", Arc::new(file))];
    if let Some(url) = &config.audit.checkpoint_url {
        let webhook = CheckpointWebhook::new(Arc::new(egress()?), url);
        places.push(("webhook", Arc::new(webhook.context("audit.checkpoint_url")?)));
    }
    Ok(Notary { signer: Arc::new(signer), places, known })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn no_egress() -> Result<HttpEgress> {
        anyhow::bail!("nothing is sent")
    }

    #[test]
    fn the_first_start_makes_a_key_and_none_is_made_in_the_place_of_a_lost_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data.dir = folder.path().to_owned();
        let first = notary(&config, no_egress).unwrap().signer.public_key();
        assert_eq!(notary(&config, no_egress).unwrap().signer.public_key(), first);

        let (key, file) = (config.audit.key_file(&config.data), config.audit.file(&config.data));
        fs::write(&file, "a line\n").unwrap();
        fs::remove_file(&key).unwrap();
        let lost = notary(&config, no_egress).err().unwrap();
        assert!(lost.to_string().contains("is gone"), "{lost}");
        assert!(!key.exists());
    }
}
