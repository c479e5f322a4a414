//! `/api/v1/connections`: set and look. Secrets go in and never come out.

mod hosts;
mod input;
mod limits;
pub(super) mod resume;
mod shape;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;
use tombolo_core::id::{ConnectionId, TenantId};
use tombolo_core::ports::egress::{Auth, Connection};
use tombolo_core::ports::vault::SecretPlace;
use tombolo_core::secret::{Sealed, Secret};

use super::shapes::List;
use crate::access::{Caller, quota};
use crate::app::{App, Shared};
use crate::extract::{Incoming, PathParam};
use crate::problem::{Kind, Problem};
use input::{NewAuth, PutConnection, SecretText};
use shape::ConnectionShape;

/// Creates or replaces a connection. Secrets and limits that are left out stay as they are;
/// everything else that is left out is reset. When `base_url` moves to another origin, `auth` has to be sent again,
/// so that nobody can send stored credentials to an address of their own.
#[utoipa::path(
    put,
    path = "/api/v1/connections/{name}",
    tag = "connections",
    operation_id = "putConnection",
    params(("name" = String, Path, description = "Kebab-case, at most 100 characters")),
    request_body(content = PutConnection),
    responses(
        (status = 201, description = "Created", body = ConnectionShape),
        (status = 200, description = "Replaced", body = ConnectionShape),
    )
)]
pub(crate) async fn put(
    State(app): State<Shared>,
    caller: Caller,
    PathParam(name): PathParam<String>,
    request: Incoming,
) -> Result<(StatusCode, Json<ConnectionShape>), Problem> {
    input::check_name(&name)?;
    let form: PutConnection = request.form(&app).await?;
    let wanted = form.check()?;
    let stored = app.ports.store.connection(caller.tenant, &name).await?;
    if stored.is_none() {
        quota::add_connection(&app, caller.tenant).await?;
    }
    let status = if stored.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let connection = compose(&app, caller.tenant, name, wanted, stored)?;
    // What it was before is said by the store.
    let (at, subject) = (connection.updated_at, format!("connections/{}", connection.name));
    let entry = caller.by().entry(at, "connection-set", subject, Value::Null);
    app.ports.store.put_connection(connection.clone(), Some(entry)).await?;
    Ok((status, Json(ConnectionShape::from(connection))))
}

/// The new connection from what was sent and the secrets that stay.
fn compose(
    app: &App,
    tenant: TenantId,
    name: String,
    wanted: input::Checked,
    stored: Option<Connection>,
) -> Result<Connection, Problem> {
    let seal = |field: &str, text: &SecretText| {
        let place = SecretPlace { tenant, connection: &name, field };
        app.ports.vault.seal(place, &Secret::new(text.bytes().to_vec()))
    };
    let auth = match &wanted.auth {
        Some(new) => sealed_auth(new, seal),
        None => kept_auth(stored.as_ref(), wanted.base_url.as_deref())?,
    };
    let signing = match &wanted.signing_secret {
        None => stored.as_ref().and_then(|connection| connection.signing.clone()),
        Some(None) => None,
        Some(Some(text)) => Some(seal("signing", text)),
    };
    let before = stored.as_ref().map(|connection| connection.limits.clone());
    let id = stored.map_or_else(|| ConnectionId::new(&*app.ports.ids), |connection| connection.id);
    Ok(Connection {
        id,
        tenant,
        base_url: wanted.base_url,
        auth,
        signing,
        allowed_hosts: wanted.allowed_hosts,
        limits: wanted.limits.over(before.unwrap_or_default()),
        updated_at: app.ports.clock.now(),
        paused: None,
        name,
    })
}

/// The field of each secret is the one that the ports document.
fn sealed_auth(new: &NewAuth, seal: impl Fn(&str, &SecretText) -> Sealed) -> Auth {
    match new {
        NewAuth::None {} => Auth::None,
        NewAuth::Bearer { token } => Auth::Bearer { token: seal("bearer", token) },
        NewAuth::Basic { user, password } => {
            Auth::Basic { user: user.clone(), password: seal("password", password) }
        }
        NewAuth::Header { name, value } => {
            Auth::Header { name: name.clone(), value: seal("header", value) }
        }
        NewAuth::Query { name, value } => {
            Auth::Query { name: name.clone(), value: seal("query", value) }
        }
    }
}

fn kept_auth(stored: Option<&Connection>, base_url: Option<&str>) -> Result<Auth, Problem> {
    let Some(stored) = stored else {
        return Ok(Auth::None);
    };
    let moved = input::origin(stored.base_url.as_deref()) != input::origin(base_url);
    if moved && stored.auth != Auth::None {
        let detail = format!(
            "the base URL of `{}` moves to another origin; send `auth` with its secret again",
            stored.name
        );
        return Err(Problem::new(Kind::CredentialsRequired, detail).with("pointer", "/auth"));
    }
    Ok(stored.auth.clone())
}

/// All connections, by name.
#[utoipa::path(
    get,
    path = "/api/v1/connections",
    tag = "connections",
    operation_id = "listConnections",
    responses((status = 200, body = List<ConnectionShape>))
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<List<ConnectionShape>>, Problem> {
    let all = app.ports.store.connections(caller.tenant).await?;
    Ok(Json(List { items: all.into_iter().map(ConnectionShape::from).collect() }))
}

/// One connection.
#[utoipa::path(
    get,
    path = "/api/v1/connections/{name}",
    tag = "connections",
    operation_id = "showConnection",
    params(("name" = String, Path)),
    responses((status = 200, body = ConnectionShape))
)]
pub(crate) async fn show(
    State(app): State<Shared>,
    caller: Caller,
    PathParam(name): PathParam<String>,
) -> Result<Json<ConnectionShape>, Problem> {
    let found = app.ports.store.connection(caller.tenant, &name).await?;
    Ok(Json(found.ok_or_else(|| not_found(&name))?.into()))
}

fn not_found(name: &str) -> Problem {
    Problem::new(Kind::ConnectionNotFound, format!("there is no connection `{name}`"))
}
