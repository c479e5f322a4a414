//! What most stories start with: a host, the stand-ins of HubSpot and Asana, connections to both.

use anyhow::ensure;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tombolo_tests::asana::{self, Asana};
use tombolo_tests::hubspot::{self, HubSpot};
use tombolo_tests::{Host, HostOptions, Standin};

/// The client secret of the app that signs HubSpot's webhooks.
pub const APP_SECRET: &str = "the-apps-client-secret";

/// A host that may call two stand-ins, and nobody else on this machine.
pub struct Scene {
    pub host: Host,
    pub hubspot: Standin<HubSpot>,
    pub asana: Standin<Asana>,
}

impl Scene {
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(HostOptions::new()).await
    }

    /// The connections `hubspot`, `asana` and `hubspot-app` are set.
    pub async fn start_with(options: HostOptions) -> anyhow::Result<Self> {
        let (hubspot, asana) = (hubspot::start().await?, asana::start().await?);
        let options = options.allow(&hubspot.origin()).allow(&asana.origin());
        let host = Host::start(options).await?;
        host.bearer("hubspot", &hubspot.origin(), hubspot::TOKEN).await?;
        host.bearer("asana", &asana.base_url(), asana::TOKEN).await?;
        host.signing("hubspot-app", APP_SECRET).await?;
        Ok(Self { host, hubspot, asana })
    }

    /// Applies a workflow of these nodes, which is started over the API.
    pub async fn apply(&self, name: &str, nodes: Value) -> anyhow::Result<()> {
        self.host.apply(&json!({"name": name, "nodes": nodes})).await.map(|_| ())
    }

    /// Names of Asana's tasks, in the order of their creation.
    pub fn task_names(&self) -> Vec<String> {
        let name = |task: &Value| task["name"].as_str().unwrap_or_default().to_owned();
        self.asana.provider().tasks().iter().map(name).collect()
    }
}

/// A node that reads the seeded deal.
pub fn get_deal() -> Value {
    json!({
        "use": "hubspot.get-deal", "connection": "hubspot",
        "with": {"id": hubspot::SEED_DEAL_ID.to_string()}
    })
}

/// A node that creates a task in Asana: unsafe, as the plugin says.
pub fn create_task(name: &str) -> Value {
    json!({
        "use": "asana.create-task", "connection": "asana",
        "with": {"name": name, "workspace": asana::WORKSPACE_GID}
    })
}

/// The node with these keys beside or instead of its own.
pub fn with(mut node: Value, more: Value) -> Value {
    if let (Value::Object(node), Value::Object(more)) = (&mut node, more) {
        node.extend(more);
    }
    node
}

/// Waits of milliseconds where people would wait seconds.
pub fn quick_retry(attempts: u32) -> Value {
    json!({"attempts": attempts, "backoff": {"first": "10ms", "factor": 1, "max": "10ms"}})
}

/// True if `whole` has everything that `part` names.
pub fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part)))
        }
        _ => whole == part,
    }
}

/// One of several issues of a refused workflow file.
pub fn issue<'a>(problem: &'a Value, pointer: &str, code: &str) -> anyhow::Result<&'a Value> {
    let issues = problem["issues"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = issues.iter().find(|issue| issue["pointer"] == pointer && issue["code"] == code);
    ensure!(found.is_some(), "no issue {code} at {pointer}: {problem:#}");
    Ok(found.unwrap_or(&Value::Null))
}

/// A server that gives back what it was sent, headers and address too. It ends with the runtime.
pub async fn echo_server() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let echo = async |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
        let text = String::from_utf8_lossy(&body);
        axum::Json(json!({
            "method": method.as_str(), "uri": uri.to_string(), "headers": headers, "body": text
        }))
    };
    let router = axum::Router::new().fallback(echo);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(origin)
}
