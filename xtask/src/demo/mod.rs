//! The demo: one signed webhook through the whole house, on real HTTP, told as a tutorial. Every
//! part of it is checked; if anything is not as told, the demo fails.

mod first_line;
mod http;
mod standins;
mod tombolo;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use self::standins::{ASANA_TOKEN, Calls, HUBSPOT_TOKEN, Standins, deliver};
use self::tombolo::{Tombolo, log_of};
use crate::build;
use crate::place::Place;

/// The workflow that is shown.
const WORKFLOW: &str = "workflows/deal-won-to-project/workflow.json";

/// Where HubSpot would send its webhooks.
const HOOK: &str = "/hooks/default/hubspot/deals";

/// The secret that HubSpot signs with.
const APP_SECRET: &str = "demo-hubspot-app-secret";

/// The project that has to come out.
const PROJECT: &str = "Onboarding: Acme Corp – Annual Plan";

/// How long the run may take.
const RUN_LIMIT: Duration = Duration::from_secs(60);

/// The pause between two looks at it.
const RUN_PAUSE: Duration = Duration::from_millis(50);

/// Whether the demo has to build what it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builds {
    /// Builds whatever is not up to date.
    Needed,
    /// Somebody just did.
    Done,
}

/// When the demo ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// When it has shown everything.
    Once,
    /// When it is stopped.
    CtrlC,
}

/// Shows everything, and leaves with an error if anything is not as expected.
pub fn run(place: &Place, builds: Builds, ending: Ending) -> anyhow::Result<()> {
    if builds == Builds::Needed {
        build_all(place)?;
    }
    headline("Start stand-ins of HubSpot and Asana, and Tombolo on an empty SQLite");
    let standins = Standins::start(place)?;
    let mut tombolo = Tombolo::start(place, &standins)?;
    story(place, &standins, &tombolo).with_context(|| log_of(place))?;
    match ending {
        Ending::Once => {
            println!("\nEverything was as expected.");
            Ok(())
        }
        Ending::CtrlC => {
            stay(place, &tombolo);
            tombolo.wait()
        }
    }
}

fn build_all(place: &Place) -> anyhow::Result<()> {
    headline("Build plugins, Tombolo and the stand-ins");
    if !place.binary("tombolo").exists() {
        println!("The first build takes about ten minutes on two cores, and less on more.");
        println!("It is done once; from then on the demo takes seconds.");
    }
    build::plugins(place)?;
    build::programs(place)
}

fn story(place: &Place, standins: &Standins, tombolo: &Tombolo) -> anyhow::Result<()> {
    add_plugins(place, tombolo)?;
    set_connections(standins, tombolo)?;
    headline("Check and apply the workflow");
    tombolo.tell(&["workflow", "validate", WORKFLOW], None)?;
    tombolo.tell(&["workflow", "apply", WORKFLOW], None)?;

    headline("HubSpot says: deal 123456789 was won");
    let uri = format!("{}{HOOK}", tombolo.origin);
    let answer = deliver(place, &uri, APP_SECRET)?;
    println!("{answer:#}");
    ensure!(answer["status"] == 202, "the webhook was not accepted: {answer}");
    let run = only_run(tombolo)?;
    wait_for(tombolo, &run)?;
    tombolo.tell(&["run", "show", &run], None)?;
    let before = check_outcome(standins)?;

    headline("HubSpot sends the same event again, as it does when it missed our answer");
    let answer = deliver(place, &uri, APP_SECRET)?;
    println!("{answer:#}");
    ensure!(answer["status"] == 202, "the second delivery was not accepted: {answer}");
    tombolo.tell(&["run", "list"], None)?;
    ensure!(only_run(tombolo)? == run, "the second delivery started a run");
    let after = check_outcome(standins)?;
    ensure!(before == after, "the second delivery made calls: {before:?}, then {after:?}");
    println!("\nOne run, one project, no further call: nothing happened twice.");
    Ok(())
}

