//! `GET /problems/{code}`: where the `type` of a problem leads to.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::extract::PathParam;
use crate::problem::{Kind, Problem, type_uri};

/// A type of problem.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemType {
    #[serde(rename = "type")]
    uri: String,
    title: &'static str,
    status: u16,
    /// What to do about it.
    advice: &'static str,
}

/// What a problem's `type` means, and what to do about it.
#[utoipa::path(
    get,
    path = "/problems/{code}",
    tag = "about",
    operation_id = "showProblem",
    params(("code" = String, Path, description = "The last part of `type`")),
    responses((status = 200, body = ProblemType))
)]
pub(crate) async fn show(PathParam(code): PathParam<String>) -> Result<Json<ProblemType>, Problem> {
    let kind = Kind::ALL.iter().copied().find(|kind| kind.code() == code);
    let kind = kind.ok_or_else(|| {
        Problem::new(Kind::ProblemNotFound, format!("there is no type of problem `{code}`"))
    })?;
    Ok(Json(ProblemType {
        uri: type_uri(kind),
        title: kind.title(),
        status: kind.status().as_u16(),
        advice: kind.advice(),
    }))
}
