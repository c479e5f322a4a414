//! Tasks (Asana's word): create with external data, read by gid or by external gid.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use http::Response;
use serde_json::{Value, json};

use super::error::Refusal;
use super::record::{Record, Records, external_gid, now};
use super::request::{Data, Fields, created, found, reference};
use super::{Asana, WORKSPACE_GID};

const PATH: &str = "/api/1.0/tasks";

/// Asana's limits on external data, in characters ("Custom external data").
const MAX_EXTERNAL_GID_CHARS: usize = 1_024;
const MAX_EXTERNAL_DATA_CHARS: usize = 32_768;

type Answer = Result<Response<Body>, Refusal>;

pub(super) fn routes() -> Router<Arc<Asana>> {
    Router::new().route(PATH, post(create)).route("/api/1.0/tasks/{gid}", get(read))
}

/// `POST /api/1.0/tasks`
async fn create(State(asana): State<Arc<Asana>>, body: Bytes) -> Answer {
    let data = Data::parse(&body)?;
    let mut records = asana.records();
    let place = Place::of(&data, &records)?;
    let external = external(&data, &records)?;
    let checked = json!({
        "name": data.text("name")?.unwrap_or_default(),
        "notes": data.text("notes")?.unwrap_or_default(),
        "due_on": data.day("due_on")?,
        "due_at": data.text("due_at")?,
        "start_on": data.day("start_on")?,
    });
    let assignee = data.get("assignee").and_then(Value::as_str);

    let gid = records.new_gid();
    let at = now();
    let permalink = format!("https://app.asana.com/1/{}/task/{gid}", place.workspace);
    let mut created_task = Record::new();
    let mut set = |name: &str, value: Value| created_task.insert(name.to_owned(), value);
    set("gid", gid.into());
    set("resource_type", "task".into());
    set("resource_subtype", "default_task".into());
    for (name, value) in checked.as_object().into_iter().flatten() {
        set(name, value.clone());
    }
    set("completed", data.get("completed").cloned().unwrap_or(false.into()));
    set("assignee", assignee.map_or(Value::Null, |user| reference(user, "user")));
    set("created_at", at.clone().into());
    set("modified_at", at.into());
    set("permalink_url", permalink.into());
    set("workspace", reference(&place.workspace, "workspace"));
    set("projects", place.projects.iter().map(|gid| reference(gid, "project")).collect());
    set("parent", place.parent.map_or(Value::Null, |gid| reference(&gid, "task")));
    if let Some(external) = external {
        set("external", external);
    }
    let response = created(PATH, &created_task);
    records.tasks.push(created_task);
    Ok(response)
}

/// `GET /api/1.0/tasks/{gid}` and `GET /api/1.0/tasks/external:{external gid}`
async fn read(
    State(asana): State<Arc<Asana>>,
    Path(gid): Path<String>,
    Query(fields): Query<Fields>,
) -> Answer {
    let records = asana.records();
    let wanted = records.task(&gid).ok_or(Refusal::Unknown { what: "task", gid: gid.clone() })?;
    Ok(found(fields.of(wanted)))
}

/// Where a new task belongs.
struct Place {
    workspace: String,
    projects: Vec<String>,
    parent: Option<String>,
}

impl Place {
    /// One of workspace, parent and projects is needed, and what is named must be there.
    fn of(data: &Data, records: &Records) -> Result<Self, Refusal> {
        let workspace = data.gid("workspace")?;
        let projects = data.gids("projects")?;
        let parent = data.gid("parent")?;
        if workspace.is_none() && projects.is_empty() && parent.is_none() {
            let message = "You should specify one of workspace, parent, projects";
            return Err(Refusal::Invalid(message.to_owned()));
        }
        let workspace_of = |record: Option<&Record>, what: &'static str, gid: &str| {
            let record = record.ok_or(Refusal::Unknown { what, gid: gid.to_owned() })?;
            let gid = record.get("workspace").and_then(|reference| reference["gid"].as_str());
            Ok(gid.map(str::to_owned))
        };
        let mut inherited = None;
        for gid in &projects {
            inherited = workspace_of(records.project(gid), "project", gid)?.or(inherited);
        }
        if let Some(gid) = &parent {
            inherited = workspace_of(records.task(gid), "parent", gid)?.or(inherited);
        }
        let workspace = workspace.or(inherited).unwrap_or_else(|| WORKSPACE_GID.to_owned());
        Ok(Self { workspace, projects, parent })
    }
}

/// The checked external data of a request.
///
/// A gid that is taken is refused with 400 and a message that says "already assigned": that is what
/// public clients of Asana look for; Asana's documents list no status 409.
fn external(data: &Data, records: &Records) -> Result<Option<Value>, Refusal> {
    let invalid = |message: String| Err(Refusal::Invalid(message));
    let external = match data.get("external") {
        None => return Ok(None),
        Some(Value::Object(external)) => external,
        Some(other) => return invalid(format!("external: Value is not an object: {other}")),
    };
    let limits = [("gid", MAX_EXTERNAL_GID_CHARS), ("data", MAX_EXTERNAL_DATA_CHARS)];
    let mut kept = Record::new();
    for (name, max_chars) in limits {
        match external.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.chars().count() <= max_chars => {
                kept.insert(name.to_owned(), text.clone().into());
            }
            Some(Value::String(_)) => {
                return invalid(format!("external.{name}: Value is longer than {max_chars}"));
            }
            Some(other) => {
                return invalid(format!("external.{name}: Value is not a string: {other}"));
            }
        }
    }
    let gid = kept.get("gid").and_then(Value::as_str);
    if gid.is_some() && records.tasks.iter().any(|known| external_gid(known) == gid) {
        let gid = gid.unwrap_or_default();
        return invalid(format!("external.gid: {gid} is already assigned to another task"));
    }
    Ok((!kept.is_empty()).then_some(Value::Object(kept)))
}
