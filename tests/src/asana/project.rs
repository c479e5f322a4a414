//! Projects: create, read, list.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::routing::get;
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::Refusal;
use super::record::{Record, now};
use super::request::{Data, Fields, Page, created, found, reference};
use super::{Asana, WORKSPACE_GID};
use crate::standin::json_response;

const PATH: &str = "/api/1.0/projects";

type Answer = Result<Response<Body>, Refusal>;

pub(super) fn routes() -> Router<Arc<Asana>> {
    Router::new().route(PATH, get(list).post(create)).route("/api/1.0/projects/{gid}", get(read))
}

/// `POST /api/1.0/projects`
async fn create(State(asana): State<Arc<Asana>>, body: Bytes) -> Answer {
    let data = Data::parse(&body)?;
    let (workspace, team) = (data.gid("workspace")?, data.gid("team")?);
    if workspace.is_none() && team.is_none() {
        return Err(Refusal::Invalid("workspace: Missing input".to_owned()));
    }
    let workspace = workspace.unwrap_or_else(|| WORKSPACE_GID.to_owned());
    let owner = data.text("owner")?;
    // Checked before a gid is taken, so that a refused call leaves no gap.
    let checked = json!({
        "name": data.text("name")?.unwrap_or_default(),
        "notes": data.text("notes")?.unwrap_or_default(),
        "color": data.text("color")?,
        "due_on": data.day("due_on")?,
        "start_on": data.day("start_on")?,
        "default_view": data.text("default_view")?.unwrap_or("list"),
        "privacy_setting": data.text("privacy_setting")?.unwrap_or("public_to_workspace"),
    });

    let mut records = asana.records();
    let gid = records.new_gid();
    let at = now();
    let permalink = format!("https://app.asana.com/1/{workspace}/project/{gid}");
    let mut project = Record::new();
    let mut set = |name: &str, value: Value| project.insert(name.to_owned(), value);
    set("gid", gid.into());
    set("resource_type", "project".into());
    for (name, value) in checked.as_object().into_iter().flatten() {
        set(name, value.clone());
    }
    set("archived", data.get("archived").cloned().unwrap_or(false.into()));
    set("completed", false.into());
    set("created_at", at.clone().into());
    set("modified_at", at.into());
    set("permalink_url", permalink.into());
    set("workspace", reference(&workspace, "workspace"));
    set("team", team.map_or(Value::Null, |team| reference(&team, "team")));
    set("owner", owner.map_or(Value::Null, |owner| reference(owner, "user")));
    set("members", json!([]));
    set("followers", json!([]));
    set("custom_fields", json!([]));
    let response = created(PATH, &project);
    records.projects.push(project);
    Ok(response)
}

/// `GET /api/1.0/projects/{gid}`
async fn read(
    State(asana): State<Arc<Asana>>,
    Path(gid): Path<String>,
    Query(fields): Query<Fields>,
) -> Answer {
    let records = asana.records();
    let project =
        records.project(&gid).ok_or(Refusal::Unknown { what: "project", gid: gid.clone() })?;
    Ok(found(fields.of(project)))
}

#[derive(Debug, Deserialize)]
struct Filter {
    workspace: Option<String>,
    team: Option<String>,
    archived: Option<bool>,
}

impl Filter {
    fn lets_through(&self, project: &Record) -> bool {
        let refers = |name: &str, wanted: &Option<String>| {
            let gid = project.get(name).and_then(|reference| reference["gid"].as_str());
            wanted.as_deref().is_none_or(|wanted| gid == Some(wanted))
        };
        refers("workspace", &self.workspace)
            && refers("team", &self.team)
            && self.archived.is_none_or(|wanted| project.get("archived") == Some(&wanted.into()))
    }
}

/// `GET /api/1.0/projects?workspace=..`
async fn list(
    State(asana): State<Arc<Asana>>,
    Query(filter): Query<Filter>,
    Query(page): Query<Page>,
    Query(fields): Query<Fields>,
) -> Answer {
    let records = asana.records();
    let all = records
        .projects
        .iter()
        .filter(|project| filter.lets_through(project))
        .map(|project| fields.in_list(project))
        .collect();
    Ok(json_response(StatusCode::OK, &page.of(PATH, all)?))
}
