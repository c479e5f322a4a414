//! `/api/v1/plugins`: upload and look.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::descriptor::{Descriptor, Operation};
use tombolo_core::effect::{Effect, World};
use tombolo_core::id::ContentHash;
use tombolo_core::ports::sandbox::Installed;
use tombolo_core::ports::store::{Added, NewPlugin, Plugin};
use utoipa::ToSchema;

use super::shapes::List;
use crate::access::{Caller, quota};
use crate::app::{App, Shared};
use crate::extract::{Bound, Incoming, PathParam};
use crate::problem::{Kind, Problem};

/// Compiling takes seconds.
const UPLOAD_RETRY: Duration = Duration::from_secs(5);

/// Why an upload is refused, beside what its body may be.
pub(super) const REFUSALS: &[Kind] = &[
    Kind::ComponentTooLarge,
    Kind::CoreModule,
    Kind::MalformedComponent,
    Kind::NotAPlugin,
    Kind::NewerContract,
    Kind::ForbiddenImport,
    Kind::DescribeFailed,
    Kind::BadDescriptor,
    Kind::CompileFailed,
    Kind::VersionTaken,
    Kind::TooManyUploads,
];

/// What a plugin offers.
#[derive(Serialize, ToSchema)]
struct OperationItem {
    name: String,
    summary: String,
    #[schema(value_type = String, example = "keyed")]
    effect: Effect,
    ports: Vec<String>,
    /// True if a node that uses it has to name a connection.
    connection: bool,
}

/// A plugin, without its schemas.
#[derive(Serialize, ToSchema)]
struct PluginShape {
    name: String,
    version: String,
    /// SHA-256 of the component: its identity.
    #[schema(value_type = String)]
    hash: ContentHash,
    #[schema(value_type = String, example = "connector")]
    world: World,
    summary: String,
    /// Bytes.
    size: u64,
    operations: Vec<OperationItem>,
}

/// A plugin that was uploaded.
#[derive(Serialize, ToSchema)]
pub(crate) struct Uploaded {
    #[serde(flatten)]
    plugin: PluginShape,
    /// The full names of what it imports.
    imports: Vec<String>,
    /// `added`, or `same` if these bytes were there already.
    status: &'static str,
}

/// A plugin in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct PluginItem {
    #[serde(flatten)]
    plugin: PluginShape,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// A version of a plugin with all it says of itself.
#[derive(Serialize, ToSchema)]
pub(crate) struct PluginDetail {
    name: String,
    version: String,
    #[schema(value_type = String)]
    hash: ContentHash,
    /// Bytes.
    size: u64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Operations with the JSON Schemas of their parameters and outputs.
    #[schema(value_type = Object)]
    descriptor: Descriptor,
}

impl PluginShape {
    fn of(descriptor: &Descriptor, hash: ContentHash, size: u64) -> Self {
        let operation = |operation: &Operation| OperationItem {
            name: operation.name.clone(),
            summary: operation.summary.clone(),
            effect: operation.effect,
            ports: operation.ports.clone(),
            connection: operation.connection,
        };
        Self {
            name: descriptor.name.clone(),
            version: descriptor.version.clone(),
            hash,
            world: descriptor.world,
            summary: descriptor.summary.clone(),
            size,
            operations: descriptor.operations.iter().map(operation).collect(),
        }
    }
}

