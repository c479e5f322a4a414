//! The benchmarks as a program: `cargo xtask bench [shapes] [--postgres] [--rounds N] [--seconds S]
//! [--quick]`.
//! Fails on errors and lost runs, never on time.

use clap::Parser;
use tombolo_tests::bench::{self, DEFAULT_ROUNDS, DEFAULT_SECONDS, Place, Settings, Shape};

/// Measures the built server: runs completed a second, latency, start, memory.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    /// What to measure; everything if left out.
    #[arg(value_enum)]
    shapes: Vec<Shape>,
    /// Each figure is the median of so many rounds.
    #[arg(long, default_value_t = DEFAULT_ROUNDS)]
    rounds: u32,
    /// Seconds of each measurement, beside its warm-up.
    #[arg(long, default_value_t = DEFAULT_SECONDS)]
    seconds: f64,
    /// On PostgreSQL instead of SQLite: a server of its own is started and shares the machine.
    #[arg(long)]
    postgres: bool,
    /// One short round: shows that everything works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// A variable that the server starts with, to try another setting:
    /// `TOMBOLO_STORE__CACHE_KIB=8192`. Stands in the report.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').ok_or("there is no `=`")?;
    Ok((parts.0.to_owned(), parts.1.to_owned()))
}

/// One thread for the client, so that it takes no more than it must from what is measured.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let shapes = match arguments.shapes.as_slice() {
        [] => Shape::all(arguments.postgres),
        chosen => chosen.to_vec(),
    };
    let settings = Settings {
        variables: arguments.variables,
        postgres: arguments.postgres,
        ..match arguments.quick {
            true => Settings::quick(shapes),
            false => Settings::full(shapes, arguments.rounds, arguments.seconds),
        }
    };
    let place = Place::find()?;
    let report = bench::run(&place, &settings).await?;
    report.publish()?;
    report.check()
}
