//! Path and query parameters, refused as problems.

use axum::extract::path::{ErrorKind, FailedToDeserializePathParams};
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::{Kind, Problem};

/// A part of the address: a name, an id, a version.
pub(crate) struct PathParam<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for PathParam<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => Err(refused(error)),
            Err(error) => Err(Problem::internal(error.body_text())),
        }
    }
}

/// Numbers, ids and names each say what they should look like.
fn refused(error: FailedToDeserializePathParams) -> Problem {
    let detail = match error.into_kind() {
        ErrorKind::ParseErrorAtKey { value, .. }
        | ErrorKind::ParseErrorAtIndex { value, .. }
        | ErrorKind::ParseError { value, .. } => {
            format!("`{value}` is no whole number from 0 to {}", u32::MAX)
        }
        ErrorKind::InvalidUtf8InPathParam { key } => {
            format!("`{key}` is not UTF-8 once its percent signs are decoded")
        }
        ErrorKind::DeserializeError { message, .. } => message,
        other => other.to_string(),
    };
    Problem::new(Kind::InvalidId, detail)
}

/// What follows the question mark.
pub(crate) struct QueryParams<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Query::<T>::from_request_parts(parts, state)
            .await
            .map(|Query(value)| Self(value))
            .map_err(|error| Problem::new(Kind::InvalidQuery, error.body_text()))
    }
}
