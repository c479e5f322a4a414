//! `tombolo plugin build`: Cargo, with the target and the profile that plugins want.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use clap::Args;
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;
use tombolo_core::id::ContentHash;

use super::terminal::{Colour, Terminal};
use super::{Ending, measure};

/// What components are compiled for.
const TARGET: &str = "wasm32-wasip2";

/// The profile that a workspace may have for its plugins: small, and fast to load.
const PROFILE: &str = "plugin";

#[derive(Args)]
pub(super) struct BuildArgs {
    /// Folder of a Cargo package or workspace.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Use Cargo's release profile, even if the workspace has a profile `plugin`.
    #[arg(long)]
    release: bool,
    /// Compile quickly instead of small.
    #[arg(long, conflicts_with = "release")]
    debug: bool,
}

/// Builds, and says where the components are.
pub(super) async fn run(args: &BuildArgs, terminal: &mut Terminal) -> anyhow::Result<Ending> {
    let metadata = metadata(&args.path).await?;
    let plugins = metadata.plugins(&args.path);
    if plugins.is_empty() {
        bail!(
            "{} has no plugin: a plugin's Cargo.toml says `[lib] crate-type = [\"cdylib\"]`",
            args.path.display()
        );
    }
    require_target(&args.path).await?;
    let profile = match (args.release, args.debug) {
        (true, _) => "release",
        (_, true) => "dev",
        _ if has_profile(&metadata.workspace_root) => PROFILE,
        _ => "release",
    };
    let built = build(&args.path, &plugins, profile).await?;
    let mut documents = Vec::new();
    for path in built {
        let bytes =
            std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let (size, hash) = (bytes.len() as u64, ContentHash::of(&bytes));
        if terminal.json {
            documents.push(json!({"path": path, "size": size, "hash": hash}));
        } else {
            let sign = terminal.style.paint(Colour::Green, "✓");
            terminal.print(&format!(
                "{sign} {}   {}   {hash}",
                path.display(),
                measure::bytes(size)
            ))?;
        }
    }
    if terminal.json {
        terminal.print_json(&documents)?;
    }
    Ok(Ending::Fine)
}

fn cargo(path: &Path) -> Command {
    // Cargo sets the variable for what it runs itself, `cargo run` among it.
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(path).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// What `cargo metadata` says, as far as it matters here.
#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

impl Target {
    fn is_component(&self) -> bool {
        self.crate_types.iter().any(|kind| kind == "cdylib")
    }
}

impl Metadata {
    /// The plugin in that folder, or all of a workspace that has no package there.
    fn plugins(&self, path: &Path) -> Vec<String> {
        let here = path.join("Cargo.toml").canonicalize().ok();
        let is_here = |package: &&Package| Some(&package.manifest_path) == here.as_ref();
        let alone = self.packages.iter().any(|package| is_here(&package));
        self.packages
            .iter()
            .filter(|package| !alone || is_here(package))
            .filter(|package| package.targets.iter().any(Target::is_component))
            .map(|package| package.name.clone())
            .collect()
    }
}

async fn metadata(path: &Path) -> anyhow::Result<Metadata> {
    let output = cargo(path)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .stderr(Stdio::inherit())
        .output()
        .await
        .with_context(|| format!("cargo cannot be run in {}", path.display()))?;
    if !output.status.success() {
        bail!("{} is no Cargo package or workspace", path.display());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Refuses early, with the command that helps; the compiler's own words are about a missing `core`.
async fn require_target(path: &Path) -> anyhow::Result<()> {
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(path)
        .stdin(Stdio::null())
        .output()
        .await
        .context("rustc cannot be run; https://rustup.rs installs Rust")?;
    let folder = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    bail!("the target {TARGET} is not installed; add it with `rustup target add {TARGET}`")
}

fn has_profile(workspace: &Path) -> bool {
    let text = std::fs::read_to_string(workspace.join("Cargo.toml")).unwrap_or_default();
    let Ok(file) = toml::de::DeTable::parse(&text) else { return false };
    let profiles = file.get_ref().get("profile").and_then(|profiles| profiles.get_ref().as_table());
    profiles.is_some_and(|profiles| profiles.contains_key(PROFILE))
}

/// A message of `cargo build`: <https://doc.rust-lang.org/cargo/reference/external-tools.html>.
#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

impl Message {
    /// The component that it announces.
    fn component(self) -> Option<PathBuf> {
        let library = self.target?.is_component();
        let is_wasm = |path: &PathBuf| path.extension().is_some_and(|end| end == "wasm");
        (library && self.reason == "compiler-artifact")
            .then(|| self.filenames.into_iter().find(is_wasm))
            .flatten()
    }
}

/// Builds, with Cargo's progress and diagnostics on standard error, and gives the components.
async fn build(path: &Path, plugins: &[String], profile: &str) -> anyhow::Result<Vec<PathBuf>> {
    let output = cargo(path)
        .args(["build", "--target", TARGET, "--profile", profile])
        .args(plugins.iter().flat_map(|name| ["--package", name]))
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .await
        .context("cargo cannot be run")?;
    if !output.status.success() {
        bail!("the plugin does not compile");
    }
    Ok(components(&String::from_utf8_lossy(&output.stdout)))
}

fn components(messages: &str) -> Vec<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok()?.component())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Metadata, components, has_profile};
    use serde_json::json;
    use std::path::PathBuf;

    #[test]
    fn components_are_read_from_what_cargo_says() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"crate_types":["rlib"]},"filenames":["/t/libserde.rlib"]}
{"reason":"compiler-artifact","target":{"crate_types":["cdylib","rlib"]},"filenames":["/t/liba.rlib","/t/a.wasm"]}
{"reason":"build-script-executed","package_id":"x"}
warning: not JSON
{"reason":"build-finished","success":true}"#;
        assert_eq!(components(messages), [PathBuf::from("/t/a.wasm")]);
    }

    #[test]
    fn a_folder_with_a_package_means_that_one_and_a_workspace_all_its_plugins() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let package = |name: &str, kind: &str| {
            std::fs::create_dir(root.join(name)).unwrap();
            std::fs::write(root.join(name).join("Cargo.toml"), "").unwrap();
            let manifest = root.join(name).join("Cargo.toml");
            json!({"name": name, "manifest_path": manifest, "targets": [{"crate_types": [kind]}]})
        };
        let packages = [package("a", "cdylib"), package("b", "cdylib"), package("host", "bin")];
        let metadata: Metadata =
            serde_json::from_value(json!({"workspace_root": root, "packages": packages})).unwrap();
        std::fs::write(root.join("Cargo.toml"), "[workspace]").unwrap();
        assert_eq!(metadata.plugins(&root), ["a", "b"]);
        assert_eq!(metadata.plugins(&root.join("b")), ["b"]);
        assert!(metadata.plugins(&root.join("host")).is_empty());
    }

    #[test]
    fn the_profile_is_used_where_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!has_profile(folder.path()));
        std::fs::write(folder.path().join("Cargo.toml"), "[profile.plugin]\nopt-level = 3\n")
            .unwrap();
        assert!(has_profile(folder.path()));
        std::fs::write(folder.path().join("Cargo.toml"), "[profile.release]\n").unwrap();
        assert!(!has_profile(folder.path()));
    }
}
