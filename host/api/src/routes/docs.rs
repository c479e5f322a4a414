//! `/openapi.json` and `/docs`: the document, and a page to browse it whose files are in the binary.
//!
//! The page loads nothing from elsewhere; its content security policy would not let it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, serve};

use crate::app::Shared;
use crate::extract::PathParam;
use crate::problem::{Kind, Problem};

/// Scripts and data from here only. The page sets styles in attributes and draws icons as data.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// The only routes beside [`super::build::Routes`]: open to everybody, and not in the document.
pub(crate) fn pages(document: &OpenApi) -> Router<Shared> {
    let text = Bytes::from(serde_json::to_vec(document).unwrap_or_default());
    let document = move || async move { ([(header::CONTENT_TYPE, "application/json")], text) };
    let config = Arc::new(
        Config::from("/openapi.json").validator_url("none").display_request_duration(true),
    );
    let index = Arc::clone(&config);
    Router::new()
        .route("/openapi.json", get(document))
        .route("/docs", get(|| async { Redirect::permanent("/docs/") }))
        .route("/docs/", get(|| async move { file("", index) }))
        .route(
            "/docs/{*file}",
            get(|PathParam(path): PathParam<String>| async move { file(&path, config) }),
        )
}

fn file(path: &str, config: Arc<Config<'static>>) -> Response {
    match serve(path, config) {
        Ok(Some(file)) => page(&file.content_type, file.bytes.into_owned()),
        Ok(None) => Problem::new(Kind::UnknownRoute, format!("the page has no file `{path}`"))
            .into_response(),
        Err(error) => Problem::internal(error.to_string()).into_response(),
    }
}

fn page(content_type: &str, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    if let Ok(value) = HeaderValue::from_str(content_type) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    response
}
