//! `GET` of a callback address: the page of an approval. Changes nothing, so that whoever looks ahead
//! at links does not decide.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use tombolo_core::workflow::Builtin;

use super::{Asked, Parts, page};
use crate::app::Shared;
use crate::extract::PathParam;
use crate::problem::{Kind, Problem};

/// The page of an approval: what is asked, and a form to decide it. The address of a `callback` node
/// has no page.
#[utoipa::path(
    get,
    path = "/callbacks/{tenant}/{run}/{node}/{proof}",
    tag = "callbacks",
    operation_id = "showCallback",
    params(
        ("tenant" = String, Path, example = "ten_01980000000070008000000000000001"),
        ("run" = String, Path),
        ("node" = String, Path),
        ("proof" = String, Path, description = "22 characters of base64url"),
    ),
    responses((status = 200, content_type = "text/html", body = String))
)]
pub(crate) async fn ask(
    State(app): State<Shared>,
    PathParam(parts): PathParam<Parts>,
) -> Result<Response, Problem> {
    let asked = Asked::at(&app, &parts).await?;
    if asked.builtin == Builtin::Approval {
        let standing = asked.standing(&app).await?;
        return Ok(page::of_approval(&asked, &standing));
    }
    let detail = "a `callback` node has no page: send its answer with POST";
    let mut response = Problem::new(Kind::WrongMethod, detail).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    Ok(response)
}
