//! The demo: one signed webhook through the whole house, on real HTTP, told as a tutorial. Every
//! part of it is checked; if anything is not as told, the demo fails.

mod first_line;
mod folder;
mod http;
mod standins;
mod tombolo;

use anyhow::{Context, ensure};
use serde_json::Value;

use self::folder::Folder;
use self::standins::{ASANA_TOKEN, Calls, HUBSPOT_TOKEN, Standins, deliver};
use self::tombolo::Tombolo;
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
    let folder = Folder::fresh(place, ending)?;
    play(place, &folder, ending).inspect_err(|_| folder.show_log(place))
}

fn play(place: &Place, folder: &Folder, ending: Ending) -> anyhow::Result<()> {
    headline("Start stand-ins of HubSpot and Asana, and Tombolo on an empty SQLite");
    let standins = Standins::start(place)?;
    let mut tombolo = Tombolo::start(place, folder, &standins)?;
    story(place, &standins, &tombolo)?;
    if ending == Ending::Once {
        println!("\nEverything was as expected.");
        return Ok(());
    }
    stay(place, folder, &tombolo);
    tombolo.wait()
}

fn build_all(place: &Place) -> anyhow::Result<()> {
    headline("Build plugins, Tombolo and the stand-ins");
    if !place.binary("tombolo").exists() {
        println!(
            "The first build takes about a quarter of an hour on two cores, and less on more."
        );
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
    let first = delivered(place, &uri)?;
    ensure!(first["accepted"] == 1, "one new event was expected: {first}");
    let run = only_run(tombolo)?;
    // Stays until the run has ended, and fails if it ended badly.
    tombolo.tell(&["run", "show", &run, "--follow"], None)?;
    show_project(&only_project(standins)?);
    let before = calls(standins)?;

    headline("HubSpot sends the same event again, as it does when it missed our answer");
    let second = delivered(place, &uri)?;
    ensure!(second["accepted"] == 0, "the second delivery counted as new: {second}");
    ensure!(second["runs"] == first["runs"], "the second delivery tells other runs: {second}");
    tombolo.tell(&["run", "list"], None)?;
    ensure!(only_run(tombolo)? == run, "the second delivery started a run");
    only_project(standins)?;
    let after = calls(standins)?;
    ensure!(before == after, "the second delivery made calls: {before:?}, then {after:?}");
    println!("\nOne run, one project, no further call: nothing happened twice.");
    Ok(())
}

/// Sends the webhook, and gives what Tombolo answered when it had accepted it.
fn delivered(place: &Place, uri: &str) -> anyhow::Result<Value> {
    let mut answer = deliver(place, uri, APP_SECRET)?;
    println!("{answer:#}");
    ensure!(answer["status"] == 202, "the webhook was not accepted: {answer}");
    Ok(answer["body"].take())
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
    let runs = list["items"].as_array();
    let runs = runs.with_context(|| format!("`tombolo run list` tells no list but {list}"))?;
    ensure!(runs.len() == 1, "one run was expected, there are {}: {list:#}", runs.len());
    let id = runs[0]["id"].as_str().context("the run has no id")?;
    Ok(id.to_owned())
}

/// The one project that there is in Asana.
fn only_project(standins: &Standins) -> anyhow::Result<Value> {
    let mut projects = standins.projects()?;
    let project = projects.pop().context("there is no project in Asana")?;
    ensure!(
        projects.is_empty(),
        "one project was expected in Asana, there are more: {projects:#?}"
    );
    ensure!(project["name"] == PROJECT, "another project was expected: {project:#}");
    Ok(project)
}

fn show_project(project: &Value) {
    println!("\nThe project in Asana:");
    for key in ["gid", "name", "notes", "permalink_url"] {
        if let Value::String(text) = &project[key] {
            println!("  {key:<14} {}", text.replace('\n', &format!("\n{:17}", "")));
        }
    }
}

/// Prints what HubSpot and Asana were asked, and checks that exactly one call changed something.
fn calls(standins: &Standins) -> anyhow::Result<(Calls, Calls)> {
    let (hubspot, asana) = (standins.calls(&standins.hubspot)?, standins.calls(&standins.asana)?);
    println!("\nCalls so far: HubSpot {}, Asana {}", hubspot.total, asana.total);
    ensure!(asana.performed == 1, "one change in Asana was expected: {asana:?}");
    ensure!(hubspot.performed == 0, "no change in HubSpot was expected: {hubspot:?}");
    Ok((hubspot, asana))
}

fn stay(place: &Place, folder: &Folder, tombolo: &Tombolo) {
    headline("Your turn");
    println!("The API, to read and to try:  {}", tombolo.api_page);
    println!("Its token is in               {}", place.shown(&folder.data().join("admin.token")));
    println!("The log is in                 {}", place.shown(&folder.log()));
    println!("For the commands above, in another terminal, from here:");
    println!("  {}", tombolo.shell_variables(place));
    println!("\nTombolo and the stand-ins run until you press ctrl-c.");
}

fn headline(text: &str) {
    println!("\n── {text}");
}
