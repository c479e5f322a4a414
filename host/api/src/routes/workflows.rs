//! `/api/v1/workflows`: validate, apply, look.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{ContentHash, WorkflowId};
use tombolo_core::json::Json as Text;
use tombolo_core::ports::store::{Applied, WorkflowVersion};
use tombolo_core::workflow::Issue;
use utoipa::ToSchema;

use super::shapes::List;
use crate::access::Caller;
use crate::app::{App, Shared};
use crate::extract::{Incoming, PathParam};
use crate::problem::{Kind, Problem};

/// One thing that is wrong with a file.
#[derive(Serialize, ToSchema)]
struct IssueItem {
    /// JSON pointer (RFC 6901) into the file.
    pointer: String,
    /// Stable, for programs.
    code: String,
    /// For people.
    message: String,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<String>,
}

impl From<Issue> for IssueItem {
    fn from(issue: Issue) -> Self {
        let Issue { pointer, code, message, suggestion } = issue;
        Self { pointer, code, message, suggestion }
    }
}

/// What is wrong with a file.
#[derive(Serialize, ToSchema)]
pub(crate) struct Validation {
    valid: bool,
    issues: Vec<IssueItem>,
}

/// What became of a file.
#[derive(Serialize, ToSchema)]
pub(crate) struct AppliedShape {
    #[schema(value_type = String)]
    id: WorkflowId,
    name: String,
    version: u32,
    /// `created`, or `unchanged` if the live version is the same.
    status: &'static str,
}

/// What starts a workflow.
#[derive(Serialize, ToSchema)]
struct TriggerItem {
    name: String,
    /// `webhook`.
    kind: String,
    /// Of a webhook: the address after `/hooks/<tenant>/`.
    path: Option<String>,
}

/// A workflow in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkflowItem {
    #[schema(value_type = String)]
    id: WorkflowId,
    name: String,
    /// The live one.
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    triggers: Vec<TriggerItem>,
}

/// A version in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct VersionItem {
    version: u32,
    /// True for the one that triggers start.
    live: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// A version with its file.
#[derive(Serialize, ToSchema)]
pub(crate) struct VersionDetail {
    #[schema(value_type = String)]
    id: WorkflowId,
    name: String,
    version: u32,
    live: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// The file.
    #[schema(value_type = Object)]
    definition: Text,
    /// Which component each plugin's name means in this version: name to hash.
    #[schema(value_type = BTreeMap<String, String>)]
    pins: BTreeMap<String, ContentHash>,
}

/// Checks a file without applying it.
#[utoipa::path(
    post,
    path = "/api/v1/workflows/validate",
    tag = "workflows",
    operation_id = "validateWorkflow",
    request_body(content = Object, description = "The workflow file"),
    responses((status = 200, body = Validation))
)]
pub(crate) async fn validate(
    State(app): State<Shared>,
    caller: Caller,
    request: Incoming,
) -> Result<Json<Validation>, Problem> {
    let file = request.json(&app, app.settings().max_workflow_bytes).await?;
    let issues = app.ports.authoring.validate(caller.tenant, &file).await?;
    let issues: Vec<IssueItem> = issues.into_iter().map(IssueItem::from).collect();
    Ok(Json(Validation { valid: issues.is_empty(), issues }))
}

/// Applies a file: checks it, stores it as a version, and makes it the live one.
#[utoipa::path(
    put,
    path = "/api/v1/workflows/{name}",
    tag = "workflows",
    operation_id = "applyWorkflow",
    params(("name" = String, Path, description = "The same as `name` in the file")),
    request_body(content = Object, description = "The workflow file"),
    responses(
        (status = 201, description = "Created", body = AppliedShape),
        (status = 200, description = "The live version is the same", body = AppliedShape),
    )
)]
pub(crate) async fn apply(
    State(app): State<Shared>,
    caller: Caller,
    PathParam(name): PathParam<String>,
    request: Incoming,
) -> Result<(StatusCode, Json<AppliedShape>), Problem> {
    let file = request.json(&app, app.settings().max_workflow_bytes).await?;
    same_name(&file, &name)?;
    Ok(match app.ports.authoring.apply(caller.tenant, file, caller.by()).await? {
        Applied::Created { id, version } => {
            (StatusCode::CREATED, Json(AppliedShape { id, name, version, status: "created" }))
        }
        Applied::Unchanged { id, version } => {
            (StatusCode::OK, Json(AppliedShape { id, name, version, status: "unchanged" }))
        }
    })
}

/// A file without a name at all is explained by the validation.
fn same_name(file: &Text, name: &str) -> Result<(), Problem> {
    let Some(written) = file.value().get("name").and_then(Value::as_str) else {
        return Ok(());
    };
    if written == name {
        return Ok(());
    }
    let message = format!("the file says `{written}`, the address `{name}`");
    let issue = Issue::new("/name", "name-mismatch", message)
        .suggest(Some(format!("write `{name}`, or apply it at /api/v1/workflows/{written}")));
    Err(Problem::invalid_workflow(&[issue]))
}

