//! The rounds: every shape once in each, beside its yardstick, so that what else happens on the
//! machine falls on both.

use std::collections::HashMap;

use anyhow::Context;
use http::StatusCode;

use super::figures::Figures;
use super::limit::{self, Kind};
use super::payload::Size;
use super::place::Place;
use super::report::Report;
use super::server::Server;
use super::settings::Settings;
use super::shape::Shape;
use super::template::{Data, Template};
use super::webhooks::Webhook;
use super::workflows::CHAIN;
use super::{sandbox, start};
use crate::sink::{Recording, Sink, SinkOptions};

/// Connections unless a shape says otherwise.
const CONNECTIONS: usize = 64;

/// Connections at which `ack` is measured.
const ACK_CONNECTIONS: [usize; 4] = [1, 16, 64, 256];

/// Rates that are offered in the open loop.
const RATES: [u32; 2] = [200, 1_000];

/// Measures everything that was asked for.
///
/// # Errors
/// If a program does not start or answers what it never should. Wrong answers and lost runs stand in
/// the report.
pub async fn run(place: &Place, settings: &Settings) -> anyhow::Result<Report> {
    let sink =
        Sink::start(SinkOptions { recording: Recording::Arrivals, ..SinkOptions::default() })?;
    let template = match settings.shapes.iter().any(|shape| shape.is_served()) {
        true => Some(Template::make(place, settings, &sink).await?),
        false => None,
    };
    let mut report = Report::new(place, settings);
    for number in 1..=settings.rounds {
        let mut round = Round {
            place,
            settings,
            sink: &sink,
            template: template.as_ref(),
            limits: HashMap::new(),
            report: &mut report,
        };
        for shape in &settings.shapes {
            let (name, rounds) = (format!("{shape:?}").to_lowercase(), settings.rounds);
            eprintln!("round {number} of {rounds}: {name}");
            round.measure(*shape).await?;
        }
    }
    Ok(report)
}

struct Round<'a> {
    place: &'a Place,
    settings: &'a Settings,
    sink: &'a Sink,
    /// There if any shape is served.
    template: Option<&'a Template>,
    /// What this round measured already.
    limits: HashMap<Kind, f64>,
    report: &'a mut Report,
}

impl Round<'_> {
    async fn measure(&mut self, shape: Shape) -> anyhow::Result<()> {
        match shape {
            Shape::Limit => {
                for connections in [1, CONNECTIONS] {
                    self.limit(Kind { connections, ..rows(1) }).await?;
                }
                Ok(())
            }
            Shape::Ack => self.ack().await,
            Shape::W1 => self.w1().await,
            Shape::W2 => self.w2().await,
            Shape::W4 => self.w4().await,
            Shape::Start => {
                let (place, settings) = (self.place, self.settings);
                let template = self.template()?;
                let figures = start::measure(place, settings, template, self.sink).await?;
                self.report.add("start", figures);
                Ok(())
            }
            Shape::Sandbox => {
                let figures = sandbox::measure(self.place, self.settings)?;
                self.report.add("sandbox", figures);
                Ok(())
            }
        }
    }

    /// What the yardstick makes a second, measured once in a round.
    async fn limit(&mut self, kind: Kind) -> anyhow::Result<f64> {
        if let Some(known) = self.limits.get(&kind) {
            return Ok(*known);
        }
        let figures = limit::measure(self.place, self.settings, kind).await?;
        let per_second = figures.get("per_second").unwrap_or_default();
        self.limits.insert(kind, per_second);
        self.report.add(&name(kind), figures);
        Ok(per_second)
    }

    /// Adds a shape with its ratio to the yardstick.
    async fn add(&mut self, name: &str, kind: Kind, mut figures: Figures) -> anyhow::Result<()> {
        let limit = self.limit(kind).await?;
        let reached = figures.get("per_second").unwrap_or_default();
        figures.set("ratio_to_limit", reached / limit.max(1.0));
        self.report.add(name, figures);
        Ok(())
    }

    fn template(&self) -> anyhow::Result<&Template> {
        self.template.context("no data folder was prepared")
    }

    fn server(&self, data: &Data) -> anyhow::Result<Server> {
        Server::start(self.place, self.settings, data.path(), self.sink)
    }

    async fn ack(&mut self) -> anyhow::Result<()> {
        let limit = self.limit(rows(1)).await?;
        let mut figures = Figures::default();
        let data = self.template()?.copy()?;
        let server = self.server(&data)?;
        let webhook = Webhook::new(&server, self.settings, "ack", StatusCode::ACCEPTED);
        for connections in ACK_CONNECTIONS {
            let group = match connections {
                CONNECTIONS => String::new(),
                other => format!("connections.{other}."),
            };
            webhook.closed(connections, &group, &mut figures).await?;
        }
        webhook.offered(RATES[1], "offered_1000.", &mut figures).await?;
        server.stop()?;
        let acknowledged = figures.get("acknowledged_per_second").unwrap_or_default();
        figures.set("acknowledged_ratio_to_limit", acknowledged / limit.max(1.0));
        self.add("ack", rows(1), figures).await
    }

    async fn w1(&mut self) -> anyhow::Result<()> {
        for size in [Size::Small, Size::Medium, Size::Large] {
            let kind = Kind { size, ..rows(1) };
            self.limit(kind).await?;
            let mut figures = Figures::default();
            let data = self.template()?.copy()?;
            let server = self.server(&data)?;
            let webhook = Webhook::new(&server, self.settings, "w1", StatusCode::OK);
            let webhook = webhook.carrying(size);
            webhook.closed(CONNECTIONS, "", &mut figures).await?;
            if size == Size::Small {
                webhook.closed(1, "connections.1.", &mut figures).await?;
            }
            server.stop()?;
            self.add(&format!("w1{}", size.suffix()), kind, figures).await?;
        }
        Ok(())
    }

    async fn w2(&mut self) -> anyhow::Result<()> {
        self.limit(rows(2)).await?;
        for workflow in ["w2", "w2-keyed"] {
            let mut figures = Figures::default();
            let data = self.template()?.copy()?;
            let server = self.server(&data)?;
            let webhook = Webhook::new(&server, self.settings, workflow, StatusCode::ACCEPTED);
            let webhook = webhook.calling(self.sink);
            for rate in RATES {
                let group = format!("offered_{rate}.");
                webhook.offered(rate, &group, &mut figures).await?;
            }
            webhook.closed(CONNECTIONS, "", &mut figures).await?;
            server.stop()?;
            self.add(workflow, rows(2), figures).await?;
        }
        Ok(())
    }

    async fn w4(&mut self) -> anyhow::Result<()> {
        self.limit(rows(CHAIN)).await?;
        let mut figures = Figures::default();
        let data = self.template()?.copy()?;
        let server = self.server(&data)?;
        let webhook = Webhook::new(&server, self.settings, "w4", StatusCode::OK);
        webhook.closed(CONNECTIONS, "", &mut figures).await?;
        webhook.closed(1, "connections.1.", &mut figures).await?;
        server.stop()?;
        self.add("w4", rows(CHAIN), figures).await
    }
}

/// The yardstick of a run with so many steps.
fn rows(steps: u32) -> Kind {
    Kind { steps, size: Size::Small, connections: CONNECTIONS }
}

/// `limit` is the one with a step, at as many connections as the shapes have.
fn name(kind: Kind) -> String {
    let mut name = format!("limit{}", kind.size.suffix());
    if kind.steps != 1 {
        name.push_str(&format!("-{}-steps", kind.steps));
    }
    if kind.connections != CONNECTIONS {
        name.push_str(&format!("-{}-connections", kind.connections));
    }
    name
}
