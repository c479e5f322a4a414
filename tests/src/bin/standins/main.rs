//! Runs the stand-ins of HubSpot and Asana, and on demand a sink, for the demo and for other
//! processes. Prints one line of JSON with the addresses, then nothing. With `deliver` it sends
//! HubSpot's webhook instead.
//!
//! Ends at SIGTERM, at ctrl-c, or when its standard input is closed, so that it never outlives who
//! started it.

mod deliver;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use serde_json::json;
use tombolo_tests::sink::{Recording, Sink, SinkOptions};
use tombolo_tests::{asana, hubspot};

/// Stand-ins of SaaS systems on loopback.
#[derive(Debug, Parser)]
#[command(name = "standins", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Where HubSpot listens; port 0 takes any free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    hubspot: SocketAddr,
    /// Where Asana listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    asana: SocketAddr,
    /// The bearer token HubSpot takes.
    #[arg(long, default_value = hubspot::TOKEN)]
    hubspot_token: String,
    /// The bearer token Asana takes.
    #[arg(long, default_value = asana::TOKEN)]
    asana_token: String,
    /// Start a sink too, and where it listens.
    #[arg(long)]
    sink: Option<SocketAddr>,
    /// How long each of the sink's answers takes, in milliseconds.
    #[arg(long, default_value_t = 0)]
    sink_delay_ms: u64,
    /// The sink also records when each call came.
    #[arg(long)]
    sink_arrivals: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Deliver(deliver::Deliver),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::parse();
    match arguments.command.take() {
        Some(Command::Deliver(deliver)) => deliver.run().await,
        None => serve(arguments).await,
    }
}

async fn serve(arguments: Arguments) -> anyhow::Result<()> {
    let hubspot = hubspot::start_at(arguments.hubspot, &arguments.hubspot_token).await?;
    let asana = asana::start_at(arguments.asana, &arguments.asana_token).await?;
    let sink = arguments.sink.map(|address| Sink::start(arguments.sink_options(address)));
    let sink = sink.transpose()?;

    let mut addresses = json!({
        "hubspot": hubspot.origin(),
        "asana": asana.origin(),
        "pid": std::process::id(),
    });
    if let Some(sink) = &sink {
        addresses["sink"] = sink.origin().into();
    }
    let mut output = std::io::stdout();
    writeln!(output, "{addresses}")
        .and_then(|()| output.flush())
        .context("cannot write the addresses to standard output")?;

    told_to_end().await?;
    hubspot.shutdown().await;
    asana.shutdown().await;
    Ok(())
}

impl Arguments {
    fn sink_options(&self, address: SocketAddr) -> SinkOptions {
        SinkOptions {
            address,
            delay: Duration::from_millis(self.sink_delay_ms),
            recording: match self.sink_arrivals {
                true => Recording::Arrivals,
                false => Recording::Duplicates,
            },
        }
    }
}

async fn told_to_end() -> anyhow::Result<()> {
    tokio::select! {
        signal = tokio::signal::ctrl_c() => signal.context("cannot listen for ctrl-c"),
        signal = terminated() => signal,
        () = input_closed() => Ok(()),
    }
}

#[cfg(unix)]
async fn terminated() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?.recv().await;
    Ok(())
}

#[cfg(not(unix))]
async fn terminated() -> anyhow::Result<()> {
    std::future::pending().await
}

/// Returns when standard input ends. The reading thread is not waited for at the end of the
/// process, as tokio's would be.
async fn input_closed() {
    let (closed, is_closed) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut ignored = [0_u8; 256];
        while matches!(std::io::stdin().read(&mut ignored), Ok(read) if read > 0) {}
        // Nobody waits any more if a signal came first.
        let _ = closed.send(());
    });
    // An error means that the thread is gone, and with it the input.
    let _ = is_closed.await;
}
