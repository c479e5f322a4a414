//! Requests over `wasi:http/outgoing-handler`.

use ::http::Method;

use super::{Incoming, MAX_RESPONSE_BYTES, Outgoing, SendFailure, Transport};
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, Method as WasiMethod,
    OutgoingBody, OutgoingRequest, Scheme,
};
use crate::bindings::wasi::io::streams::StreamError;

/// How much a single blocking write may carry: the bound of `blocking-write-and-flush`.
const WRITE_BYTES: usize = 4096;

/// How much to ask for in one read, in bytes.
const READ_BYTES: u64 = 64 * 1024;

/// The transport of a component.
pub struct Wasi;

impl Transport for Wasi {
    fn send(&self, outgoing: &Outgoing) -> Result<Incoming, SendFailure> {
        let request = request(outgoing)?;
        let body = request
            .body()
            .map_err(|()| SendFailure::Refused("the request takes no body".to_owned()))?;
        // The host reads the body only once the request is handled, so this order matters.
        let future = outgoing_handler::handle(request, None).map_err(|code| failure(&code))?;
        write(body, outgoing.body.as_deref().unwrap_or_default())?;
        let response = wait(&future)?;
        let headers = response
            .headers()
            .entries()
            .into_iter()
            .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
            .collect();
        Ok(Incoming { status: response.status(), headers, body: read(&response)? })
    }
}

fn request(outgoing: &Outgoing) -> Result<OutgoingRequest, SendFailure> {
    let fields = Fields::new();
    for (name, value) in &outgoing.headers {
        fields.append(name, value.as_bytes()).map_err(|error| {
            SendFailure::Refused(format!("header `{name}` is not acceptable: {error:?}"))
        })?;
    }
    if let Some(body) = &outgoing.body {
        let length = body.len().to_string();
        fields
            .append("content-length", length.as_bytes())
            .map_err(|error| SendFailure::Refused(format!("content-length: {error:?}")))?;
    }
    let request = OutgoingRequest::new(fields);
    let url = &outgoing.url;
    let scheme = if url.scheme_str() == Some("http") { Scheme::Http } else { Scheme::Https };
    let authority = url.authority().map(::http::uri::Authority::as_str);
    let path = url.path_and_query().map(::http::uri::PathAndQuery::as_str);
    request
        .set_method(&method(&outgoing.method))
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(authority))
        .and_then(|()| request.set_path_with_query(path))
        .map_err(|()| SendFailure::Refused("the host does not accept its URL".to_owned()))?;
    Ok(request)
}

fn method(method: &Method) -> WasiMethod {
    match *method {
        Method::GET => WasiMethod::Get,
        Method::HEAD => WasiMethod::Head,
        Method::POST => WasiMethod::Post,
        Method::PUT => WasiMethod::Put,
        Method::DELETE => WasiMethod::Delete,
        Method::CONNECT => WasiMethod::Connect,
        Method::OPTIONS => WasiMethod::Options,
        Method::TRACE => WasiMethod::Trace,
        Method::PATCH => WasiMethod::Patch,
        ref other => WasiMethod::Other(other.as_str().to_owned()),
    }
}

fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), SendFailure> {
    {
        let stream = body
            .write()
            .map_err(|()| SendFailure::Refused("the request's body is closed".to_owned()))?;
        for chunk in bytes.chunks(WRITE_BYTES) {
            if stream.blocking_write_and_flush(chunk).is_err() {
                // The other side stopped listening; its response, or the lack of one, says why.
                return Ok(());
            }
        }
    }
    OutgoingBody::finish(body, None).map_err(|code| failure(&code))
}

fn wait(future: &FutureIncomingResponse) -> Result<IncomingResponse, SendFailure> {
    future.subscribe().block();
    match future.get() {
        Some(Ok(Ok(response))) => Ok(response),
        Some(Ok(Err(code))) => Err(failure(&code)),
        Some(Err(())) | None => Err(SendFailure::AfterSend("the host gave no response".to_owned())),
    }
}

fn read(response: &IncomingResponse) -> Result<Vec<u8>, SendFailure> {
    let broken = |reason: &str| SendFailure::AfterSend(reason.to_owned());
    let body = response.consume().map_err(|()| broken("the response's body is gone"))?;
    let stream = body.stream().map_err(|()| broken("the response's body is gone"))?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(READ_BYTES) {
            Ok(chunk) if bytes.len() + chunk.len() > MAX_RESPONSE_BYTES => {
                return Err(SendFailure::TooLarge);
            }
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(SendFailure::AfterSend(format!(
                    "the response broke off after {} bytes: {}",
                    bytes.len(),
                    error.to_debug_string()
                )));
            }
        }
    }
}

/// Sorts the errors of `wasi:http` by whether the request can have reached the other side.
fn failure(code: &ErrorCode) -> SendFailure {
    let reason = words(code);
    match code {
        ErrorCode::DnsTimeout
        | ErrorCode::DnsError(_)
        | ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::ConnectionRefused
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionLimitReached
        | ErrorCode::TlsProtocolError
        | ErrorCode::TlsAlertReceived(_) => SendFailure::NotSent(reason),
        ErrorCode::DestinationIpProhibited
        | ErrorCode::TlsCertificateError
        | ErrorCode::HttpRequestDenied
        | ErrorCode::HttpRequestLengthRequired
        | ErrorCode::HttpRequestBodySize(_)
        | ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestUriTooLong
        | ErrorCode::HttpRequestHeaderSectionSize(_)
        | ErrorCode::HttpRequestHeaderSize(_)
        | ErrorCode::HttpRequestTrailerSectionSize(_)
        | ErrorCode::HttpRequestTrailerSize(_)
        | ErrorCode::LoopDetected
        | ErrorCode::ConfigurationError => SendFailure::Refused(reason),
        ErrorCode::HttpResponseBodySize(_) => SendFailure::TooLarge,
        _ => SendFailure::AfterSend(reason),
    }
}

/// What happened, for people. The host's own words are with the step, in its record of calls.
fn words(code: &ErrorCode) -> String {
    let words = match code {
        ErrorCode::DnsTimeout | ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => {
            "the name of its host does not resolve"
        }
        ErrorCode::ConnectionRefused => "no connection came about",
        ErrorCode::ConnectionTimeout => "no connection came about in time",
        ErrorCode::ConnectionLimitReached => "too many calls are open at once",
        ErrorCode::ConnectionTerminated => "the connection broke before the answer was complete",
        ErrorCode::HttpResponseTimeout => "the answer was not complete in time",
        ErrorCode::DestinationIpProhibited | ErrorCode::HttpRequestDenied => {
            "it is not allowed; the record of the step's calls says which rule forbids it"
        }
        ErrorCode::HttpRequestUriInvalid => {
            "it cannot be called like this; the record of the step's calls says why"
        }
        other => return other.to_string(),
    };
    words.to_owned()
}
