//! `POST /api/v1/workflows/{name}/runs`: start a run, once per `Idempotency-Key`, and wait for its
//! answer where the caller prefers to.
//!
//! The event with its key and the run are one write, so there is no moment in which a second
//! request of the same key could start a second run. Its answer is the first one's: 202 with the
//! same ids, or with `Prefer: wait` the run's answer, or 409 while there is none.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use tombolo_core::id::{EventId, RunId};
use tombolo_core::ports::intake::{Answer, Arrival};
use tombolo_core::ports::store::Accepted;
use tombolo_core::run::RunState;
use utoipa::ToSchema;

use super::href;
use crate::access::{Caller, quota};
use crate::app::{App, Shared};
use crate::extract::{
    Correlation, IdempotencyKey, Incoming, PathParam, fingerprint, preferred_wait,
};
use crate::problem::{Kind, Problem};
use crate::routes::shapes::run_state;
use crate::routes::workflows::not_found;

/// What a caller is asked to wait whose first request has no answer yet.
const IN_USE_RETRY: Duration = Duration::from_secs(1);

/// A replayed answer says so.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// The run that an answer is from.
const RUN: HeaderName = HeaderName::from_static("tombolo-run");

/// Headers that a workflow does not set here: they would speak for the API.
const RESERVED: [HeaderName; 2] = [header::SET_COOKIE, header::WWW_AUTHENTICATE];

/// Why there is no run, or no answer of it, beside what the body may be.
pub(in crate::routes) const REFUSALS: &[Kind] = &[
    Kind::WorkflowNotFound,
    Kind::IdempotencyKeyInvalid,
    Kind::IdempotencyKeyReused,
    Kind::IdempotencyKeyInUse,
    Kind::RunFailed,
    Kind::RunCancelled,
    Kind::QuotaUsedUp,
    Kind::QuotaFull,
];

/// A run that was started.
#[derive(Serialize, ToSchema)]
pub(crate) struct Started {
    #[schema(value_type = String)]
    run: RunId,
    #[schema(value_type = String)]
    event: EventId,
    /// As it was accepted: `queued`. Look at `href` for where it stands now.
    #[schema(schema_with = run_state)]
    state: RunState,
    #[schema(example = "/api/v1/runs/run_01980000000070008000000000000001")]
    href: String,
}

/// Starts a run of the live version. The body is what expressions read as `.trigger`; an empty one
/// is `null`. With `Prefer: wait` (seconds) the answer is the run's if it comes in time.
#[utoipa::path(
    post,
    path = "/api/v1/workflows/{name}/runs",
    tag = "runs",
    operation_id = "startRun",
    params(
        ("name" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters. Kept as long as the event. The same key with another request is refused with 422."),
        ("Prefer" = Option<String>, Header, description = "`wait=10`: wait up to so many seconds, at most 60"),
    ),
    request_body(content = Value, description = "Any JSON"),
    responses(
        (
            status = 202,
            description = "Durable, and on its way",
            body = Started,
            headers(
                ("Location" = String, description = "The run"),
                ("Idempotency-Replayed" = Option<String>, description = "`true` if the run is that of an earlier request"),
                ("Preference-Applied" = Option<String>, description = "The `wait` that was held to"),
            )
        ),
        (
            status = 200,
            description = "With `Prefer: wait`: the run's answer; a `respond` node may choose another status",
            body = Value,
            headers(
                ("Tombolo-Run" = String, description = "The run's id"),
                ("Idempotency-Replayed" = Option<String>, description = "`true` if the run is that of an earlier request"),
                ("Preference-Applied" = Option<String>, description = "The `wait` that was held to"),
            )
        ),
    )
)]
pub(crate) async fn start(
    State(app): State<Shared>,
    caller: Caller,
    correlation: Correlation,
    PathParam(name): PathParam<String>,
    uri: Uri,
    request: Incoming,
) -> Result<Response, Problem> {
    let key = IdempotencyKey::of(&request.headers)?;
    let wait = preferred_wait(&request.headers).map(|wait| wait.min(app.settings().max_wait));
    let input = request.json(&app, app.settings().max_input_bytes).await?;
    let fingerprint = key.is_some().then(|| fingerprint("POST", uri.path(), input.value()));
    let arrival = Arrival {
        fingerprint,
        correlation_id: correlation.0,
        trigger: input.value().clone(),
        ..arrival(&app, &caller, &name, key)?
    };
    let known_by = arrival.fingerprint.map(|_| (&*arrival.source, &*arrival.dedupe_key));
    quota::start_run(&app, &caller, known_by).await?;
    let (accepted, replayed, answer) = accept(&app, arrival, wait).await?;
    match answer {
        Some(Answer::Ready { status, headers, body, .. }) => {
            answered(&accepted, replayed, wait, status, headers, body.text())
        }
        Some(Answer::NotYet) if replayed => Err(in_use(first_run(&accepted)?)),
        Some(Answer::NotYet) | None => started(&accepted, replayed, wait),
    }
}

