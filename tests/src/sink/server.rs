//! The sink's connections: plain HTTP/1.1, as little work a call as can be.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::tally::Tally;
use crate::standin::MAX_REQUEST_BODY_BYTES;

type Answer = Response<Full<Bytes>>;

/// The pause after an accept that failed, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Serves on this thread, with a runtime of its own.
///
/// # Panics
/// If the process has no descriptors left for a runtime.
pub(super) fn block_on(serving: impl Future<Output = std::io::Result<()>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .and_then(|runtime| runtime.block_on(serving))
        .expect("the sink's thread needs a runtime");
}

/// Serves until told to stop; what is open then ends with the runtime of the sink's thread.
pub(super) async fn run(
    listener: std::net::TcpListener,
    tally: Arc<Tally>,
    delay: Duration,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return Ok(()),
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, Arc::clone(&tally), delay));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(stream: TcpStream, tally: Arc<Tally>, delay: Duration) {
    // Refused, answers are slower and not wrong.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| respond(request, Arc::clone(&tally), delay));
    // A connection that breaks is the caller's to notice.
    let _ = http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(
    request: Request<Incoming>,
    tally: Arc<Tally>,
    delay: Duration,
) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_REQUEST_BODY_BYTES).collect().await else {
        return Ok(json(StatusCode::PAYLOAD_TOO_LARGE, r#"{"error":"the body is too large"}"#));
    };
    if head.uri.path().starts_with("/_control") {
        return Ok(control(&head.method, head.uri.path(), &tally));
    }
    let key = head.headers.get("idempotency-key").map(HeaderValue::as_bytes);
    tally.record(key, &body.to_bytes());
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    Ok(json(StatusCode::OK, r#"{"ok":true}"#))
}

/// `GET /_control/counts`, `GET /_control/arrivals`, `DELETE /_control`.
fn control(method: &Method, path: &str, tally: &Tally) -> Answer {
    let value = match (method.as_str(), path) {
        ("GET", "/_control/counts") => serde_json::to_string(&tally.counts()),
        ("GET", "/_control/arrivals") => serde_json::to_string(&tally.arrivals()),
        ("DELETE", "/_control") => {
            tally.reset();
            Ok(r#"{"ok":true}"#.to_owned())
        }
        _ => return json(StatusCode::NOT_FOUND, r#"{"error":"no such control"}"#),
    };
    match value {
        Ok(text) => json(StatusCode::OK, text),
        Err(_) => json(StatusCode::INTERNAL_SERVER_ERROR, r#"{"error":"no JSON"}"#),
    }
}

fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
