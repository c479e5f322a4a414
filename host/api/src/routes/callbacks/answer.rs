//! `POST` of a callback address: the answer that lets its node go on.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use tombolo_core::audit::Actor;
use tombolo_core::json::Json as JsonText;
use tombolo_core::ports::repair::By;
use tombolo_core::ports::store::Signalled;
use tombolo_core::workflow::Builtin;
use utoipa::ToSchema;

use super::standing::Standing;
use super::{Asked, Parts, nobody, page};
use crate::app::{App, Shared};
use crate::extract::{Bound, Correlation, Incoming, PathParam, invalid, parse};
use crate::problem::{Kind, Problem};
use crate::routes::repairs::to_the_end;
use crate::routes::signals::Decision;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// Who knew an address, as the record has it.
const ACTOR: &str = "callback";

/// An answer that is kept for its node.
#[derive(Serialize, ToSchema)]
pub(crate) struct CallbackKept {
    /// `kept`: durable, and on its way.
    status: &'static str,
}

/// Answers a `callback` node with any JSON (no body is `null`), or an `approval` node with
/// `{"decision": "approved" | "rejected", "by": .., "reason": ..}` as JSON or as a form. The first
/// answer counts. Who sends a form is answered with a page.
#[utoipa::path(
    post,
    path = "/callbacks/{tenant}/{run}/{node}/{proof}",
    tag = "callbacks",
    operation_id = "answerCallback",
    params(
        ("tenant" = String, Path),
        ("run" = String, Path),
        ("node" = String, Path),
        ("proof" = String, Path),
    ),
    request_body(content = Value, description = "Any JSON; of an `approval`: a decision"),
    responses((status = 202, description = "Kept for the node", body = CallbackKept))
)]
pub(crate) async fn answer(
    State(app): State<Shared>,
    correlation: Correlation,
    PathParam(parts): PathParam<Parts>,
    request: Incoming,
) -> Result<Response, Problem> {
    let asked = match Asked::at(&app, &parts).await {
        Ok(asked) => asked,
        Err(problem) => {
            request.turn_away().await;
            return Err(problem);
        }
    };
    let reader = if is_form(&request.headers) { Reader::Person } else { Reader::Program };
    let by = By { correlation_id: Some(correlation.0), ..By::new(Actor(ACTOR.to_owned())) };
    match take(&app, &asked, request, by).await {
        Ok(taken) => Ok(reader.kept(&asked, taken)),
        Err(refusal) => reader.refused(&asked, refusal),
    }
}

/// Who reads the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Person,
    Program,
}

/// Why nothing was kept.
enum Refusal {
    /// Another answer came first.
    Answered(JsonText),
    /// It is too late.
    Over,
    Problem(Problem),
}

impl<E: Into<Problem>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Problem(error.into())
    }
}

/// Reads and keeps the answer. Gives the decision, if it is one.
async fn take(
    app: &App,
    asked: &Asked,
    request: Incoming,
    by: By,
) -> Result<Option<Decision>, Refusal> {
    // What is made of the body may be larger than the body: its room is kept to the end.
    let mut lease = app.callback_bodies.lease();
    let (decision, body) = if asked.builtin == Builtin::Approval {
        let is_form = is_form(&request.headers);
        let bound = bound(app.settings().max_body_bytes);
        let bytes = request.bytes_within(app, bound, &[JSON, FORM], &mut lease).await?;
        let body = if is_form { fields(&bytes)? } else { parse(&bytes)? };
        let decision = Decision::of_anybody(&body)?;
        let body = decision.body();
        (Some(decision), body)
    } else {
        let bound = bound(app.settings().max_callback_bytes);
        let bytes = request.bytes_within(app, bound, &[JSON], &mut lease).await?;
        (None, parse(&bytes)?)
    };
    keep(app, asked, body, by).await?;
    Ok(decision)
}

fn bound(limit: usize) -> Bound {
    Bound { limit, over: Kind::BodyTooLarge }
}

/// A signal does not wait for its run: it is durable when this is done.
async fn keep(app: &App, asked: &Asked, body: JsonText, by: By) -> Result<(), Refusal> {
    let (tenant, run, step) = (asked.view.run.tenant, asked.view.run.id, asked.step.clone());
    let repairs = app.ports.repairs.clone();
    let signalled = to_the_end(async move { repairs.signal(tenant, run, step, body, by).await });
    match signalled.await? {
        Signalled::Kept => Ok(()),
        Signalled::Unknown => Err(Refusal::Problem(nobody())),
        Signalled::Ended(_) => Err(Refusal::Over),
        Signalled::Taken => {
            let view = app.ports.store.run(tenant, run).await?.ok_or_else(nobody)?;
            let now = Asked { view, step: asked.step.clone(), builtin: asked.builtin };
            match now.standing(app).await? {
                Standing::Over => Err(Refusal::Over),
                Standing::Answered(answer) => Err(Refusal::Answered(answer)),
                Standing::Open { .. } | Standing::NotYet => {
                    Err(Refusal::Answered(JsonText::null()))
                }
            }
        }
    }
}

impl Reader {
    fn kept(self, asked: &Asked, decision: Option<Decision>) -> Response {
        match (self, decision) {
            (Self::Person, Some(decision)) => page::decided(asked, &decision),
            _ => (StatusCode::ACCEPTED, Json(CallbackKept { status: "kept" })).into_response(),
        }
    }

    fn refused(self, asked: &Asked, refusal: Refusal) -> Result<Response, Problem> {
        let person = self == Self::Person && asked.builtin == Builtin::Approval;
        match refusal {
            Refusal::Answered(answer) if person => {
                Ok(page::answered(StatusCode::CONFLICT, asked, &answer))
            }
            Refusal::Over if person => Ok(page::over(asked)),
            Refusal::Problem(problem) if person && problem.kind() == Kind::InvalidBody => {
                Ok(page::refused(asked, &problem))
            }
            Refusal::Answered(_) => {
                Err(Problem::new(Kind::AlreadyAnswered, "this address was answered before"))
            }
            Refusal::Over => {
                let detail = "the step has expired, or its run has ended";
                Err(Problem::new(Kind::CallbackOver, detail))
            }
            Refusal::Problem(problem) => Err(problem),
        }
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(FORM)
}

/// A form as JSON: each field is a string, and stands once.
fn fields(bytes: &[u8]) -> Result<JsonText, Problem> {
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(bytes) {
        if fields.contains_key(&*name) {
            return Err(invalid("", &format!("the field `{name}` stands twice")));
        }
        fields.insert(name.into_owned(), Value::String(value.into_owned()));
    }
    Ok(Value::Object(fields).into())
}