/// The live versions of all workflows, by name: the whole list.
#[utoipa::path(
    get,
    path = "/api/v1/workflows",
    tag = "workflows",
    operation_id = "listWorkflows",
    responses((status = 200, body = List<WorkflowItem>))
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<List<WorkflowItem>>, Problem> {
    let live = app.ports.store.workflows(caller.tenant).await?;
    Ok(Json(List { items: live.iter().map(item).collect() }))
}

/// The live version of a workflow.
#[utoipa::path(
    get,
    path = "/api/v1/workflows/{name}",
    tag = "workflows",
    operation_id = "showWorkflow",
    params(("name" = String, Path)),
    responses((status = 200, body = VersionDetail))
)]
pub(crate) async fn show(
    State(app): State<Shared>,
    caller: Caller,
    PathParam(name): PathParam<String>,
) -> Result<Json<VersionDetail>, Problem> {
    let (id, live) = known(&app, &caller, &name).await?;
    let live = app.ports.store.workflow_version(caller.tenant, id, live).await?;
    Ok(Json(detail(live.ok_or_else(|| not_found(&name))?)))
}

/// All versions of a workflow, the newest first: the whole list, as long as what was applied.
#[utoipa::path(
    get,
    path = "/api/v1/workflows/{name}/versions",
    tag = "workflows",
    operation_id = "listWorkflowVersions",
    params(("name" = String, Path)),
    responses((status = 200, body = List<VersionItem>))
)]
pub(crate) async fn versions(
    State(app): State<Shared>,
    caller: Caller,
    PathParam(name): PathParam<String>,
) -> Result<Json<List<VersionItem>>, Problem> {
    let versions = app.ports.store.workflow_versions(caller.tenant, &name).await?;
    if versions.is_empty() {
        return Err(not_found(&name));
    }
    let items = versions.into_iter().map(|version| VersionItem {
        version: version.version,
        live: version.live,
        created_at: version.created_at,
    });
    Ok(Json(List { items: items.collect() }))
}

/// One version of a workflow.
#[utoipa::path(
    get,
    path = "/api/v1/workflows/{name}/versions/{version}",
    tag = "workflows",
    operation_id = "showWorkflowVersion",
    params(("name" = String, Path), ("version" = u32, Path)),
    responses((status = 200, body = VersionDetail))
)]
pub(crate) async fn version(
    State(app): State<Shared>,
    caller: Caller,
    PathParam((name, number)): PathParam<(String, u32)>,
) -> Result<Json<VersionDetail>, Problem> {
    let (id, _) = known(&app, &caller, &name).await?;
    let found = app.ports.store.workflow_version(caller.tenant, id, number).await?;
    let found = found.ok_or_else(|| {
        Problem::new(Kind::VersionNotFound, format!("workflow `{name}` has no version {number}"))
    })?;
    Ok(Json(detail(found)))
}

/// Id and live version of a workflow. One that this version of the program cannot read is not in
/// memory, and can be looked at all the same.
async fn known(app: &App, caller: &Caller, name: &str) -> Result<(WorkflowId, u32), Problem> {
    if let Some(live) = app.ports.subscriptions.workflow(caller.tenant, name) {
        return Ok((live.workflow, live.version));
    }
    let mut all = app.ports.store.workflows(caller.tenant).await?.into_iter();
    let found = all.find(|version| version.name == name).ok_or_else(|| not_found(name))?;
    Ok((found.id, found.version))
}

/// No workflow of that name.
pub(super) fn not_found(name: &str) -> Problem {
    Problem::new(Kind::WorkflowNotFound, format!("there is no workflow `{name}`"))
}

fn item(version: &WorkflowVersion) -> WorkflowItem {
    let file = version.definition.value();
    let triggers = file.get("triggers").and_then(Value::as_object);
    WorkflowItem {
        id: version.id,
        name: version.name.clone(),
        version: version.version,
        summary: file.get("summary").and_then(Value::as_str).map(str::to_owned),
        created_at: version.created_at,
        triggers: triggers.into_iter().flatten().map(trigger).collect(),
    }
}

/// A trigger has exactly one key: its kind.
fn trigger((name, trigger): (&String, &Value)) -> TriggerItem {
    let (kind, settings) = trigger.as_object().and_then(|kinds| kinds.iter().next()).unzip();
    let path = settings.and_then(|settings| settings.get("path")).and_then(Value::as_str);
    TriggerItem {
        name: name.clone(),
        kind: kind.cloned().unwrap_or_default(),
        path: path.map(str::to_owned),
    }
}

fn detail(version: WorkflowVersion) -> VersionDetail {
    let WorkflowVersion { id, name, version, live, definition, pins, created_at, .. } = version;
    VersionDetail { id, name, version, live, created_at, definition, pins }
}
