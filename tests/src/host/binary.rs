//! Where the binary and the components are. Builds nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// The plugins of the house, as their components are named.
pub(super) const PLUGINS: [&str; 5] = ["data", "switch", "http", "hubspot", "asana"];

/// The binary `tombolo` of the same build as the running test.
pub(super) fn tombolo() -> anyhow::Result<PathBuf> {
    let path = profile()?.join("tombolo");
    ensure!(
        path.exists(),
        "{} is missing: cargo build --release -p tombolo-server",
        path.display()
    );
    Ok(path)
}

/// The component of a plugin of the house.
///
/// # Errors
/// If it is not built.
pub fn plugin(name: &str) -> anyhow::Result<PathBuf> {
    component(&format!("plugin_{name}"))
}

/// The component of a guest of the sandbox's tests.
///
/// # Errors
/// If it is not built.
pub fn guest(name: &str) -> anyhow::Result<PathBuf> {
    component(&format!("guest_{name}"))
}

fn component(name: &str) -> anyhow::Result<PathBuf> {
    let path = target()?.join(format!("wasm32-wasip2/plugin/{name}.wasm"));
    ensure!(path.exists(), "{} is missing: cargo xtask plugins", path.display());
    Ok(path)
}

/// The target folder.
pub(super) fn target() -> anyhow::Result<PathBuf> {
    Ok(profile()?.parent().context("the profile's folder has no parent")?.to_owned())
}

/// The folder of the profile: the test itself lies in `deps` below it.
fn profile() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("the path of this test is not known")?;
    let folder = own.ancestors().nth(2).map(Path::to_owned);
    folder.context("this test lies in no target folder")
}
