//! The stand-ins of HubSpot and Asana as the demo sees them: their addresses, what they were asked,
//! what they hold, and the webhook that HubSpot sends.

use std::process::Command;

use anyhow::{Context, anyhow};
use serde_json::Value;

use super::first_line::first_line;
use super::http;
use crate::keep::Kept;
use crate::place::Place;
use crate::program::{output, shown};

/// The bearer tokens that the stand-ins take, as their program has them.
pub const HUBSPOT_TOKEN: &str = "demo-hubspot-token";
/// As above.
pub const ASANA_TOKEN: &str = "demo-asana-token";

/// Both stand-ins, in one process that ends with this value.
pub struct Standins {
    /// `http://127.0.0.1:..`
    pub hubspot: String,
    /// `http://127.0.0.1:..`
    pub asana: String,
    _process: Kept,
}

/// How often the outside was asked, and how often something was changed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// All requests.
    pub total: u64,
    /// Those that changed something.
    pub performed: u64,
}

impl Standins {
    /// Starts them on free ports.
    pub fn start(place: &Place) -> anyhow::Result<Self> {
        let mut command = Command::new(place.binary("standins"));
        command.args(["--hubspot-token", HUBSPOT_TOKEN, "--asana-token", ASANA_TOKEN]);
        println!("$ {}", shown(&command));
        let mut process = Kept::start(&command, |streams| {
            streams.stdout(std::process::Stdio::piped());
        })?;
        let line = first_line(&mut process, |_| true).context("the stand-ins do not start")?;
        let addresses: Value = serde_json::from_str(&line)
            .with_context(|| format!("the stand-ins told no addresses but `{line}`"))?;
        let origin = |name: &str| {
            let origin = addresses[name].as_str().map(str::to_owned);
            origin.ok_or_else(|| anyhow!("the stand-ins tell no address of {name}: {line}"))
        };
        Ok(Self { hubspot: origin("hubspot")?, asana: origin("asana")?, _process: process })
    }

    /// What a stand-in was asked since its start.
    pub fn calls(&self, origin: &str) -> anyhow::Result<Calls> {
        let told = http::get_json(origin, "/_control/calls")?;
        let number = |name: &str| {
            told[name].as_u64().with_context(|| format!("{origin} does not tell {name}"))
        };
        Ok(Calls { total: number("total")?, performed: number("performed")? })
    }

    /// The projects in Asana.
    pub fn projects(&self) -> anyhow::Result<Vec<Value>> {
        let mut objects = http::get_json(&self.asana, "/_control/objects")?;
        match objects["projects"].take() {
            Value::Array(projects) => Ok(projects),
            other => Err(anyhow!("the stand-in of Asana tells no projects but {other}")),
        }
    }
}

/// Sends the guide's event array to `uri`, signed as HubSpot does. Gives the JSON of the answer.
pub fn deliver(place: &Place, uri: &str, secret: &str) -> anyhow::Result<Value> {
    let mut command = Command::new(place.binary("standins"));
    command.args(["deliver", "--uri", uri, "--secret", secret]);
    println!("$ {}", shown(&command));
    let told = output(&mut command)?;
    serde_json::from_str(&told).with_context(|| format!("the delivery told no JSON but `{told}`"))
}
