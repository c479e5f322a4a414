//! `tombolo serve`: start, serve, drain. And what the command line does without a server.

use std::future::IntoFuture;
use std::io::Write;

use anyhow::{Context, Result};
use axum::serve::ListenerExt;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tombolo_api::{NewToken, issue_token};
use tombolo_core::ports::sandbox::{InstallError, Installed, Sandbox};
use tombolo_core::ports::store::Scope;
use tombolo_store::SqliteStore;

use crate::config::Config;
use crate::data_dir::DataDir;
use crate::system::System;
use crate::{assemble, data_dir, first_start, logs};

/// Runs the server until SIGTERM or Ctrl-C.
///
/// # Errors
/// If something that it needs cannot be opened; the text says what.
pub async fn serve(mut config: Config) -> Result<()> {
    logs::start(&config.log)?;
    let _held = DataDir::hold(&config.data.dir)?;
    // Bound first: the port may be the system's choice, and senders sign the address they call.
    let listener = TcpListener::bind(config.server.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.server.listen))?;
    config.server.listen = listener.local_addr()?;
    let host = assemble::host(&config).await?;
    first_start::prepare(&*host.store, &config.data.admin_token()).await?;
    host.registry.reload().await?;
    host.engine.start().await?;
    let warming = host.sandbox.clone();
    tokio::spawn(async move {
        if let Err(error) = warming.warm_up().await {
            tracing::error!(%error, "the expression evaluator does not load");
        }
    });
    announce(&config);
    listen(listener, host.router(&config), &config).await?;
    host.engine.stop().await;
    host.store.close().await;
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

/// Serves until a signal, then lets requests under way finish within the drain time.
async fn listen(listener: TcpListener, router: axum::Router, config: &Config) -> Result<()> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stopping = CancellationToken::new();
    let listener = listener.tap_io(|connection| {
        // Answers are small and wanted at once.
        let _ = connection.set_nodelay(true);
    });
    let server =
        axum::serve(listener, router).with_graceful_shutdown(stopping.clone().cancelled_owned());
    let mut server = std::pin::pin!(server.into_future());
    tokio::select! {
        ended = &mut server => return Ok(ended?),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: no new requests, those under way may finish");
    stopping.cancel();
    match tokio::time::timeout(config.server.drain_timeout(), server).await {
        Ok(ended) => Ok(ended?),
        Err(_) => {
            tracing::warn!("requests were still open at the end of server.drain_timeout_ms");
            Ok(())
        }
    }
}

/// Makes a token, directly in the store. For somebody who may read the data folder.
///
/// # Errors
/// If the store cannot be written.
pub async fn create_token(
    config: Config,
    name: String,
    scopes: Vec<Scope>,
    tenant: String,
    days: Option<u32>,
) -> Result<String> {
    data_dir::make(&config.data.dir)?;
    let store = SqliteStore::open(&config.data.database(), config.store.sqlite()).await?;
    let tenant = first_start::tenant(&store, &tenant).await?;
    let new = NewToken { tenant: tenant.id, name, scopes, expires_in_days: days };
    let issued = issue_token(&store, &System, &System, &System, new).await?;
    store.close().await;
    Ok(issued.token.as_str().to_owned())
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
    let host = assemble::host(&config).await?;
    let installed = host.sandbox.install(component).await;
    host.store.close().await;
    Ok(installed)
}
