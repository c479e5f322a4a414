//! The four operations, each made once for every kind of object.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tombolo_sdk::http::{self, Request, segment};
use tombolo_sdk::{Effect, ErrorClass, NodeError, Operation};

use crate::call::send;
use crate::object::Object;
use crate::params::{Create, Get, Id, Search, Update, values};
use crate::record::{Received, Record};

/// `get-deal`: one object by its id.
pub fn get(object: &'static Object) -> Operation {
    Operation::new(
        format!("get-{}", object.name),
        format!("Reads one {}", object.name),
        Effect::Read,
        move |params: Get| {
            let request = http::get(path(object, &params.id)?);
            let request = with_id_property(request, params.id_property);
            let properties = chosen(object, &params.properties).join(",");
            one(object, request.query("properties", properties))
        },
    )
    .with_connection()
    .with_error(object.not_found, ErrorClass::NotFound, "There is none with this id")
}

/// `search-deals`: a page of objects by their properties.
pub fn search(object: &'static Object) -> Operation {
    Operation::new(
        format!("search-{}", object.plural),
        format!("Finds {} by their properties", object.plural),
        Effect::Read,
        move |params: Search| {
            let body = params.body(&chosen(object, &params.properties))?;
            let request = http::post(format!("/crm/v3/objects/{}/search", object.path));
            let page: ReceivedPage = send(object, request.json(&body)?)?;
            Ok(Page::of(object, page))
        },
    )
    .with_connection()
}

/// `create-deal`: a new object. HubSpot takes no idempotency key, so it is unsafe.
pub fn create(object: &'static Object) -> Operation {
    Operation::new(
        format!("create-{}", object.name),
        format!("Creates a {}", object.name),
        Effect::Unsafe,
        move |params: Create| {
            let mut body = json!({ "properties": values(&params.properties)? });
            if !params.associations.is_empty() {
                body["associations"] = params.associations.into();
            }
            let request = http::post(format!("/crm/v3/objects/{}", object.path));
            one(object, request.json(&body)?)
        },
    )
    .with_connection()
    .with_error(object.exists, ErrorClass::Conflict, "There is one already")
}

/// `update-deal`: other values for some properties. Repeating it changes nothing more.
pub fn update(object: &'static Object) -> Operation {
    Operation::new(
        format!("update-{}", object.name),
        format!("Changes properties of a {}", object.name),
        Effect::Keyed,
        move |params: Update| {
            let request = http::patch(path(object, &params.id)?);
            let request = with_id_property(request, params.id_property);
            let body = json!({ "properties": values(&params.properties)? });
            one(object, request.json(&body)?)
        },
    )
    .with_connection()
    .with_error(object.not_found, ErrorClass::NotFound, "There is none with this id")
}

fn one(object: &Object, request: Request) -> Result<Record, NodeError> {
    send::<Received>(object, request).map(|received| Record::of(object, received))
}

fn path(object: &Object, id: &Id) -> Result<String, NodeError> {
    Ok(format!("/crm/v3/objects/{}/{}", object.path, segment("id", &id.to_string())?))
}

fn with_id_property(request: Request, property: Option<String>) -> Request {
    match property {
        Some(property) => request.query("idProperty", property),
        None => request,
    }
}

fn chosen<'a>(object: &Object, asked: &'a [String]) -> Vec<&'a str> {
    if asked.is_empty() {
        object.properties.to_vec()
    } else {
        asked.iter().map(String::as_str).collect()
    }
}

/// A page as HubSpot sends it.
#[derive(Deserialize)]
struct ReceivedPage {
    total: u64,
    results: Vec<Received>,
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    next: Option<Next>,
}

#[derive(Deserialize)]
struct Next {
    after: String,
}

/// A page as a node's output.
#[derive(Serialize, JsonSchema)]
struct Page {
    /// How many there are on all pages.
    total: u64,
    results: Vec<Record>,
    /// What to ask the next page with; null on the last.
    after: Option<String>,
}

impl Page {
    fn of(object: &Object, page: ReceivedPage) -> Self {
        let results = page.results.into_iter();
        Self {
            total: page.total,
            results: results.map(|received| Record::of(object, received)).collect(),
            after: page.paging.and_then(|paging| paging.next).map(|next| next.after),
        }
    }
}
