//! One request and its answer over a pooled connection, within the call's bounds. Owns the
//! distinction that retries depend on: whether the other side may have seen the request.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tombolo_core::ports::egress::{CallLimits, EgressError, InboundResponse};

use crate::connector::{ConnectError, GuardedConnector};
use crate::headers::remove_hop_by_hop;
use crate::host_port::HostPort;
use crate::resolve::Resolve;
use crate::settings::EgressSettings;
use crate::tls::{EgressSetupError, client_config};
use crate::turnstile::Turnstile;

/// Largest head of an answer, in bytes; both protocols.
const MAX_RESPONSE_HEAD_BYTES: u32 = 128 * 1024;
/// How often a busy HTTP/2 connection is asked whether it lives, and how long it may think.
const HTTP2_PING_EVERY: Duration = Duration::from_secs(20);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Memory that a body's announced length gets before any of it arrived, in bytes.
const MAX_BODY_RESERVE: u64 = 64 * 1024;

/// The pool of connections, and who may use it when.
pub(crate) struct Exchange {
    client: Client<HttpsConnector<GuardedConnector>, Full<Bytes>>,
    turnstile: Turnstile,
    allow: Vec<HostPort>,
}

/// The bounds of one call.
pub(crate) struct Bounds {
    pub connect: Duration,
    pub total: Duration,
    pub max_response_bytes: u64,
}

impl Bounds {
    /// The connection's limits, and what is left of the attempt's time.
    pub fn new(limits: &CallLimits, budget: Duration) -> Self {
        Self {
            connect: Duration::from_millis(limits.connect_timeout_ms),
            total: Duration::from_millis(limits.total_timeout_ms).min(budget),
            max_response_bytes: limits.max_response_bytes,
        }
    }
}

impl Exchange {
    pub fn new(
        settings: &EgressSettings,
        resolve: Arc<dyn Resolve>,
    ) -> Result<Self, EgressSetupError> {
        let tls = client_config(settings.extra_ca_file.as_deref().map(Path::new))?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(GuardedConnector::new(resolve, settings.allow.clone()));
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(settings.pool_idle_per_host)
            .pool_idle_timeout(Duration::from_millis(settings.pool_idle_timeout_ms))
            .http1_max_buf_size(MAX_RESPONSE_HEAD_BYTES as usize)
            .http2_max_header_list_size(MAX_RESPONSE_HEAD_BYTES)
            .http2_keep_alive_interval(HTTP2_PING_EVERY)
            .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT)
            // Once more on a new connection, if a pooled one closed before it took the request up.
            .retry_canceled_requests(true)
            .build(connector);
        Ok(Self { client, turnstile: Turnstile::new(settings), allow: settings.allow.clone() })
    }

    /// Sends `request` to `place` and reads the whole answer.
    pub async fn run(
        &self,
        place: &HostPort,
        mut request: Request<Full<Bytes>>,
        bounds: &Bounds,
    ) -> Result<InboundResponse, EgressError> {
        let captured = capture_connection(&mut request);
        let timeout = |sent: bool| EgressError::Timeout {
            host: place.to_string(),
            limit_ms: u64::try_from(bounds.total.as_millis()).unwrap_or(u64::MAX),
            sent,
        };
        if bounds.total.is_zero() {
            return Err(timeout(false));
        }
        let exchange = async {
            let _turn = self.turnstile.enter(place).await;
            let response = self.head(place, request, captured.clone(), bounds.connect).await?;
            read(place, response, bounds.max_response_bytes).await
        };
        tokio::time::timeout(bounds.total, exchange)
            .await
            .unwrap_or_else(|_| Err(timeout(has_connection(&captured))))
    }

    /// Up to the answer's head. The request gets a connection within `connect`, from the pool or a
    /// new one.
    async fn head(
        &self,
        place: &HostPort,
        request: Request<Full<Bytes>>,
        captured: CaptureConnection,
        connect: Duration,
    ) -> Result<http::Response<Incoming>, EgressError> {
        let mut waiting = captured.clone();
        let connected = async move { drop(waiting.wait_for_connection_metadata().await) };
        let mut answer = self.client.request(request);
        let result = tokio::select! {
            biased;
            result = &mut answer => result,
            stands = tokio::time::timeout(connect, connected) => match stands {
                Ok(()) => answer.await,
                Err(_) => return Err(self.unconnected(place, format!("no answer within {} ms", connect.as_millis()))),
            },
        };
        result.map_err(|error| self.explain(place, &error, &captured))
    }

    fn explain(
        &self,
        place: &HostPort,
        error: &ClientError,
        captured: &CaptureConnection,
    ) -> EgressError {
        match find::<ConnectError>(error) {
            Some(ConnectError::Forbidden { .. }) => {
                return EgressError::Refused { reason: causes(error) };
            }
            Some(reason) => return self.unconnected(place, reason.to_string()),
            None => {}
        }
        let untouched = find::<hyper::Error>(error).is_some_and(hyper::Error::is_canceled);
        if error.is_connect() || untouched || !has_connection(captured) {
            // TLS, or a connection that closed before it took the request up.
            return EgressError::Connect { host: place.to_string(), reason: causes(error) };
        }
        EgressError::Broken { host: place.to_string(), reason: causes(error) }
    }

    /// A closed port, a silent one and a missing name look the same on internal hosts: calls must
    /// not be a way to map the operator's network.
    fn unconnected(&self, place: &HostPort, reason: String) -> EgressError {
        let internal = self.allow.contains(place);
        let reason =
            if internal { "the host did not take the connection".to_owned() } else { reason };
        EgressError::Connect { host: place.to_string(), reason }
    }
}

/// True once the request was given to a connection: from then on it may have been sent.
fn has_connection(captured: &CaptureConnection) -> bool {
    captured.connection_metadata().is_some()
}

async fn read(
    place: &HostPort,
    response: http::Response<Incoming>,
    limit_bytes: u64,
) -> Result<InboundResponse, EgressError> {
    let too_large = || EgressError::ResponseTooLarge { host: place.to_string(), limit_bytes };
    let (mut head, mut body) = response.into_parts();
    // The announced length, or 0: what is too large is not even begun.
    let announced = body.size_hint().lower();
    if announced > limit_bytes {
        return Err(too_large());
    }
    let reserve = usize::try_from(announced.min(MAX_BODY_RESERVE)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(reserve);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| EgressError::Broken {
            host: place.to_string(),
            reason: causes(&error),
        })?;
        if let Some(data) = frame.data_ref() {
            if (bytes.len() + data.len()) as u64 > limit_bytes {
                return Err(too_large());
            }
            bytes.extend_from_slice(data);
        }
    }
    remove_hop_by_hop(&mut head.headers);
    Ok(InboundResponse { status: head.status, headers: head.headers, body: bytes.into() })
}

/// The first error of type `E` among `error` and its causes.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// What lies under the client's own error, outermost first.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> =
        chain(error).filter(|error| !error.is::<ClientError>()).map(ToString::to_string).collect();
    texts.dedup();
    if texts.is_empty() { "the connection closed".to_owned() } else { texts.join(": ") }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (**error).source())
}