fn add_plugins(place: &Place, tombolo: &Tombolo) -> anyhow::Result<()> {
    headline("Add the plugins: WebAssembly components, compiled once");
    for name in build::plugin_names(place)? {
        tombolo.tell(
            &["plugin", "add", &place.shown(&place.component(&format!("plugin-{name}")))],
            None,
        )?;
    }
    Ok(())
}

fn set_connections(standins: &Standins, tombolo: &Tombolo) -> anyhow::Result<()> {
    headline("Set the connections: credentials are sealed, and no plugin ever sees them");
    let asana = format!("{}/api/1.0", standins.asana);
    for (name, url, variable, token) in [
        ("hubspot", &standins.hubspot, "HUBSPOT_TOKEN", HUBSPOT_TOKEN),
        ("asana", &asana, "ASANA_TOKEN", ASANA_TOKEN),
    ] {
        let arguments = ["connection", "set", name, "--base-url", url, "--bearer-env", variable];
        tombolo.tell(&arguments, Some((variable, token)))?;
    }
    let variable = "HUBSPOT_APP_SECRET";
    let arguments = ["connection", "set", "hubspot-app", "--signing-secret-env", variable];
    tombolo.tell(&arguments, Some((variable, APP_SECRET)))
}

/// The id of the one run that there is.
fn only_run(tombolo: &Tombolo) -> anyhow::Result<String> {
    let list = tombolo.ask(&["run", "list"])?;
    let runs = list.as_array().or_else(|| list["items"].as_array());
    let runs = runs.with_context(|| format!("`tombolo run list` tells no list but {list}"))?;
    ensure!(runs.len() == 1, "one run was expected, there are {}: {list:#}", runs.len());
    let id = runs[0]["id"].as_str().context("the run has no id")?;
    Ok(id.to_owned())
}

/// Waits until the run has ended, and well.
fn wait_for(tombolo: &Tombolo, run: &str) -> anyhow::Result<()> {
    let asked = Instant::now();
    loop {
        let shown = tombolo.ask(&["run", "show", run])?;
        match shown["state"].as_str() {
            Some("succeeded") => return Ok(()),
            Some("failed" | "cancelled") => {
                tombolo.tell(&["run", "show", run], None)?;
                anyhow::bail!("the run did not succeed: {shown:#}");
            }
            _ => {}
        }
        ensure!(
            asked.elapsed() < RUN_LIMIT,
            "the run has not ended after {} s: {shown:#}",
            RUN_LIMIT.as_secs()
        );
        std::thread::sleep(RUN_PAUSE);
    }
}

/// Prints the project, and checks that there is exactly this one, made by exactly one call.
fn check_outcome(standins: &Standins) -> anyhow::Result<(Calls, Calls)> {
    let projects = standins.projects()?;
    ensure!(projects.len() == 1, "one project was expected in Asana, there are {projects:#?}");
    let project = &projects[0];
    ensure!(project["name"] == PROJECT, "another project was expected: {project:#}");
    println!("\nThe project in Asana:");
    for key in ["gid", "name", "notes", "permalink_url"] {
        if let Value::String(text) = &project[key] {
            println!("  {key:<14} {}", text.replace('\n', &format!("\n{:17}", "")));
        }
    }
    let (hubspot, asana) = (standins.calls(&standins.hubspot)?, standins.calls(&standins.asana)?);
    println!("Calls so far: HubSpot {}, Asana {}", hubspot.total, asana.total);
    ensure!(asana.performed == 1, "one change in Asana was expected: {asana:?}");
    ensure!(hubspot.performed == 0, "no change in HubSpot was expected: {hubspot:?}");
    Ok((hubspot, asana))
}

fn stay(place: &Place, tombolo: &Tombolo) {
    headline("Your turn");
    println!("The API, to read and to try:  {}", tombolo.api_page);
    println!(
        "Its token is in               {}",
        place.shown(&place.demo().join("data/admin.token"))
    );
    println!("The log is in                 {}", place.shown(&place.demo().join("tombolo.log")));
    println!("For the commands above, in another terminal, from here:");
    println!("  {}", tombolo.shell_variables(place));
    println!("\nTombolo and the stand-ins run until you press ctrl-c.");
}

fn headline(text: &str) {
    println!("\n── {text}");
}
