//! The problems that a route answers with, in the OpenAPI document: one response for each status,
//! with the codes that have it. What the whole process may answer is in `default`.

use std::collections::BTreeMap;

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, Ref, Response};

use crate::problem::{Kind, MEDIA_TYPE};

/// The name of the schema of every problem.
pub(super) const SCHEMA: &str = "Problem";

/// Of every route that asks for a token.
pub(super) const GUARDED: &[Kind] = &[
    Kind::Unauthorized,
    Kind::Forbidden,
    Kind::ClaimUnknown,
    Kind::RateLimited,
    Kind::IssuerUnavailable,
    Kind::StoreUnreachable,
];
/// Of a route with an id or a number in its address.
pub(super) const ID: &[Kind] = &[Kind::InvalidId];
/// Of a route that takes a body.
pub(super) const BODY: &[Kind] =
    &[Kind::UnsupportedMediaType, Kind::BodyTimeout, Kind::BodyBroken, Kind::Timeout];
/// Of a route that takes JSON.
pub(super) const JSON: &[Kind] =
    &[Kind::BodyTooLarge, Kind::NotUtf8, Kind::NotJson, Kind::DuplicateKey, Kind::JsonTooDeep];
/// Of a route that writes.
pub(super) const WRITES: &[Kind] = &[Kind::StoreBusy, Kind::DiskFull];

/// Adds the problems, and `default` for those that any route may answer.
pub(super) fn describe(operation: &mut Operation, kinds: &[&[Kind]]) {
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in kinds.iter().copied().flatten() {
        by_status.entry(kind.status().as_u16()).or_default().push(*kind);
    }
    for (status, kinds) in by_status {
        add(operation, status.to_string(), response(status, &kinds));
    }
    let other = Response::new("Another problem: `internal`, or one of what stands between");
    add(operation, "default".to_owned(), with_content(other));
}

fn add(operation: &mut Operation, status: String, response: Response) {
    operation.responses.responses.insert(status, response.into());
}

fn response(status: u16, kinds: &[Kind]) -> Response {
    let lines = kinds.iter().map(|kind| format!("`{}`: {}", kind.code(), kind.title()));
    let mut response = with_content(Response::new(lines.collect::<Vec<_>>().join(". ")));
    let header = match status {
        401 => Some(("WWW-Authenticate", Type::String, "`Bearer`")),
        429 | 503 => Some(("Retry-After", Type::Integer, "Seconds")),
        _ => None,
    };
    if let Some((name, kind, words)) = header {
        let schema = ObjectBuilder::new().schema_type(kind);
        let header = HeaderBuilder::new().schema(Some(schema)).description(Some(words)).build();
        response.headers.insert(name.to_owned(), header.into());
    }
    response
}

fn with_content(mut response: Response) -> Response {
    let content = Content::new(Some(Ref::from_schema_name(SCHEMA)));
    response.content.insert(MEDIA_TYPE.to_owned(), content.into());
    response
}

/// The schema of every problem.
pub(super) fn schema() -> ObjectBuilder {
    let text =
        |words: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(words));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("RFC 9457. Further members depend on the type; see `/problems/{code}`."))
        .property("type", text("`/problems/<code>`; stable, for programs"))
        .property("title", text("The same for every problem of the type"))
        .property("status", ObjectBuilder::new().schema_type(Type::Integer))
        .property("detail", text("What happened this time"))
        .property("instance", text("The path of the request"))
        .property("correlation_id", text("Find it in the log"))
        .required("type")
        .required("title")
        .required("status")
        .required("detail")
}