fn arrival(
    app: &App,
    caller: &Caller,
    name: &str,
    key: Option<IdempotencyKey>,
) -> Result<Arrival, Problem> {
    let live = app.ports.subscriptions.workflow(caller.tenant, name);
    let subscriber = live.ok_or_else(|| not_found(name))?;
    let random = || app.ports.ids.next().simple().to_string();
    let source = format!("api:{name}");
    // As a webhook's event has it; there are no headers and no query to keep.
    let event = Map::from_iter([("source".to_owned(), Value::from(source.as_str()))]);
    Ok(Arrival {
        tenant: caller.tenant,
        source,
        dedupe_key: key.map_or_else(random, |key| key.0),
        fingerprint: None,
        trigger: Value::Null,
        event,
        correlation_id: String::new(),
        subscribers: vec![subscriber],
        by: Some(caller.by()),
    })
}

/// Makes the event durable, and waits for the run's answer if that is preferred. With a key, the
/// fingerprint is compared before the wait: a key of another request is refused at once.
async fn accept(
    app: &App,
    arrival: Arrival,
    wait: Option<Duration>,
) -> Result<(Accepted, bool, Option<Answer>), Problem> {
    let intake = &app.ports.intake;
    let (tenant, fingerprint) = (arrival.tenant, arrival.fingerprint);
    if let (Some(patience), None) = (wait, fingerprint) {
        let (accepted, answer) = intake.accept_and_wait(arrival, patience).await?;
        return Ok((accepted, false, Some(answer)));
    }
    let mut accepted = intake.accept(vec![arrival]).await?;
    let accepted = accepted.pop().ok_or_else(|| Problem::internal("the intake took no arrival"))?;
    let replayed = is_replay(&accepted, fingerprint)?;
    let Some(patience) = wait else {
        return Ok((accepted, replayed, None));
    };
    let answer = intake.wait(tenant, first_run(&accepted)?, patience).await?;
    Ok((accepted, replayed, Some(answer)))
}

/// True if the key is known from the same request; an error if it is from another.
fn is_replay(accepted: &Accepted, mine: Option<[u8; 32]>) -> Result<bool, Problem> {
    match accepted {
        Accepted::New { .. } => Ok(false),
        Accepted::Duplicate { fingerprint, .. } if *fingerprint == mine => Ok(true),
        Accepted::Duplicate { .. } => {
            let detail = "the key was used with another method, address or body";
            Err(Problem::new(Kind::IdempotencyKeyReused, detail))
        }
    }
}

fn first_run(accepted: &Accepted) -> Result<RunId, Problem> {
    let run = accepted.runs().first().copied();
    run.ok_or_else(|| Problem::internal(format!("event {} has no run", accepted.event())))
}

fn in_use(run: RunId) -> Problem {
    let detail = "the first request's run goes on and has no answer yet";
    Problem::new(Kind::IdempotencyKeyInUse, detail)
        .with("run", run.to_string())
        .with("href", href(run))
        .retry_after(IN_USE_RETRY)
}

fn started(
    accepted: &Accepted,
    replayed: bool,
    wait: Option<Duration>,
) -> Result<Response, Problem> {
    let run = first_run(accepted)?;
    let body = Started { run, event: accepted.event(), state: RunState::Queued, href: href(run) };
    let mut headers = notes(replayed, wait);
    headers.extend(super::location(run)?);
    Ok((StatusCode::ACCEPTED, headers, Json(body)).into_response())
}

/// The run's answer as the workflow gives it.
fn answered(
    accepted: &Accepted,
    replayed: bool,
    wait: Option<Duration>,
    status: u16,
    own: Vec<(String, String)>,
    body: &str,
) -> Result<Response, Problem> {
    let run = first_run(accepted)?.to_string();
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in own {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
            && !RESERVED.contains(&name)
        {
            headers.insert(name, value);
        }
    }
    headers.extend(notes(replayed, wait));
    headers.insert(
        RUN,
        HeaderValue::from_str(&run).map_err(|error| Problem::internal(error.to_string()))?,
    );
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    Ok((status, headers, Body::from(body.to_owned())).into_response())
}

fn notes(replayed: bool, wait: Option<Duration>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    let applied = wait.map(|wait| HeaderValue::try_from(format!("wait={}", wait.as_secs())));
    if let Some(Ok(applied)) = applied {
        headers.insert(APPLIED, applied);
    }
    headers
}
