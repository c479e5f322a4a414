//! The listening socket: so many connections, so much time for the head of a request, and an end in
//! three parts: those who talk are told, counted, and waited for (as long as the caller likes).

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Pause after a connection could not be accepted: it is the process that lacks something.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// Requests of one HTTP/2 connection at a time.
const STREAMS: u32 = 256;

/// How often a silent HTTP/2 connection is asked whether it is still there.
const PING: Duration = Duration::from_secs(20);

/// What clients may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections at a time; more wait until one ends.
    pub connections: usize,
    /// Until the head of a request is complete, and so how long a connection may be idle.
    pub head_timeout: Duration,
}

impl Bounds {
    /// No more connections than half of the files that the process may have open: the database and
    /// calls to other systems need theirs.
    pub fn within_files(mut self) -> Self {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let half =
            files.map_or(usize::MAX, |files| usize::try_from(files / 2).unwrap_or(usize::MAX));
        if half < self.connections {
            tracing::warn!(
                wanted = self.connections,
                "the process may open {} files, so it takes {half} connections",
                half * 2
            );
            self.connections = half.max(1);
        }
        self
    }
}

/// Serves until `stopping`, and then until the last request under way is answered.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    stopping: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let open = GracefulShutdown::new();
    let builder = builder(bounds);
    while let Some((stream, place)) = next(&listener, &places, &stopping).await {
        // Answers are small and wanted at once.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection =
            builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let connection = open.watch(connection);
        tokio::spawn(async move {
            // A client that goes away, or is too slow, is nobody's fault here.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    open.shutdown().await;
}

fn builder(bounds: Bounds) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(bounds.head_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(bounds.head_timeout);
    builder
}

/// The next connection and its place; None when it is time to stop.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    stopping: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let accepting = async {
        let place = places.clone().acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((stream, place)),
                Err(error) => {
                    tracing::error!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    };
    tokio::select! {
        accepted = accepting => accepted,
        () = stopping.cancelled() => None,
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the client of these tests is no part of the product"
)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn server(bounds: Bounds) -> (std::net::SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stopping = CancellationToken::new();
        let router = Router::new().fallback(|| async { "served" });
        tokio::spawn(serve(listener, router, bounds, stopping.clone()));
        (address, stopping)
    }

    async fn ask(address: std::net::SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn heads_that_never_end_give_their_places_back() {
        let bounds = Bounds { connections: 2, head_timeout: Duration::from_millis(200) };
        let (address, _stopping) = server(bounds).await;
        let mut slow = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
            slow.push(stream);
        }
        assert!(ask(address).await.ends_with("served"), "after the slow ones were cut off");
        for mut stream in slow {
            let mut rest = Vec::new();
            // Closed with an answer, an error, or nothing: closed.
            let _ = stream.read_to_end(&mut rest).await;
        }
    }

    #[tokio::test]
    async fn a_stop_takes_no_further_connection() {
        let bounds = Bounds { connections: 2, head_timeout: Duration::from_secs(60) };
        let (address, stopping) = server(bounds).await;
        assert!(ask(address).await.ends_with("served"));
        stopping.cancel();
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}
