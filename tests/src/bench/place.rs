//! Where things are: the built programs and components, and the folder to work in.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// The folders that a benchmark needs.
#[derive(Debug, Clone)]
pub struct Place {
    programs: PathBuf,
    components: PathBuf,
    work: PathBuf,
}

impl Place {
    /// Finds the programs beside this one, and the rest from the root of the repository, which is
    /// the working directory or above it.
    ///
    /// # Errors
    /// If there is no repository, or something is not built.
    pub fn find() -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("where is this program?")?;
        let programs = own.parent().context("this program has no folder")?;
        let here = std::env::current_dir()?;
        let root = here
            .ancestors()
            .find(|folder| folder.join("Cargo.lock").is_file())
            .context("start the benchmarks inside the repository")?;
        let place = Self {
            programs: programs.to_owned(),
            components: root.join("target/wasm32-wasip2/plugin"),
            work: root.join("target/bench"),
        };
        for name in ["tombolo", "limit", "sandbox-bench"] {
            let path = place.program(name);
            ensure!(
                path.is_file(),
                "{} is not built: start the benchmarks as `cargo xtask bench`",
                path.display()
            );
        }
        std::fs::create_dir_all(&place.work)?;
        Ok(place)
    }

    /// A program of the same build.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Where the components are.
    pub fn components(&self) -> &Path {
        &self.components
    }

    /// The components of all plugins, in the order of their names.
    ///
    /// # Errors
    /// If there are none.
    pub fn plugins(&self) -> anyhow::Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(&self.components)
            .with_context(|| format!("no components in {}", self.components.display()))?;
        let mut plugins: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with("plugin_") && name.ends_with(".wasm")
            })
            .collect();
        plugins.sort();
        ensure!(!plugins.is_empty(), "no plugin is built: run `cargo xtask plugins`");
        Ok(plugins)
    }

    /// The folder to work in, which is kept: the report and logs.
    pub fn work(&self) -> &Path {
        &self.work
    }
}
