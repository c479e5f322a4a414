//! Every route of the document, called by one tenant with ids of another: the answer is the one for ids
//! that nobody has.
//!
//! A route whose address has a part that is not known here fails the test: [`part`] has to say which
//! of the victim's ids it takes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tombolo_core::id::{EventId, IdSource, RunId, TenantId, TokenId};
use tombolo_core::ports::store::Scope;

use crate::harness::{Call, Host, Reply};
use crate::logged;
use crate::plugins::upload;
use crate::repairs::proof;
use crate::runs::scene;

/// What only the victim's data says.
const SECRETS: &[&str] = &["zorro", "ACME", "Pay 5", "no answer in time"];

/// Routes whose address names nothing of a tenant.
const OF_NOBODY: &[&str] = &["showProblem"];

/// Routes that make what the address names: everybody has their own of that name.
const MAKES: &[&str] = &["applyWorkflow", "putConnection"];

/// A stream without an end that can be compared.
const STREAMS: &[&str] = &["followRun"];

/// One id of each kind.
struct Ids {
    /// A run with a dead letter at `ask`.
    dead: RunId,
    /// A run that waits at `called`.
    waiting: RunId,
    event: EventId,
    token: TokenId,
    name: &'static str,
}

/// A route of the document.
struct Route {
    method: String,
    path: String,
    operation: String,
}

impl Route {
    fn has_parts(&self) -> bool {
        self.path.contains('{') && !OF_NOBODY.contains(&&*self.operation)
    }
}

async fn routes(host: &Host) -> Vec<Route> {
    let document = host.send(Call::new("GET", "/openapi.json")).await.json;
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let operation = operation["operationId"].as_str().unwrap().to_owned();
            routes.push(Route { method: method.to_uppercase(), path: path.clone(), operation });
        }
    }
    // Last what makes the caller's own of the victim's name.
    routes.sort_by_key(|route| MAKES.contains(&&*route.operation));
    routes
}

/// What stands for a part of an address.
fn part(path: &str, name: &str, ids: &Ids, caller: TenantId) -> String {
    let kind = path.trim_start_matches("/api/v1").split('/').nth(1).unwrap();
    let signals = path.ends_with("/signal");
    match (kind, name) {
        ("runs", "id") if signals => ids.waiting.to_string(),
        ("runs", "node") if signals => "called".to_owned(),
        ("runs", "id") | ("dead-letters", "run") => ids.dead.to_string(),
        ("runs" | "dead-letters", "node") => "ask".to_owned(),
        ("dead-letters", "item") => "0".to_owned(),
        ("events", "id") => ids.event.to_string(),
        ("tokens", "id") => ids.token.to_string(),
        ("plugins" | "workflows" | "connections", "name") => ids.name.to_owned(),
        ("workflows", "version") => "1".to_owned(),
        // The address is good for the caller's own tenant.
        ("callbacks", "tenant") => caller.to_string(),
        ("callbacks", "run") => ids.waiting.to_string(),
        ("callbacks", "node") => "called".to_owned(),
        ("callbacks", "proof") => proof(caller, ids.waiting, "called"),
        _ => panic!("say in cross_tenant.rs which of the victim's ids `{name}` of {path} takes"),
    }
}

