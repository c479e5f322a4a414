//! The data folder that hosts start with: a first start with all plugins added. Compiling them takes
//! seconds, so it is done once for each build of the binary and kept below the target folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::{Host, HostOptions, binary};

static TEMPLATE: OnceCell<PathBuf> = OnceCell::const_new();

/// Makes `data` a copy of the template.
pub(super) async fn copy_to(data: &Path) -> anyhow::Result<()> {
    let template = TEMPLATE.get_or_try_init(make).await?;
    copy(template, data)
}

/// Makes `data` a folder that has nothing but what was compiled.
pub(super) async fn copy_compiled_to(data: &Path) -> anyhow::Result<()> {
    const COMPILED: &str = "components";
    let template = TEMPLATE.get_or_try_init(make).await?;
    fs::create_dir_all(data)?;
    fs::set_permissions(data, fs::Permissions::from_mode(0o700))?;
    copy(&template.join(COMPILED), &data.join(COMPILED))
}

async fn make() -> anyhow::Result<PathBuf> {
    let all = binary::target()?.join("tmp/end-to-end");
    let folder = all.join(fingerprint()?);
    if folder.exists() {
        return Ok(folder);
    }
    // Templates of older builds are of no use.
    if all.exists() {
        fs::remove_dir_all(&all)?;
    }
    fs::create_dir_all(&all)?;
    let place = tempfile::tempdir_in(&all)?;
    // This one host is beside the others that are counted.
    let permit = std::sync::Arc::new(tokio::sync::Semaphore::new(1)).acquire_owned().await?;
    let host = Host::start_in(place, HostOptions::new().first_start(), permit).await?;
    host.add_plugins().await?;
    host.stop().await?;
    match fs::rename(host.data(), &folder) {
        // Another test process was faster.
        Err(_) if folder.exists() => {}
        renamed => renamed.context("the template cannot be moved to its place")?,
    }
    Ok(folder)
}

/// Changes with the binary and the components.
fn fingerprint() -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    hash.update(fs::read(binary::tombolo()?)?);
    for name in binary::PLUGINS {
        hash.update(fs::read(binary::plugin(name)?)?);
    }
    Ok(hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir(to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
