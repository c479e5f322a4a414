//! The routes under `/crm/v3/objects`: authentication, parsing, answers.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use http::{StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::HubSpot;
use super::association::Wanted;
use super::crm::{Crm, ObjectType};
use super::error::Refusal;
use super::search::{self, SearchRequest};
use crate::standin::json_response;

type Answer = Result<http::Response<Body>, Refusal>;

pub(super) fn router(hubspot: Arc<HubSpot>) -> Router {
    Router::new()
        .route("/crm/v3/objects/{type}", post(create))
        .route("/crm/v3/objects/{type}/search", post(search_objects))
        .route("/crm/v3/objects/{type}/{id}", get(read).patch(update))
        .fallback(|| async { Refusal::NotFound })
        .layer(from_fn_with_state(Arc::clone(&hubspot), authenticate))
        .layer(middleware::map_response(no_bare_405))
        .with_state(hubspot)
}

async fn authenticate(
    State(hubspot): State<Arc<HubSpot>>,
    request: Request,
    next: Next,
) -> Response {
    let token = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match token {
        Some(token) if hubspot.accepts(token) => next.run(request).await,
        _ => Refusal::Unauthenticated.into_response(),
    }
}

/// HubSpot answers a wrong method with JSON, axum with nothing.
async fn no_bare_405(response: Response) -> Response {
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let body = serde_json::json!({ "status": "error", "message": "HTTP 405 Method Not Allowed" });
    json_response(StatusCode::METHOD_NOT_ALLOWED, &body)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadQuery {
    properties: Option<String>,
    associations: Option<String>,
    id_property: Option<String>,
}

/// `GET /crm/v3/objects/{type}/{id}?properties=a,b&associations=companies`
async fn read(
    State(hubspot): State<Arc<HubSpot>>,
    Path((kind, id)): Path<(String, String)>,
    Query(query): Query<ReadQuery>,
) -> Answer {
    let kind = object_type(&kind)?;
    let crm = hubspot.crm();
    let id = object_id(&crm, kind, &id, query.id_property.as_deref())?;
    let object = crm.object(kind, id).ok_or(Refusal::NotFound)?;
    let properties = query.properties.map(|list| list_of(&list));
    let mut value = crm.json(kind, object, properties.as_deref());
    for name in query.associations.iter().flat_map(|list| list_of(list)) {
        let to = object_type(&name)?;
        if let Some(results) = crm.associations.json((kind, id), to) {
            value["associations"][to.name()] = results;
        }
    }
    Ok(json_response(StatusCode::OK, &value))
}

#[derive(Debug, Deserialize)]
struct CreateRequest {
    properties: Map<String, Value>,
    #[serde(default)]
    associations: Vec<Wanted>,
}

/// `POST /crm/v3/objects/{type}`
async fn create(
    State(hubspot): State<Arc<HubSpot>>,
    Path(kind): Path<String>,
    body: Bytes,
) -> Answer {
    let kind = object_type(&kind)?;
    let request: CreateRequest = parse(&body)?;
    let ends = request
        .associations
        .iter()
        .map(|wanted| wanted.end(kind))
        .collect::<Result<Vec<_>, _>>()?;
    let mut crm = hubspot.crm();
    if ends.iter().any(|(to, id)| crm.object(*to, *id).is_none()) {
        return Err(Refusal::NotFound);
    }
    let id = crm.create(kind, &request.properties)?;
    for end in ends {
        crm.associations.link((kind, id), end);
    }
    let asked: Vec<String> = request.properties.keys().cloned().collect();
    shown(&crm, kind, id, &asked, StatusCode::CREATED)
}

#[derive(Debug, Deserialize)]
struct UpdateRequest {
    properties: Map<String, Value>,
}

/// `PATCH /crm/v3/objects/{type}/{id}`
async fn update(
    State(hubspot): State<Arc<HubSpot>>,
    Path((kind, id)): Path<(String, String)>,
    Query(query): Query<ReadQuery>,
    body: Bytes,
) -> Answer {
    let kind = object_type(&kind)?;
    let request: UpdateRequest = parse(&body)?;
    let mut crm = hubspot.crm();
    let id = object_id(&crm, kind, &id, query.id_property.as_deref())?;
    crm.update(kind, id, &request.properties)?;
    let asked: Vec<String> = request.properties.keys().cloned().collect();
    shown(&crm, kind, id, &asked, StatusCode::OK)
}

/// `POST /crm/v3/objects/{type}/search`
async fn search_objects(
    State(hubspot): State<Arc<HubSpot>>,
    Path(kind): Path<String>,
    body: Bytes,
) -> Answer {
    let kind = object_type(&kind)?;
    let request: SearchRequest = parse(&body)?;
    let found = search::run(&hubspot.crm(), kind, &request)?;
    Ok(json_response(StatusCode::OK, &found))
}

/// What was written, as HubSpot shows it: the properties of the request.
fn shown(crm: &Crm, kind: ObjectType, id: u64, asked: &[String], status: StatusCode) -> Answer {
    let object = crm.object(kind, id).ok_or(Refusal::NotFound)?;
    Ok(json_response(status, &crm.json(kind, object, Some(asked))))
}

fn object_type(text: &str) -> Result<ObjectType, Refusal> {
    ObjectType::parse(text)
        .ok_or_else(|| Refusal::Invalid(format!("Unable to infer object type from: {text}")))
}

/// An id of a path; with `idProperty`, the value of a unique property.
fn object_id(
    crm: &Crm,
    kind: ObjectType,
    text: &str,
    id_property: Option<&str>,
) -> Result<u64, Refusal> {
    match id_property {
        None | Some("hs_object_id") => text.parse().map_err(|_| Refusal::NotFound),
        Some("email") if kind == ObjectType::Contacts => {
            crm.id_by_property(kind, "email", text).ok_or(Refusal::NotFound)
        }
        Some(other) => Err(Refusal::Invalid(format!("{other} is not a unique property"))),
    }
}

fn list_of(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        Refusal::Invalid(format!(
            "Invalid input JSON on line {}, column {}: {error}",
            error.line(),
            error.column()
        ))
    })
}
