//! The accept loop and the connections, served through hyper directly, so that a connection can be
//! cut without an answer. Knows nothing of what is answered.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::answer::Shared;
use super::control;

/// Where the control routes live on every stand-in.
const CONTROL_PREFIX: &str = "/_control";

/// The pause after an accept that failed, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What one server is made of, and how it ends: `stop` tells, `open` counts.
#[derive(Clone)]
pub(super) struct Server {
    pub shared: Arc<Shared>,
    pub control: Router,
    pub stop: CancellationToken,
    pub open: TaskTracker,
}

impl Server {
    pub fn new(shared: Arc<Shared>) -> Self {
        let control = control::router(Arc::clone(&shared));
        Self { shared, control, stop: CancellationToken::new(), open: TaskTracker::new() }
    }

    /// Accepts until told to stop.
    pub async fn run(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    self.open.spawn(self.clone().serve(stream));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    /// Serves one connection until either side closes it, a call cuts it, or the server stops.
    async fn serve(self, stream: TcpStream) {
        // An answer is one small write; waiting for more to send would only delay it. Where the
        // option is refused the answers are slower, not wrong.
        let _ = stream.set_nodelay(true);
        let cut = CancellationToken::new();
        let (server, own_cut) = (self.clone(), cut.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            server.clone().respond(request, own_cut.clone())
        });
        let builder = auto::Builder::new(TokioExecutor::new());
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        // Dropping the connection closes the socket without writing anything more.
        tokio::select! {
            _ = connection => {}
            () = cut.cancelled() => {}
            () = self.stop.cancelled() => {}
        }
    }

    async fn respond(
        self,
        request: Request<Incoming>,
        cut: CancellationToken,
    ) -> Result<http::Response<Body>, Infallible> {
        if request.uri().path().starts_with(CONTROL_PREFIX) {
            self.control.oneshot(request.map(Body::new)).await
        } else {
            Ok(self.shared.answer(request, cut).await)
        }
    }
}
