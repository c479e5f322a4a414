//! The order in which a call is checked, furnished, sent and recorded.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::{Request, Uri};
use http_body_util::Full;
use tombolo_core::clock::Clock;
use tombolo_core::ports::egress::{CallRecord, Egress, EgressError, InboundResponse, OutboundCall};
use tombolo_core::ports::vault::Vault;

use crate::admission::{Admitted, admit};
use crate::credentials::Credentials;
use crate::exchange::{Bounds, Exchange};
use crate::headers::prepare;
use crate::host_port::HostPort;
use crate::record::Recorder;
use crate::redact::Redactor;
use crate::resolve::Resolve;
use crate::settings::EgressSettings;
use crate::tls::EgressSetupError;

/// The way out over HTTP/1.1 and HTTP/2.
pub struct HttpEgress {
    vault: Arc<dyn Vault>,
    clock: Arc<dyn Clock>,
    allow: Vec<HostPort>,
    exchange: Exchange,
}

impl HttpEgress {
    /// Reads the certificate authorities and opens an empty pool.
    pub fn new(
        settings: EgressSettings,
        vault: Arc<dyn Vault>,
        clock: Arc<dyn Clock>,
        resolve: Arc<dyn Resolve>,
    ) -> Result<Self, EgressSetupError> {
        let exchange = Exchange::new(&settings, resolve)?;
        Ok(Self { vault, clock, allow: settings.allow, exchange })
    }

    async fn call(
        &self,
        call: &OutboundCall,
        credentials: &Credentials,
        recorder: &mut Recorder<'_>,
    ) -> Result<InboundResponse, EgressError> {
        let admitted = admit(call, &self.allow)?;
        let request = furnish(call, &admitted, credentials, recorder)?;
        let bounds = Bounds::new(&admitted.connection.limits, call.budget);
        let response = self.exchange.run(&admitted.target.place, request, &bounds).await?;
        Ok(scrubbed(response, &credentials.redactor))
    }
}

#[async_trait]
impl Egress for HttpEgress {
    async fn send(&self, call: OutboundCall) -> (Result<InboundResponse, EgressError>, CallRecord) {
        let credentials = Credentials::open(&*self.vault, call.connection.as_deref());
        let mut recorder = Recorder::begin(&call, &credentials.redactor, self.clock.now());
        let result = self.call(&call, &credentials, &mut recorder).await;
        let record = recorder.end(&result, self.clock.now());
        tracing::debug!(
            run = %call.caller.run,
            node = %call.caller.node,
            correlation = %call.caller.correlation_id,
            method = %record.method,
            status = record.status,
            error = record.error,
            duration_ms = record.duration_ms,
            "call"
        );
        (result, record)
    }
}

impl fmt::Debug for HttpEgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpEgress").field("allow", &self.allow).finish_non_exhaustive()
    }
}

/// The request as it goes out: headers of ours, then credentials.
fn furnish(
    call: &OutboundCall,
    admitted: &Admitted<'_>,
    credentials: &Credentials,
    recorder: &mut Recorder<'_>,
) -> Result<Request<Full<bytes::Bytes>>, EgressError> {
    let limit = admitted.connection.limits.max_request_bytes;
    if call.body.len() as u64 > limit {
        return Err(EgressError::InvalidRequest {
            reason: format!(
                "the request's body has {} bytes, the limit is {limit} (limit max_request_bytes of connection `{}`)",
                call.body.len(),
                admitted.connection.name
            ),
        });
    }
    let mut headers = prepare(call)?;
    let mut url = admitted.target.url.clone();
    credentials.attach(admitted, &mut url, &mut headers)?;
    recorder.sending(url.as_str(), &headers);
    let uri = Uri::try_from(url.as_str()).map_err(|_| EgressError::InvalidRequest {
        reason: "the URL has characters that cannot be sent".to_owned(),
    })?;
    let mut request = Request::new(Full::new(call.body.clone()));
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// A server that echoes its request must not hand the plugin what the plugin may not see.
fn scrubbed(mut response: InboundResponse, redactor: &Redactor) -> InboundResponse {
    let length = response.body.len();
    response.body = redactor.scrub(response.body);
    if response.body.len() != length {
        response.headers.remove(http::header::CONTENT_LENGTH);
    }
    for value in response.headers.values_mut() {
        let clean = redactor.scrub(bytes::Bytes::copy_from_slice(value.as_bytes()));
        if clean != value.as_bytes()
            && let Ok(clean) = http::HeaderValue::from_maybe_shared(clean)
        {
            *value = clean;
        }
    }
    response
}
