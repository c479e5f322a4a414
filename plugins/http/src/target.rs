//! Where a request goes: path or URL, query and headers.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tombolo_sdk::NodeError;
use tombolo_sdk::http::{Method, Request};

/// The parameters that every operation has.
pub struct Target {
    /// Behind the connection's base URL.
    pub path: Option<String>,
    /// Absolute.
    pub url: Option<String>,
    /// Scalars, or lists of them.
    pub query: Map<String, Value>,
    /// By name.
    pub headers: BTreeMap<String, String>,
}

impl Target {
    /// A request without a body.
    pub fn request(&self, method: Method) -> Result<Request, NodeError> {
        let target = match (&self.path, &self.url) {
            (Some(path), None) if path.starts_with('/') => path,
            (Some(path), None) => {
                let message = format!("`path`: `{path}` has to start with a `/`");
                return Err(invalid("/path", message));
            }
            (None, Some(url)) => url,
            _ => return Err(invalid("", "name either `path` or `url`".to_owned())),
        };
        let mut request = Request::new(method, target);
        for (name, value) in &self.query {
            request = query(request, name, value)?;
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        Ok(request)
    }
}

fn query(request: Request, name: &str, value: &Value) -> Result<Request, NodeError> {
    match value {
        Value::Null => Ok(request),
        Value::String(text) => Ok(request.query(name, text)),
        Value::Bool(_) | Value::Number(_) => Ok(request.query(name, value)),
        Value::Array(items) => {
            items.iter().try_fold(request, |request, item| query(request, name, item))
        }
        Value::Object(_) => Err(invalid(
            &format!("/query/{name}"),
            format!("`query.{name}` has to be text, a number, true, false, or a list of those"),
        )),
    }
}

/// Parameters that do not go together.
pub fn invalid(pointer: &str, message: String) -> NodeError {
    NodeError::invalid_input("invalid-params", message).with_details(json!({ "pointer": pointer }))
}
