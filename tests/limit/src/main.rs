//! The yardstick of the benchmarks: a bare HTTP handler that answers when its request stands in
//! SQLite, written together with whatever else waits. The same bytes and as many rows as a run of a
//! workflow, and nothing else: no verification, no expression, no sandbox, no fence.
//!
//! Prints one line with its address. Ends at SIGTERM, or with whoever started it.

mod sqlite;
mod writer;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::serve::ListenerExt;
use bytes::Bytes;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::sqlite::Database;
use crate::writer::Writer;

/// Largest body of a request.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// A bare durable write for each `POST /`.
#[derive(Debug, Parser)]
#[command(name = "limit")]
struct Arguments {
    /// The database file; made if it is missing.
    #[arg(long)]
    database: PathBuf,
    /// Rows of steps for each request, beside one of the event and one of the run.
    #[arg(long, default_value_t = 1)]
    steps: u32,
    /// Where to listen; port 0 takes any free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let database = Database::open(&arguments.database)
        .with_context(|| format!("cannot open {}", arguments.database.display()))?;
    let writer = Writer::start(database, arguments.steps)?;
    let router = Router::new()
        .route("/", post(write))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(writer);
    let listener = TcpListener::bind(arguments.listen).await?;
    println!("listens on http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let listener = listener.tap_io(|connection| {
        // Refused, answers are slower and not wrong.
        let _ = connection.set_nodelay(true);
    });
    let server = axum::serve(listener, router);
    tokio::select! {
        served = async { server.await } => Ok(served?),
        ended = end() => ended,
    }
}

async fn write(State(writer): State<Writer>, body: Bytes) -> (StatusCode, &'static str) {
    match writer.write(body).await {
        Some(()) => (StatusCode::ACCEPTED, r#"{"ok":true}"#),
        None => (StatusCode::SERVICE_UNAVAILABLE, r#"{"ok":false}"#),
    }
}

/// SIGTERM, or the end of standard input: the pipe of whoever started this.
async fn end() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let (closed, is_closed) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0; 1]);
        let _ = closed.send(());
    });
    tokio::select! {
        _ = terminate.recv() => {}
        _ = is_closed => {}
    }
    Ok(())
}