/// Uploads a component. It is checked, compiled once and described before it is stored.
#[utoipa::path(
    post,
    path = "/api/v1/plugins",
    tag = "plugins",
    operation_id = "uploadPlugin",
    request_body(content_type = "application/wasm", description = "A component for `wasm32-wasip2`"),
    responses(
        (status = 201, description = "Added", body = Uploaded),
        (status = 200, description = "The same bytes were there already", body = Uploaded),
    )
)]
pub(crate) async fn upload(
    State(app): State<Shared>,
    caller: Caller,
    request: Incoming,
) -> Result<(StatusCode, Json<Uploaded>), Problem> {
    let _place = app.uploads.try_acquire().map_err(|_| {
        let detail =
            format!("{} uploads are under way (limit max_uploads)", app.settings().max_uploads);
        Problem::new(Kind::TooManyUploads, detail).retry_after(UPLOAD_RETRY)
    })?;
    quota::store_more(&app, &caller)?;
    let bound = Bound { limit: app.settings().max_component_bytes, over: Kind::ComponentTooLarge };
    let types = ["application/wasm", "application/octet-stream"];
    let component = request.bytes(&app, bound, &types).await?;
    let size = component.len() as u64;
    let installed = app.ports.sandbox.install(component.clone()).await?;
    let now = app.ports.clock.now();
    let plugin = NewPlugin {
        tenant: caller.tenant,
        hash: installed.hash,
        component,
        descriptor: installed.descriptor.clone(),
        audit: Some(entry(&caller, &installed, now)),
        now,
    };
    let added = app.ports.store.add_plugin(plugin).await?;
    uploaded(installed, size, &added)
}

/// On record if it is new: a version is added and never replaced, so there is no before.
fn entry(caller: &Caller, installed: &Installed, now: Timestamp) -> AuditEntry {
    let Descriptor { name, version, .. } = &installed.descriptor;
    let after = json!({"name": name, "version": version, "hash": installed.hash});
    let detail = json!({"before": null, "after": after});
    caller.by().entry(now, "plugin-added", format!("plugins/{name}"), detail)
}

fn uploaded(
    installed: Installed,
    size: u64,
    added: &Added,
) -> Result<(StatusCode, Json<Uploaded>), Problem> {
    let (status, word) = match added {
        Added::New => (StatusCode::CREATED, "added"),
        Added::Same => (StatusCode::OK, "same"),
        Added::VersionTaken { by } => {
            let Descriptor { name, version, .. } = &installed.descriptor;
            let detail = format!("{name} {version} is there already with other bytes");
            return Err(Problem::new(Kind::VersionTaken, detail).with("by", by.to_string()));
        }
    };
    let plugin = PluginShape::of(&installed.descriptor, installed.hash, size);
    Ok((status, Json(Uploaded { plugin, imports: installed.imports, status: word })))
}

/// All plugins, by name, the newest first: the whole list, as long as what was uploaded.
#[utoipa::path(
    get,
    path = "/api/v1/plugins",
    tag = "plugins",
    operation_id = "listPlugins",
    responses((status = 200, body = List<PluginItem>))
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<List<PluginItem>>, Problem> {
    let items = plugins(&app, &caller).await?.into_iter().map(|plugin| PluginItem {
        plugin: PluginShape::of(&plugin.descriptor, plugin.hash, plugin.size),
        created_at: plugin.created_at,
    });
    Ok(Json(List { items: items.collect() }))
}

/// All versions of a plugin, the newest first, with the schemas of its operations.
#[utoipa::path(
    get,
    path = "/api/v1/plugins/{name}",
    tag = "plugins",
    operation_id = "showPlugin",
    params(("name" = String, Path)),
    responses((status = 200, body = List<PluginDetail>))
)]
pub(crate) async fn show(
    State(app): State<Shared>,
    caller: Caller,
    PathParam(name): PathParam<String>,
) -> Result<Json<List<PluginDetail>>, Problem> {
    let all = plugins(&app, &caller).await?.into_iter();
    let items: Vec<PluginDetail> =
        all.filter(|plugin| plugin.descriptor.name == name).map(detail).collect();
    if items.is_empty() {
        let detail = format!("there is no plugin `{name}`");
        return Err(Problem::new(Kind::PluginNotFound, detail));
    }
    Ok(Json(List { items }))
}

async fn plugins(app: &App, caller: &Caller) -> Result<Vec<Plugin>, Problem> {
    Ok(app.ports.store.plugins(caller.tenant).await?)
}

fn detail(plugin: Plugin) -> PluginDetail {
    PluginDetail {
        name: plugin.descriptor.name.clone(),
        version: plugin.descriptor.version.clone(),
        hash: plugin.hash,
        size: plugin.size,
        created_at: plugin.created_at,
        descriptor: plugin.descriptor,
    }
}
