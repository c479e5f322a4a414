//! The rounds: every shape once in each, beside its yardstick, so that what else happens on the
//! machine falls on both.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::Context;
use http::StatusCode;
use tombolo_test_postgres::{Database, Durable, Server as Postgres};

use super::demand::Demand;
use super::figures::Figures;
use super::limit::{self, Kind};
use super::payload::Size;
use super::place::Place;
use super::report::Report;
use super::server::{Server, command};
use super::settings::Settings;
use super::shape::Shape;
use super::sinks::Sinks;
use super::template::{Data, Template};
use super::webhooks::Webhook;
use super::workflows::{CHAIN, ITEMS, LONG_CHAIN};
use super::{claims, history, idle, policies, sandbox, scale, start, turns};

/// Connections unless a shape says otherwise.
const CONNECTIONS: usize = 64;

/// Connections at which `ack` is measured.
const ACK_CONNECTIONS: [usize; 4] = [1, 16, 64, 256];

/// Connections at which it is measured what a run costs the database.
const DEMAND_CONNECTIONS: [usize; 3] = [1, 8, CONNECTIONS];

/// Rates that are offered in the open loop.
const RATES: [u32; 2] = [200, 1_000];

/// Measures everything that was asked for.
///
/// # Errors
/// If a program does not start or answers what it never should. Wrong answers and lost runs stand in
/// the report.
pub async fn run(place: &Place, settings: &Settings) -> anyhow::Result<Report> {
    let sinks = Sinks::start()?;
    let postgres = if settings.postgres { Some(Postgres::start(Durable::Yes)?) } else { None };
    let template = match settings.shapes.iter().any(|shape| shape.is_served()) {
        true => {
            let database = match &postgres {
                Some(postgres) => Some(Database::on(&postgres.admin_url()).await?),
                None => None,
            };
            Some(Template::make(place, settings, &sinks, database).await?)
        }
        false => None,
    };
    let mut report = Report::new(place, settings);
    for number in 1..=settings.rounds {
        let mut round = Round {
            number,
            place,
            settings,
            sinks: &sinks,
            postgres: postgres.as_ref(),
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
    /// From 1.
    number: u32,
    place: &'a Place,
    settings: &'a Settings,
    sinks: &'a Sinks,
    /// There if it is measured on PostgreSQL.
    postgres: Option<&'a Postgres>,
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
            Shape::W3 => self.w3().await,
            Shape::W4 => self.chain("w4", CHAIN).await,
            Shape::Chain40 => self.chain("chain40", LONG_CHAIN).await,
            Shape::Fanout => self.fanout().await,
            Shape::History => self.history().await,
            Shape::Turns => {
                let data = self.template()?.copy().await?;
                let figures = turns::measure(self.place, self.settings, &data, self.sinks).await?;
                self.report.add("turns", figures);
                Ok(())
            }
            Shape::Claims => {
                let data = self.template()?.copy().await?;
                self.report.add("claims", claims::measure(self.settings, &data).await?);
                Ok(())
            }
            Shape::Policies => self.policies().await,
            Shape::Demand => self.demand().await,
            Shape::Idle => {
                let data = self.template()?.copy().await?;
                let server = self.server(&data)?;
                let database = self.postgres.zip(data.database());
                self.report.add("idle", idle::measure(&server, self.settings, database).await?);
                server.stop()
            }
            Shape::Scale => {
                scale::report(self.report);
                Ok(())
            }
            Shape::Start => {
                let (place, settings) = (self.place, self.settings);
                let template = self.template()?;
                let figures = start::measure(place, settings, template, self.sinks).await?;
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
        Server::start(self.place, self.settings, data, self.sinks)
    }

    async fn ack(&mut self) -> anyhow::Result<()> {
        let limit = self.limit(rows(1)).await?;
        let mut figures = Figures::default();
        let data = self.template()?.copy().await?;
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
            let data = self.template()?.copy().await?;
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
            let data = self.template()?.copy().await?;
            let server = self.server(&data)?;
            let webhook = Webhook::new(&server, self.settings, workflow, StatusCode::ACCEPTED);
            let webhook = webhook.calling(&self.sinks.quick);
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

    async fn w3(&mut self) -> anyhow::Result<()> {
        let kind = rows(1 + ITEMS);
        self.limit(kind).await?;
        let mut figures = Figures::default();
        let data = self.template()?.copy().await?;
        let server = self.server(&data)?;
        let webhook = Webhook::new(&server, self.settings, "w3", StatusCode::ACCEPTED);
        let webhook = webhook.calling_often(&self.sinks.quick, u64::from(ITEMS));
        webhook.closed(CONNECTIONS, "", &mut figures).await?;
        server.stop()?;
        self.add("w3", kind, figures).await
    }

    /// A row of steps: many at a time, and one run at a time.
    async fn chain(&mut self, name: &'static str, length: u32) -> anyhow::Result<()> {
        self.limit(rows(length)).await?;
        let mut figures = Figures::default();
        let data = self.template()?.copy().await?;
        let server = self.server(&data)?;
        let webhook = Webhook::new(&server, self.settings, name, StatusCode::OK);
        webhook.closed(CONNECTIONS, "", &mut figures).await?;
        webhook.closed(1, "connections.1.", &mut figures).await?;
        server.stop()?;
        self.add(name, rows(length), figures).await
    }

    async fn fanout(&mut self) -> anyhow::Result<()> {
        let mut figures = Figures::default();
        let data = self.template()?.copy().await?;
        let server = self.server(&data)?;
        let webhook = Webhook::new(&server, self.settings, "fanout", StatusCode::OK);
        webhook.closed(1, "", &mut figures).await?;
        server.stop()?;
        self.report.add("fanout", figures);
        Ok(())
    }

    /// `w2` in an empty store and in a full one, one after the other.
    async fn history(&mut self) -> anyhow::Result<()> {
        let mut figures = Figures::default();
        let mut per_second = [0.0; 2];
        for (runs, reached) in [0, self.settings.history].into_iter().zip(&mut per_second) {
            let data = match runs {
                0 => self.template()?.copy().await?,
                runs => self.full(runs, &mut figures).await?,
            };
            // The first after a start.
            self.history_load(&data, 1, &mut Figures::default()).await?;
            let mut measured = Figures::default();
            self.history_load(&data, CONNECTIONS, &mut measured).await?;
            *reached = measured.get("per_second").unwrap_or_default();
            figures.add_wrongs(measured);
        }
        figures.set("per_second", per_second[1]);
        figures.set("runs", self.settings.history as f64);
        figures.set("ratio_to_empty", per_second[1] / per_second[0].max(1.0));
        self.report.add("history", figures);
        Ok(())
    }

    /// A store with so many runs. They are made in a file: where the measurement is on PostgreSQL,
    /// `tombolo store copy` brings them there.
    async fn full(&self, runs: u64, figures: &mut Figures) -> anyhow::Result<Data> {
        let Some(postgres) = self.postgres else {
            let data = self.template()?.copy().await?;
            self.fill(&data, runs, figures).await?;
            return Ok(data);
        };
        let template = Template::make(self.place, self.settings, self.sinks, None).await?;
        let data = template.copy().await?;
        self.fill(&data, runs, figures).await?;
        let data = data.moved_to(Database::on(&postgres.admin_url()).await?);
        let started = Instant::now();
        let mut copy = command(self.place, &data);
        let copied = copy.args(["store", "copy"]).output()?;
        let error = String::from_utf8_lossy(&copied.stderr);
        anyhow::ensure!(copied.status.success(), "`tombolo store copy` failed: {error}");
        figures.set("copied_per_second", runs as f64 / started.elapsed().as_secs_f64());
        Ok(data)
    }

    async fn fill(&self, data: &Data, runs: u64, figures: &mut Figures) -> anyhow::Result<()> {
        // The runs that the others are copies of.
        self.history_load(data, 1, &mut Figures::default()).await?;
        figures.set("bytes_per_run", history::fill(data.path(), runs)?);
        Ok(())
    }

    /// `w2` with the policies of the database and without them, in turn with which comes first.
    async fn policies(&mut self) -> anyhow::Result<()> {
        let mut figures = Figures::default();
        let data = self.template()?.copy().await?;
        let database = data.database().context("policies are measured on PostgreSQL")?;
        let server = self.server(&data)?;
        let webhook = Webhook::new(&server, self.settings, "w2", StatusCode::ACCEPTED);
        let webhook = webhook.calling(&self.sinks.quick);
        let mut reached = [0.0; 2];
        let with_first = self.number % 2 == 1;
        for with in [with_first, !with_first] {
            policies::set(database, with).await?;
            let mut measured = Figures::default();
            webhook.closed(CONNECTIONS, "", &mut measured).await?;
            reached[usize::from(with)] = measured.get("per_second").unwrap_or_default();
            figures.add_wrongs(measured);
        }
        server.stop()?;
        let [without, with] = reached;
        figures.set("per_second", with);
        figures.set("per_second_without", without);
        figures.set("ratio_to_without", with / without.max(1.0));
        self.report.add("policies", figures);
        Ok(())
    }

    /// What a run of `w2` costs the database, alone and with others in one transaction.
    async fn demand(&mut self) -> anyhow::Result<()> {
        let mut figures = Figures::default();
        let data = self.template()?.copy().await?;
        let postgres = self.postgres.context("demand is measured on PostgreSQL")?;
        let database = data.database().context("demand is measured on PostgreSQL")?;
        let server = self.server(&data)?;
        let webhook = Webhook::new(&server, self.settings, "w2", StatusCode::ACCEPTED);
        let webhook = webhook.calling(&self.sinks.quick);
        for connections in DEMAND_CONNECTIONS {
            let group = format!("connections.{connections}.");
            let before = Demand::so_far(postgres, database).await?;
            let load = webhook.closed(connections, &group, &mut figures).await?;
            let after = Demand::so_far(postgres, database).await?;
            after.set(before, load.answered, &group, &mut figures);
        }
        server.stop()?;
        self.report.add("demand", figures);
        Ok(())
    }

    async fn history_load(
        &self,
        data: &Data,
        connections: usize,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        let server = self.server(data)?;
        let webhook = Webhook::new(&server, self.settings, "w2-keyed", StatusCode::ACCEPTED);
        webhook.calling(&self.sinks.quick).closed(connections, "", figures).await?;
        server.stop()
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
