//! `wasi:http/outgoing-handler`: turns a guest's request into a call of the egress port and its
//! answer back into a response. Opens no connection, knows no credential, follows no redirect.
//!
//! An error tells the guest whether the other side may have seen the request, see [`error_code`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tombolo_core::clock::Clock;
use tombolo_core::effect::Effect;
use tombolo_core::ledger::Ask;
use tombolo_core::ports::egress::{
    Caller, Connection, Egress, EgressError, InboundResponse, OutboundCall,
};
use tombolo_core::ports::journal::{JournalEntry, changes, request_hash};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody,
    WasiHttpHooks,
};

use crate::calls::{CallLog, Ended, Ticket, without_query};
use crate::failure::Failure;
use crate::log::LogSink;
use crate::settings::HttpBounds;

/// Left of an attempt's time for the guest after a call that used all of its own.
const RESERVE: Duration = Duration::from_millis(100);

/// Headers that belong to the connection and not to the request, beside wasmtime's own list.
const CONNECTION_HEADERS: [HeaderName; 3] =
    [http::header::TE, http::header::TRAILER, http::header::EXPECT];

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sending = Box<dyn Future<Output = Result<(Response<WasiBody>, Io), Error>> + Send>;

/// The way out of one instance.
pub(crate) struct Outgoing {
    bounds: HttpBounds,
    open: Arc<Semaphore>,
    logs: LogSink,
    calls: CallLog,
    session: Option<Session>,
}

/// On whose behalf an instance calls out. Without one it cannot.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) egress: Arc<dyn Egress>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) caller: Arc<Caller>,
    pub(crate) connection: Option<Arc<Connection>>,
    /// When the attempt ends.
    pub(crate) ends: Instant,
    /// Calls that earlier attempts made.
    pub(crate) journal: Arc<[JournalEntry]>,
}

impl Outgoing {
    pub(crate) fn new(bounds: HttpBounds, logs: LogSink, session: Option<Session>) -> Self {
        let journal = session.as_ref().map(|session| Arc::clone(&session.journal));
        Self {
            bounds,
            open: Arc::new(Semaphore::new(bounds.open_calls)),
            logs,
            calls: CallLog::new(&journal.unwrap_or_default()),
            session,
        }
    }

    /// The record of every call.
    pub(crate) fn calls(&self) -> CallLog {
        self.calls.clone()
    }

    /// What is decided before anything is sent.
    fn admit(&self, request: &Request<WasiBody>) -> Result<Admitted, Error> {
        let refuse = |why: &str| {
            let (method, url) = (request.method(), without_query(request.uri()));
            self.logs.write("error", format!("{method} {url}: {why}"));
        };
        let Some(session) = &self.session else {
            return Err(Error::HttpRequestDenied);
        };
        if session.caller.effect == Effect::Pure {
            refuse("refused: the operation declares effect `pure`, so it may not call out");
            return Err(Error::HttpRequestDenied);
        }
        let Ok(permit) = Arc::clone(&self.open).try_acquire_owned() else {
            refuse(&format!(
                "refused: {} answers were not read to their end yet (limit http.open_calls)",
                self.bounds.open_calls
            ));
            return Err(Error::ConnectionLimitReached);
        };
        let now = session.clock.now();
        let Some(ticket) =
            self.calls.begin(request.method(), request.uri(), now, self.bounds.calls)
        else {
            refuse(&format!(
                "refused: the attempt made {} calls already (limit http.calls)",
                self.bounds.calls
            ));
            return Err(Error::HttpRequestDenied);
        };
        Ok(Admitted {
            session: session.clone(),
            bounds: self.bounds,
            logs: self.logs.clone(),
            permit,
            ticket,
        })
    }
}

impl WasiHttpHooks for Outgoing {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(|name| {
            DEFAULT_FORBIDDEN_HEADERS.contains(name) || CONNECTION_HEADERS.contains(name)
        })
    }

    fn set_host_header(&mut self) -> bool {
        // The egress sets it from the address it connects to.
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Io,
    ) -> Sending {
        let admitted = self.admit(&request);
        Box::new(async move {
            let response = admitted?.send(request, options).await?;
            Ok((response, Box::new(async { Ok(()) }) as Io))
        })
    }
}

/// A call that may be made.
struct Admitted {
    session: Session,
    bounds: HttpBounds,
    logs: LogSink,
    permit: OwnedSemaphorePermit,
    ticket: Ticket,
}

