//! What all requests to Asana have in common: the `data` envelope, checks of its fields, `opt_fields`
//! and pages.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::Refusal;
use super::record::Record;
use crate::standin::json_response;

/// Asana's limits on pages.
const MAX_PAGE: usize = 100;

/// The fields of `{"data": {..}}`.
#[derive(Debug)]
pub(super) struct Data(Map<String, Value>);

impl Data {
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let invalid = |message: &str| Refusal::Invalid(message.to_owned());
        let value: Value = serde_json::from_slice(body)
            .map_err(|_| invalid("Could not parse request data, invalid JSON"))?;
        match value {
            Value::Object(mut envelope) => match envelope.shift_remove("data") {
                Some(Value::Object(data)) => Ok(Self(data)),
                Some(_) => Err(invalid("data: Value is not an object")),
                None => Err(invalid("Missing data in request body")),
            },
            _ => Err(invalid("Request body is not an object")),
        }
    }

    /// A field that is text; null is as if it were not there.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Refusal::Invalid(format!("{name}: Value is not a string: {other}"))),
        }
    }

    /// A field that is an object's id, as text or as a number.
    pub fn gid(&self, name: &str) -> Result<Option<String>, Refusal> {
        self.0.get(name).filter(|value| !value.is_null()).map(|value| gid(name, value)).transpose()
    }

    /// A field that is a list of ids; empty if it is not there.
    pub fn gids(&self, name: &str) -> Result<Vec<String>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(list)) => list.iter().map(|value| gid(name, value)).collect(),
            Some(other) => Err(Refusal::Invalid(format!("{name}: Value is not an array: {other}"))),
        }
    }

    /// A field that is a day, such as `2026-11-22`.
    pub fn day(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let day = self.text(name)?;
        if day.is_some_and(|day| day.parse::<jiff::civil::Date>().is_err()) {
            let given = day.unwrap_or_default();
            return Err(Refusal::Invalid(format!("{name}: Invalid date: {given}")));
        }
        Ok(day)
    }

    /// A field as it came.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }
}

fn gid(name: &str, value: &Value) -> Result<String, Refusal> {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text);
    }
    Err(Refusal::Invalid(format!("{name}: Not a recognized ID: {text}")))
}

/// The query of a call that reads one object.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Fields {
    opt_fields: Option<String>,
}

impl Fields {
    /// The object as asked for: all of it, or its gid and the fields named in `opt_fields`.
    pub fn of(&self, record: &Record) -> Value {
        let Some(asked) = &self.opt_fields else {
            return Value::Object(record.clone());
        };
        let mut shown = only(record, &["gid"]);
        for path in asked.split(',') {
            // A path such as `workspace.name` brings the whole of its first field.
            let name = path.trim().split('.').next().unwrap_or_default();
            if let Some(value) = record.get(name) {
                shown.insert(name.to_owned(), value.clone());
            }
        }
        Value::Object(shown)
    }

    /// The object in a list: its compact form unless fields are asked for.
    pub fn in_list(&self, record: &Record) -> Value {
        match self.opt_fields {
            Some(_) => self.of(record),
            None => Value::Object(only(record, &["gid", "resource_type", "name"])),
        }
    }
}

fn only(record: &Record, names: &[&str]) -> Record {
    let named = |name: &&str| Some(((*name).to_owned(), record.get(*name)?.clone()));
    names.iter().filter_map(named).collect()
}

/// The query of a call that reads a list.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Page {
    limit: Option<usize>,
    offset: Option<String>,
}

impl Page {
    /// The asked part of a list. The offset is a cursor of ours, not a number a client may count.
    pub fn of(&self, path: &str, all: Vec<Value>) -> Result<Value, Refusal> {
        let Some(limit) = self.limit else {
            return Ok(json!({ "data": all }));
        };
        if limit == 0 || limit > MAX_PAGE {
            let message = format!("limit: Value must be between 1 and {MAX_PAGE}: {limit}");
            return Err(Refusal::Invalid(message));
        }
        let start = match &self.offset {
            None => 0,
            Some(offset) => offset
                .strip_prefix("after-")
                .and_then(|number| number.parse().ok())
                .filter(|start| *start <= all.len())
                .ok_or_else(|| {
                    Refusal::Invalid("offset: Your pagination token is invalid.".to_owned())
                })?,
        };
        let end = all.len().min(start + limit);
        let next = (end < all.len()).then(|| {
            let offset = format!("after-{end}");
            json!({ "path": format!("{path}?limit={limit}&offset={offset}"), "offset": offset })
        });
        Ok(json!({ "data": all[start..end], "next_page": next }))
    }
}

/// 200 with `{"data": ..}`.
pub(super) fn found(data: Value) -> Response<Body> {
    json_response(StatusCode::OK, &json!({ "data": data }))
}

/// 201 with `{"data": ..}` and where to find it.
pub(super) fn created(path: &str, record: &Record) -> Response<Body> {
    let mut response = json_response(StatusCode::CREATED, &json!({ "data": record }));
    let gid = record.get("gid").and_then(Value::as_str).unwrap_or_default();
    if let Ok(location) = HeaderValue::from_str(&format!("{path}/{gid}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// How one object names another.
pub(super) fn reference(gid: &str, resource_type: &str) -> Value {
    json!({ "gid": gid, "resource_type": resource_type })
}
