//! Where things are: the root of the repository, what is built, and where the demo lives.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// The target that plugins are compiled for.
pub const PLUGIN_TARGET: &str = "wasm32-wasip2";

/// The cargo profile that plugins are compiled with.
pub const PLUGIN_PROFILE: &str = "plugin";

/// The folders that everything else is found from.
#[derive(Debug, Clone)]
pub struct Place {
    root: PathBuf,
    target: PathBuf,
}

impl Place {
    /// Finds the repository that this program belongs to.
    pub fn find() -> anyhow::Result<Self> {
        // Cargo sets it for every program that it runs.
        let own = std::env::var_os("CARGO_MANIFEST_DIR")
            .context("start this as `cargo xtask`: cargo tells it where the repository is")?;
        let root =
            Path::new(&own).parent().context("the folder of xtask has no parent")?.to_owned();
        ensure!(
            root.join("Cargo.lock").is_file(),
            "{} is not the root of the repository: it has no Cargo.lock",
            root.display()
        );
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => root.join(dir),
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// The root of the repository.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A program of the release build.
    pub fn binary(&self, name: &str) -> PathBuf {
        let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        self.target.join("release").join(file)
    }

    /// Where plugins are built, wherever other things are: `host/server` embeds one of them, and its
    /// build script knows this folder only.
    pub fn plugin_target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// The component that a crate is compiled to.
    pub fn component(&self, crate_name: &str) -> PathBuf {
        let file = format!("{}.wasm", crate_name.replace('-', "_"));
        self.plugin_target().join(PLUGIN_TARGET).join(PLUGIN_PROFILE).join(file)
    }

    /// Where cargo builds.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// A path as people read it: from the root if it is below it.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}
