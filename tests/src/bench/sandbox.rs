//! One call into the sandbox, measured by a program of its own: this one does not link wasmtime.

use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::{Map, Value};

use super::figures::Figures;
use super::place::Place;
use super::settings::Settings;

/// Runs the program and takes its figures over.
///
/// # Errors
/// If it fails.
pub fn measure(place: &Place, settings: &Settings) -> anyhow::Result<Figures> {
    let mut command = Command::new(place.program("sandbox-bench"));
    command
        .arg("--components")
        .arg(place.components())
        .arg("--calls")
        .arg(settings.sandbox_calls.to_string());
    let output = command.output().context("cannot start sandbox-bench")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "sandbox-bench failed: {error}");
    let told: Map<String, Value> = serde_json::from_slice(&output.stdout)?;
    let mut figures = Figures::default();
    for (name, value) in told {
        figures.set(name, value.as_f64().context("a figure is no number")?);
    }
    Ok(figures)
}
