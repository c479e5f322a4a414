//! One call from its arrival to its answer: recorded, perhaps hit by a misbehaviour, worked on by
//! the provider, perhaps replayed. Never touches sockets: to cut a connection it cancels a token.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header, request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::call::{Log, idempotency_key};
use super::idempotency::{Fingerprint, FirstAnswers, Kept};
use super::misbehaviour::Queue;
use super::{
    MAX_RECORDED_CALLS, MAX_REQUEST_BODY_BYTES, Misbehaviour, Provider, body, json_response,
};

/// What all connections of one stand-in share.
pub(super) struct Shared {
    pub provider: std::sync::Arc<dyn Provider>,
    pub router: Router,
    pub log: Log,
    pub queue: Mutex<Queue>,
    pub first_answers: FirstAnswers,
    pub honour_idempotency_keys: std::sync::atomic::AtomicBool,
}

impl Shared {
    pub fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Back to the start: no calls, no commands, no first answers, the seeded objects.
    pub fn reset(&self) {
        self.queue().clear();
        self.first_answers.clear();
        self.provider.reset();
        self.log.clear();
    }

    /// Answers one call. Where there is to be no answer, it never returns.
    pub async fn answer(
        &self,
        request: Request<Incoming>,
        cut: CancellationToken,
    ) -> Response<Body> {
        let (head, incoming) = request.into_parts();
        let body = match Limited::new(incoming, MAX_REQUEST_BODY_BYTES).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return too_large(),
            // The client broke off in the middle of its request.
            Err(_) => return cut_off(&cut).await,
        };
        let (method, path) = (head.method.as_str(), head.uri.path());
        let misbehaviour = self.queue().take(self.provider.base_path(), method, path);
        let Some(sequence) = self.log.arrived(&head, body.clone(), misbehaviour.clone()) else {
            return record_full();
        };
        let call = Recorded { head, body, sequence };
        let response = match misbehaviour {
            None => self.work(call).await.map(Body::from),
            Some(misbehaviour) => self.misbehave(misbehaviour, call, cut).await,
        };
        self.log.answered(sequence, response.status().as_u16());
        response
    }

    async fn misbehave(
        &self,
        misbehaviour: Misbehaviour,
        call: Recorded,
        cut: CancellationToken,
    ) -> Response<Body> {
        match misbehaviour {
            Misbehaviour::RateLimit { retry_after_s } => self.provider.rate_limited(retry_after_s),
            Misbehaviour::Status { status } => self.failure(status),
            Misbehaviour::Hang => std::future::pending().await,
            Misbehaviour::HangAfterWork => {
                self.work(call).await;
                std::future::pending().await
            }
            Misbehaviour::Delay { delay_ms } => {
                let response = self.work(call).await;
                tokio::time::sleep(Duration::from_millis(delay_ms)).await;
                response.map(Body::from)
            }
            Misbehaviour::CloseBeforeWork => cut_off(&cut).await,
            Misbehaviour::CloseAfterWork => {
                self.work(call).await;
                cut_off(&cut).await
            }
            Misbehaviour::CloseMidBody => {
                keep_length(self.work(call).await).map(|whole| body::cut_in_the_middle(whole, cut))
            }
            Misbehaviour::MalformedJson => {
                self.work(call).await.map(|whole| Body::from(whole.slice(..whole.len() / 2)))
            }
            Misbehaviour::EmptyBody => self.work(call).await.map(|_| Body::empty()),
            Misbehaviour::Html => web_page(),
            Misbehaviour::Oversized { bytes } => json_head(body::oversized(bytes)),
            Misbehaviour::Slow { byte_delay_ms } => {
                let pause = Duration::from_millis(byte_delay_ms);
                self.work(call).await.map(|whole| body::slow(whole, pause))
            }
            Misbehaviour::Redirect { location } => redirect(&location),
        }
    }

    /// Lets the provider do the work, or repeats its first answer where keys are honoured.
    async fn work(&self, call: Recorded) -> Response<Bytes> {
        let honoured = self.honour_idempotency_keys.load(std::sync::atomic::Ordering::Relaxed)
            && self.provider.is_write(&call.head.method, call.head.uri.path());
        let key = idempotency_key(&call.head.headers).filter(|_| honoured);
        let Some(key) = key else {
            return self.perform(call).await;
        };

        let fingerprint = Fingerprint {
            method: call.head.method.clone(),
            path: call.head.uri.path().to_owned(),
            body: call.body.clone(),
        };
        let mut place = self.first_answers.place(&key).await;
        if let Some(kept) = place.as_ref() {
            return kept.replay(&fingerprint).unwrap_or_else(key_reused);
        }
        let response = self.perform(call).await;
        if response.status().is_success() {
            *place = Some(Kept::new(fingerprint, &response));
        }
        response
    }

    async fn perform(&self, call: Recorded) -> Response<Bytes> {
        let is_write = self.provider.is_write(&call.head.method, call.head.uri.path());
        let request = Request::from_parts(call.head, Body::from(call.body));
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .unwrap_or_else(|never: Infallible| match never {});
        if is_write && response.status().is_success() {
            self.log.performed(call.sequence);
        }
        let (mut head, body) = response.into_parts();
        // The length of the body that is sent in the end, not of this one, is to be told.
        head.headers.remove(header::CONTENT_LENGTH);
        // A provider's body is complete in memory, so reading it cannot fail.
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Response::from_parts(head, body)
    }

    fn failure(&self, status: u16) -> Response<Body> {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        json_response(status, &self.provider.failure(status))
    }
}

/// A recorded call on its way to the provider.
struct Recorded {
    head: request::Parts,
    body: Bytes,
    sequence: u64,
}

/// Has the connection closed; what waits for this answer is dropped with it.
async fn cut_off(cut: &CancellationToken) -> Response<Body> {
    cut.cancel();
    std::future::pending().await
}

/// Announces the whole length, so that half of the body is seen to be half.
fn keep_length(mut response: Response<Bytes>) -> Response<Bytes> {
    let length = HeaderValue::from(response.body().len());
    response.headers_mut().insert(header::CONTENT_LENGTH, length);
    response
}

fn json_head(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn web_page() -> Response<Body> {
    const PAGE: &str = "<!doctype html><html><head><title>Maintenance</title></head>\
                        <body><h1>We will be back soon</h1></body></html>";
    let mut response = Response::new(Body::from(PAGE));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

fn redirect(location: &str) -> Response<Body> {
    let Ok(location) = HeaderValue::from_str(location) else {
        let error = json!({ "error": "the redirect's location is no header value" });
        return json_response(StatusCode::INTERNAL_SERVER_ERROR, &error);
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response.headers_mut().insert(header::LOCATION, location);
    response
}

fn too_large() -> Response<Body> {
    let error = format!("the stand-in reads at most {MAX_REQUEST_BODY_BYTES} bytes of a body");
    json_response(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "error": error }))
}

fn record_full() -> Response<Body> {
    let error = format!(
        "the stand-in has recorded {MAX_RECORDED_CALLS} calls, which is all it can: \
         reset it with DELETE /_control, or use the sink"
    );
    json_response(StatusCode::INSUFFICIENT_STORAGE, &json!({ "error": error }))
}

/// As in the IETF draft on the idempotency key header.
fn key_reused() -> Response<Bytes> {
    let error = "this idempotency key was used for a different request";
    let mut response = Response::new(Bytes::from(json!({ "error": error }).to_string()));
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    response
}
