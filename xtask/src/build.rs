//! What is built, and how. All commands build the same way, so that nothing is compiled twice.

use std::path::Path;

use anyhow::{Context, ensure};

use crate::place::{PLUGIN_PROFILE, PLUGIN_TARGET, Place};
use crate::program::{cargo, output, run};
use crate::setup;

/// The JSON Schema of workflow files, generated from the types of `tombolo-core`.
pub const WORKFLOW_SCHEMA: &str = "workflows/workflow.schema.json";

/// Folders with a crate in each that is compiled to a component, and what its name begins with.
/// Guests are what the tests of the sandbox run.
const COMPONENTS: [(&str, &str); 2] = [("plugins", "plugin"), ("host/sandbox/guests", "guest")];

/// The plugin that is part of the host: it evaluates expressions, and nobody adds it.
const EVALUATOR: &str = "jq";

/// The names of all plugins that can be added to a server, in alphabetical order.
pub fn plugin_names(place: &Place) -> anyhow::Result<Vec<String>> {
    let mut names = crates_in(place, "plugins")?;
    names.retain(|name| name != EVALUATOR);
    Ok(names)
}

fn crates_in(place: &Place, folder: &str) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    let entries = std::fs::read_dir(place.root().join(folder));
    for entry in entries.with_context(|| format!("cannot read the folder {folder}"))? {
        let path = entry?.path();
        if path.join("Cargo.toml").is_file() {
            names.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// The names of all crates that are compiled to components.
fn components(place: &Place) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for (folder, kind) in COMPONENTS {
        let crates = crates_in(place, folder)?;
        names.extend(crates.iter().map(|name| format!("{kind}-{name}")));
    }
    Ok(names)
}

/// Arguments that select all components, for a cargo command that compiles them.
pub fn component_selection(place: &Place) -> anyhow::Result<Vec<String>> {
    let mut arguments = vec![
        "--target-dir".to_owned(),
        place.plugin_target().display().to_string(),
        "--target".to_owned(),
        PLUGIN_TARGET.to_owned(),
        "--profile".to_owned(),
        PLUGIN_PROFILE.to_owned(),
    ];
    for crate_name in components(place)? {
        arguments.extend(["-p".to_owned(), crate_name]);
    }
    Ok(arguments)
}

/// Compiles all plugins to components, and what the tests of the sandbox run.
pub fn plugins(place: &Place) -> anyhow::Result<()> {
    setup::run(place)?;
    run(cargo(place, ["build", "--lib"]).args(component_selection(place)?))?;
    for crate_name in components(place)? {
        let component = place.component(&crate_name);
        ensure!(
            component.is_file(),
            "cargo built {crate_name}, and {} is not there",
            place.shown(&component)
        );
    }
    Ok(())
}

/// Builds all programs of the house; needs the plugins.
pub fn programs(place: &Place) -> anyhow::Result<()> {
    run(&mut cargo(place, ["build", "--release", "--workspace", "--bins"]))
}

/// Writes the generated files.
pub fn generate(place: &Place) -> anyhow::Result<()> {
    plugins(place)?;
    programs(place)?;
    let schema = workflow_schema(place)?;
    let path = place.root().join(WORKFLOW_SCHEMA);
    std::fs::write(&path, schema).with_context(|| format!("cannot write {WORKFLOW_SCHEMA}"))?;
    eprintln!("wrote {WORKFLOW_SCHEMA}");
    Ok(())
}

/// Says which generated files are not what the built programs generate.
pub fn check_generated(place: &Place) -> anyhow::Result<()> {
    let kept = read(&place.root().join(WORKFLOW_SCHEMA))?;
    ensure!(
        kept == workflow_schema(place)?,
        "{WORKFLOW_SCHEMA} is not what the code says: run `cargo xtask generate` and commit it"
    );
    Ok(())
}

fn workflow_schema(place: &Place) -> anyhow::Result<String> {
    let mut tombolo = std::process::Command::new(place.binary("tombolo"));
    output(tombolo.args(["workflow", "schema"]).current_dir(place.root()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
