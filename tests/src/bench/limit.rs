//! The yardstick: a bare durable write of as many rows and bytes as a run of a workflow.

use std::process::Command;
use std::sync::Arc;

use http::StatusCode;

use super::figures::Figures;
use super::load::{self, Pace, Plan, Target};
use super::payload::{Payloads, Size};
use super::place::Place;
use super::process::Process;
use super::settings::Settings;

/// What is written for each request, by how many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind {
    /// Rows of steps, beside those of event and run.
    pub steps: u32,
    pub size: Size,
    pub connections: usize,
}

/// Measures one kind.
///
/// # Errors
/// If the program does not start, or a write fails.
pub async fn measure(place: &Place, settings: &Settings, kind: Kind) -> anyhow::Result<Figures> {
    let folder = place.work().join("limit");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let mut command = Command::new(place.program("limit"));
    command
        .arg("--database")
        .arg(folder.join("limit.db"))
        .arg("--steps")
        .arg(kind.steps.to_string());
    let process = Process::start(command, &place.work().join("limit.log"))?;
    let target =
        Target { address: process.address, path: "/".to_owned(), expects: StatusCode::ACCEPTED };
    let plan = Plan {
        connections: kind.connections,
        pace: Pace::Closed,
        warm_up: settings.warm_up,
        duration: settings.duration,
    };
    let payloads = Arc::new(Payloads::new(kind.size));
    let load = load::send(&target, &payloads, plan).await?;
    let used = process.usage();
    process.stop()?;
    std::fs::remove_dir_all(&folder)?;
    let mut figures = Figures::default();
    figures.set("per_second", load.per_second());
    figures.latency("", &load);
    figures.usage("", used, Default::default(), load.answered);
    figures.failures(&load);
    Ok(figures)
}
