//! `tombolo serve`: start, serve, drain. And what the command line does without a server.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tombolo_core::ports::sandbox::{InstallError, Installed, Sandbox};

use crate::assemble::Host;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::roles::Roles;
use crate::{assemble, first_start, listen, logs};

/// How long the database may take to be closed when everything else has ended. What was not written by
/// then is as if the process had died: nothing that was acknowledged is lost.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// Runs the server until SIGTERM or Ctrl-C.
///
/// # Errors
/// If something that it needs cannot be opened; the text says what.
pub async fn serve(mut config: Config, roles: Roles) -> Result<()> {
    logs::start(&config.log)?;
    let _held = DataDir::hold(&config.data.dir)?;
    // Bound first: the port may be the system's choice, and senders sign the address they call.
    let listener = TcpListener::bind(config.server.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.server.listen))?;
    config.server.listen = listener.local_addr()?;
    let host = assemble::host(&config, roles).await?;
    if roles.are_a_part() && !host.database.is_shared() {
        bail!(
            "--role leaves work to other processes, and they cannot share the database file; set {} \
             to the address of a PostgreSQL database",
            config.store.url_env
        );
    }
    first_start::prepare(&*host.store, &config.data.admin_token()).await?;
    host.registry.reload().await?;
    let gate = host.gate.clone();
    // Before the first request: until then no tenant has a quota.
    gate.count().await.context("the quotas of tenants cannot be read")?;
    host.engine.start().await?;
    let warming = host.sandbox.clone();
    tokio::spawn(async move {
        if let Err(error) = warming.warm_up().await {
            tracing::error!(%error, "the expression evaluator does not load");
        }
    });
    let stopping = host.stopping.clone();
    // A process that lets nobody in and nothing start has nobody to guard.
    let guarding = (roles.ingress || roles.api).then(|| tokio::spawn(gate.run(stopping)));
    announce(&config);
    serve_until_told(listener, &host, &config).await?;
    host.stopping.cancel();
    let closing = async {
        // It writes once more when tokens were used.
        if let Some(guarding) = guarding
            && let Err(error) = guarding.await
        {
            tracing::error!(%error, "what is done for the guard in the background ended badly");
        }
        host.database.close().await;
    };
    if tokio::time::timeout(CLOSE_TIME, closing).await.is_err() {
        let limit_s = CLOSE_TIME.as_secs();
        tracing::warn!(
            limit_s,
            "the database did not answer in time: what waited for it goes on elsewhere"
        );
    }
    tracing::info!("stopped");
    Ok(())
}

/// One line on standard output that says where the server is; programs wait for it.
fn announce(config: &Config) {
    let address = config.server.listen;
    let mut out = std::io::stdout();
    // A closed standard output is no reason not to serve.
    let _ = writeln!(out, "Tombolo listens on http://{address} (API page: http://{address}/docs)");
    let _ = out.flush();
}

/// Serves until a signal; then requests and runs under way may finish, both within the one drain
/// time. What is not done by then goes on after the next start.
async fn serve_until_told(listener: TcpListener, host: &Host, config: &Config) -> Result<()> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let bounds = config.server.connection_bounds().within_files();
    let server = listen::serve(listener, host.router(config), bounds, host.stopping.clone());
    let mut server = std::pin::pin!(server);
    tokio::select! {
        () = &mut server => return Ok(()),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: no new requests, those under way may finish");
    host.stopping.cancel();
    let drain = config.server.drain_timeout();
    let served = tokio::time::timeout(drain, server);
    // It stops by itself after the drain time, unless the database holds it up.
    let stopped = tokio::time::timeout(drain + CLOSE_TIME, host.engine.stop());
    let (served, stopped) = tokio::join!(served, stopped);
    if served.is_err() {
        tracing::warn!("requests were still open at the end of server.drain_timeout_ms");
    }
    if stopped.is_err() {
        tracing::warn!("runs were still being written at the end of server.drain_timeout_ms");
    }
    Ok(())
}

/// Checks and describes a component without a server: nothing is kept.
///
/// # Errors
/// If the sandbox does not start; the inner result says what is wrong with the component.
pub async fn inspect(
    mut config: Config,
    component: Bytes,
) -> Result<Result<Installed, InstallError>> {
    let scratch = tempfile::tempdir().context("a temporary folder is needed")?;
    config.data.dir = scratch.path().to_owned();
    Ok(assemble::lone_sandbox(&config)?.install(component).await)
}