impl Admitted {
    async fn send(
        self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<Response<WasiBody>, Error> {
        let (parts, body) = request.into_parts();
        let body = match collect(body, self.bounds.request_bytes).await {
            Ok(body) => body,
            Err(error) => {
                self.ticket.never_sent(&error.to_string());
                return Err(error);
            }
        };
        let hash = request_hash(&parts.method, &parts.uri, &body);
        let change = if changes(&parts.method) {
            match self.ticket.change(hash) {
                Some(Ask::Send(place)) => Some(place),
                Some(Ask::Given(answer)) => {
                    self.ticket.repeated(&answer);
                    return self.respond(answer);
                }
                Some(Ask::TooLarge) => {
                    let limit = self.bounds.journal_bytes;
                    return self.stuck(|sequence| Failure::Journal { sequence, limit });
                }
                Some(Ask::Mismatch) => {
                    return self.stuck(|sequence| Failure::Mismatch { sequence });
                }
                None => return Err(Error::HttpRequestDenied),
            }
        } else if self.ticket.read(hash) {
            None
        } else {
            return Err(Error::HttpRequestDenied);
        };
        let call = OutboundCall {
            caller: Arc::clone(&self.session.caller),
            connection: self.session.connection.clone(),
            sequence: self.ticket.sequence(),
            change,
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
            body,
            request_hash: hash,
            budget: self.budget(options),
        };
        self.exchange(call).await
    }

    /// The journal of earlier attempts makes the call impossible.
    fn stuck(self, why: impl FnOnce(u32) -> Failure) -> Result<Response<WasiBody>, Error> {
        self.ticket.stuck(why(self.ticket.sequence()));
        Err(Error::HttpRequestDenied)
    }

    async fn exchange(self, call: OutboundCall) -> Result<Response<WasiBody>, Error> {
        let (answer, record) = self.session.egress.send(call).await;
        self.ticket.done(Ended {
            answer: answer.as_ref().ok(),
            record,
            unknown: unknown(&answer),
            room: self.bounds.journal_bytes,
        });
        match answer {
            Ok(answer) => self.respond(answer),
            Err(error) => {
                self.logs.write("warn", format!("call {}: {error}", self.ticket.sequence()));
                Err(error_code(&error))
            }
        }
    }

    /// What is left of the attempt, or less where the guest asks for less: the egress answers with
    /// a whole body, so a guest's limit until the first byte limits the whole answer.
    fn budget(&self, options: Option<RequestOptions>) -> Duration {
        let left = self.session.ends.saturating_duration_since(Instant::now());
        let reserve = RESERVE.min(left / 10);
        let wanted = options.and_then(|options| options.first_byte_timeout);
        (left - reserve).min(wanted.unwrap_or(Duration::MAX))
    }

    fn respond(self, answer: InboundResponse) -> Result<Response<WasiBody>, Error> {
        let header_bytes = size(&answer.headers);
        if header_bytes > self.bounds.header_bytes {
            self.logs.write(
                "warn",
                format!(
                    "call {}: the answer's headers take {header_bytes} bytes (limit http.header_bytes = {})",
                    self.ticket.sequence(),
                    self.bounds.header_bytes
                ),
            );
            return Err(Error::HttpResponseHeaderSectionSize(u32::try_from(header_bytes).ok()));
        }
        // The permit goes back when the guest has read, or dropped, the body.
        let permit = self.permit;
        let body = Full::new(answer.body).map_err(move |never| {
            let _held = &permit;
            match never {}
        });
        let mut response = Response::new(body.boxed_unsync());
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

async fn collect(body: WasiBody, limit: usize) -> Result<Bytes, Error> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(error) if error.is::<LengthLimitError>() => {
                Error::HttpRequestBodySize(u64::try_from(limit).ok())
            }
            Err(_) => Error::HttpProtocolError,
        }),
    }
}

/// Names and values, and what a header map keeps for each.
fn size(headers: &HeaderMap) -> usize {
    const PER_HEADER: usize = 64;
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + PER_HEADER).sum()
}

/// True if a request that changes something may have done so, and nobody knows. What the other side
/// answers is known; what a gateway answers in its place is not.
/// Source: RFC 9110, sections 15.6.3 (502) and 15.6.5 (504); Cloudflare's documentation of its own
/// statuses for an origin that answered nothing that could be understood (520), or not in time (524).
fn unknown(answer: &Result<InboundResponse, EgressError>) -> bool {
    match answer {
        Ok(answer) => {
            matches!(answer.status.as_u16(), 502 | 504 | 520 | 524)
        }
        Err(
            EgressError::Refused { .. }
            | EgressError::InvalidRequest { .. }
            | EgressError::Connect { .. },
        ) => false,
        Err(EgressError::Timeout { sent, .. }) => *sent,
        Err(EgressError::Broken { .. } | EgressError::ResponseTooLarge { .. }) => true,
    }
}

/// The guest's view of an [`EgressError`]. Nothing was sent for `http-request-denied`,
/// `http-request-uri-invalid`, `connection-refused` and `connection-timeout`; the request may have
/// taken effect for `http-response-timeout`, `connection-terminated` and
/// `http-response-body-size`.
fn error_code(error: &EgressError) -> Error {
    match error {
        EgressError::Refused { .. } => Error::HttpRequestDenied,
        EgressError::InvalidRequest { .. } => Error::HttpRequestUriInvalid,
        EgressError::Connect { .. } => Error::ConnectionRefused,
        EgressError::Timeout { sent: false, .. } => Error::ConnectionTimeout,
        EgressError::Timeout { sent: true, .. } => Error::HttpResponseTimeout,
        EgressError::Broken { .. } => Error::ConnectionTerminated,
        EgressError::ResponseTooLarge { limit_bytes, .. } => {
            Error::HttpResponseBodySize(Some(*limit_bytes))
        }
    }
}