fn filled(path: &str, ids: &Ids, caller: TenantId) -> String {
    let parts = path.split('/').map(|segment| {
        match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => part(path, name, ids, caller),
            None => segment.to_owned(),
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

/// A body that is taken, so that it is the id that is looked at.
fn body(operation: &str, ids: &Ids) -> Value {
    match operation {
        "applyWorkflow" => json!({"name": ids.name, "nodes": {"n": {"use": "set"}}}),
        "resolveStep" => json!({"output": 1}),
        "discardStep" => json!({"reason": "obsolete"}),
        "replayRun" => json!({"from": "start"}),
        _ => json!({}),
    }
}

async fn call(host: &Host, route: &Route, ids: &Ids, (tenant, token): (TenantId, &str)) -> Reply {
    let call = Call::new(&route.method, &filled(&route.path, ids, tenant)).token(token);
    host.send(match &*route.method {
        "GET" | "DELETE" => call,
        _ => call.json(&body(&route.operation, ids)),
    })
    .await
}

/// The answer, as if the ids of `from` had been those of `to`.
fn told(reply: &Reply, from: &Ids, to: &Ids) -> String {
    let mut json = reply.json.clone();
    json.as_object_mut().map(|fields| fields.remove("correlation_id"));
    let text = if json.is_null() { reply.text.clone() } else { json.to_string() };
    text.replace(&from.dead.to_string(), &to.dead.to_string())
        .replace(&from.waiting.to_string(), &to.waiting.to_string())
        .replace(&from.event.to_string(), &to.event.to_string())
        .replace(&from.token.to_string(), &to.token.to_string())
        .replace(from.name, to.name)
}

/// Something of every kind, of the tenant of the host.
async fn victim(host: &Host) -> Ids {
    let name = "zorro-crm";
    host.call(upload(name, "1.0.0")).await.ok(201);
    scene::apply(host, name).await;
    scene::apply(host, "flow").await;
    let connection =
        json!({"base_url": "https://zorro.example", "auth": {"kind": "bearer", "token": "zorro"}});
    host.call(Call::put(&format!("/api/v1/connections/{name}"), &connection)).await.ok(201);
    let dead = scene::timed_out(host).await;
    let waiting = scene::asking(host).await;
    let shown = host.get(&format!("/api/v1/runs/{waiting}")).await;
    let event = shown.ok(200)["event"].as_str().unwrap().parse().unwrap();
    let form = json!({"name": "zorro", "role": "viewer"});
    let made = host.call(Call::new("POST", "/api/v1/tokens").json(&form)).await;
    let token = made.ok(201)["id"].as_str().unwrap().parse().unwrap();
    Ids { dead, waiting, event, token, name }
}

fn absent(host: &Host) -> Ids {
    Ids {
        dead: RunId(host.ids.next()),
        waiting: RunId(host.ids.next()),
        event: EventId(host.ids.next()),
        token: TokenId(host.ids.next()),
        name: "of-nobody",
    }
}

/// All that the victim can look at, by operation.
async fn belongings(host: &Host, routes: &[Route], ids: &Ids) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for route in routes {
        if route.method == "GET"
            && !STREAMS.contains(&&*route.operation)
            && route.path.starts_with("/api/v1/")
        {
            let reply = call(host, route, ids, (host.tenant, &host.token)).await;
            reply.ok(200);
            found.insert(route.operation.clone(), reply.json);
        }
    }
    found
}

/// Past the harness, which keeps what a test that passes prints to itself.
fn tell(what: &str) {
    let thread = std::thread::current();
    let database = match thread.name() {
        Some(name) if name.contains("on_postgres") => "PostgreSQL",
        _ => "SQLite",
    };
    let line = format!("cross-tenant, on {database}: {what}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// The test, on any database.
async fn nothing_of_another_tenant_is_told_or_changed(host: Host) {
    let (victims, nobodys) = (victim(&host).await, absent(&host));
    let attacker = host.tenant_named("attacker").await;
    let token = host.issue(attacker, &Scope::ALL, None).await;
    let caller = (attacker, &*token);
    let routes = routes(&host).await;
    let before = belongings(&host, &routes, &victims).await;
    assert!(before.len() >= 20, "the victim looks at everything: {}", before.len());

    logged::listen();
    let mut named = 0;
    for route in routes.iter().filter(|route| route.has_parts()) {
        let place = format!("{} {}", route.method, route.path);
        let theirs = call(&host, route, &victims, caller).await;
        let nobodys_answer = call(&host, route, &nobodys, caller).await;
        assert_eq!(theirs.status, nobodys_answer.status, "{place}");
        let text = told(&theirs, &victims, &nobodys);
        if MAKES.contains(&&*route.operation) {
            assert_eq!(theirs.status, 201, "{place}: {}", theirs.text);
        } else {
            assert_eq!(theirs.status, 404, "{place}: {}", theirs.text);
            assert_eq!(text, told(&nobodys_answer, &nobodys, &nobodys), "{place}");
        }
        for secret in SECRETS {
            assert!(!text.contains(secret), "{place} tells {secret}: {}", theirs.text);
        }
        named += 1;
    }
    assert!(named >= 25, "every route with an id is called: {named}");
    tell(&format!("{named} of {} routes called with ids of another tenant", routes.len()));
    let log = logged::text();
    assert!(log.contains("dead-letter-not-found"), "what was refused is in the log: {log}");
    for secret in SECRETS.iter().filter(|secret| **secret != "zorro") {
        assert!(!log.contains(secret), "the log tells {secret}");
    }
    assert!(!log.contains("zorro.example"), "the log tells of the victim's connection");

    assert_eq!(belongings(&host, &routes, &victims).await, before, "nothing of it has changed");
}

/// An id that another tenant has takes no longer, and no less, than one that nobody has: the same work
/// is done for it. Compared are the medians of calls that alternate, so that whatever else the machine
/// does falls on both.
async fn how_long_it_takes_tells_nothing(host: Host) {
    /// Calls of each kind to a route.
    const CALLS: usize = 21;
    /// Twice as long would be another class; the machine has other things to do, too.
    const SAME: u32 = 2;
    const NOISE: Duration = Duration::from_micros(300);
    let (victims, nobodys) = (victim(&host).await, absent(&host));
    let attacker = host.tenant_named("attacker").await;
    let token = host.issue(attacker, &Scope::ALL, None).await;
    let caller = (attacker, &*token);
    let mut compared = 0;
    let routes = routes(&host).await;
    let named = |route: &&Route| route.has_parts() && !MAKES.contains(&&*route.operation);
    for route in routes.iter().filter(named) {
        let mut took = [Vec::new(), Vec::new()];
        for _ in 0..CALLS {
            for (ids, took) in [&victims, &nobodys].into_iter().zip(&mut took) {
                let asked = Instant::now();
                let reply = call(&host, route, ids, caller).await;
                took.push(asked.elapsed());
                assert_eq!(reply.status, 404);
            }
        }
        took.iter_mut().for_each(|took| took.sort());
        let [theirs, nobodys] = took.map(|took| took[CALLS / 2]);
        let place = format!("{} {}: {theirs:?}, {nobodys:?}", route.method, route.path);
        assert!(theirs <= nobodys * SAME + NOISE && nobodys <= theirs * SAME + NOISE, "{place}");
        compared += 1;
    }
    assert!(compared >= 20, "every route with an id is timed: {compared}");
    tell(&format!("{compared} routes take as long for ids of another tenant as for ids of nobody"));
}

/// Lists tell of the caller's own only, whatever they are asked for.
async fn lists_are_of_the_caller_only(host: Host) {
    let victims = victim(&host).await;
    let attacker = host.tenant_named("attacker").await;
    let token = host.issue(attacker, &Scope::ALL, None).await;
    let Ids { name, dead, .. } = &victims;
    let queries = ["".to_owned(), format!("?workflow={name}"), format!("?run={dead}")];
    let lists = routes(&host).await.into_iter().filter(|route| {
        route.method == "GET" && !route.has_parts() && route.path.starts_with("/api/v1/")
    });
    let mut read = 0;
    for (list, query) in
        lists.flat_map(|list| queries.clone().map(|query| (list.path.clone(), query)))
    {
        let reply = host.send(Call::new("GET", &format!("{list}{query}")).token(&token)).await;
        let text = &reply.text;
        for told in [&dead.to_string(), &victims.waiting.to_string(), &victims.token.to_string()] {
            assert!(!text.contains(told) || query.contains(told), "{list}{query}: {text}");
        }
        for secret in SECRETS {
            assert!(!text.contains(secret) || query.contains(secret), "{list}{query}: {text}");
        }
        read += 1;
    }
    assert!(read >= 24, "every list is read: {read}");
    for (path, form) in [
        ("dead-letters/redrive", json!({"filter": {"run": dead}})),
        ("dead-letters/redrive", json!({"filter": {"workflow": "flow"}})),
        ("runs/replay", json!({"from": "start", "filter": {"workflow": "flow"}})),
    ] {
        let call = Call::new("POST", &format!("/api/v1/{path}")).json(&form).token(&token);
        let reply = host.send(call).await;
        assert!(!reply.text.contains(&dead.to_string()), "{path}: {}", reply.text);
    }
    assert_eq!(host.repairs.taken(), [], "nothing is repaired");
}

#[test]
#[should_panic(
    expected = "say in cross_tenant.rs which of the victim's ids `id` of /api/v1/new/{id}"
)]
fn a_route_that_is_not_known_here_fails() {
    let [run, event, token] = [1, 2, 3].map(uuid::Uuid::from_u128);
    let (dead, waiting, event, token) = (RunId(run), RunId(run), EventId(event), TokenId(token));
    let ids = Ids { dead, waiting, event, token, name: "x" };
    filled("/api/v1/new/{id}", &ids, TenantId(run));
}

/// Each case on both databases.
macro_rules! across_tenants {
    ($($case:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(super::Host::start().await).await;
                }
            )+
        }

        mod on_postgres {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(super::Host::on_postgres().await).await;
                }
            )+
        }
    };
}

across_tenants! {
    nothing_of_another_tenant_is_told_or_changed,
    how_long_it_takes_tells_nothing,
    lists_are_of_the_caller_only,
}
