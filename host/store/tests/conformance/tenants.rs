//! Tenants never see each other's rows: every question of one tenant's ids, asked by another.

use serde_json::json;
use tombolo_core::json::Json;
use tombolo_core::ports::egress::{Auth, CallLimits, Connection};
use tombolo_core::ports::sandbox::StateWrite;
use tombolo_core::ports::store::{CancelRequest, Next, Page, RunFilter, StateChange};

use crate::world::{NOW, World, done};

pub async fn never_see_each_others_rows(world: World) {
    let (other, _) = world.other("globex").await;
    let accept = world.leased("1", "w", NOW);
    let event = accept.event.id;
    let run = world.accept(accept).await;
    let claimed = world.claim("w", 1, NOW).await.remove(0);
    let mut results = world.results(&claimed.lease, Next::Hold);
    results.steps = vec![done("deal", json!(1))];
    results.state = vec![StateChange {
        workflow: world.workflow,
        node: "deal".to_owned(),
        write: StateWrite { key: "k".to_owned(), expected: 0, value: Json::null() },
    }];
    world.store.settle(results).await.unwrap();
    let connection = Connection {
        id: tombolo_core::id::ConnectionId::new(&world.ids),
        tenant: world.tenant,
        name: "hubspot".to_owned(),
        base_url: None,
        auth: Auth::None,
        signing: None,
        allowed_hosts: Vec::new(),
        limits: CallLimits::default(),
        updated_at: NOW,
        paused: None,
    };
    world.store.put_connection(connection).await.unwrap();

    let store = &*world.store;
    let page = Page { after: None, limit: 10 };
    let filter = RunFilter::default();
    assert_eq!(store.runs(world.tenant, &filter, page).await.unwrap().len(), 1);
    assert_eq!(store.runs(other, &filter, page).await.unwrap(), []);
    assert_eq!(store.run(other, run).await.unwrap(), None);
    assert_eq!(store.calls(other, run).await.unwrap(), []);
    assert_eq!(store.event(other, event).await.unwrap(), None);
    let cancelled = store.request_cancel(other, run, NOW).await.unwrap();
    assert_eq!(cancelled, CancelRequest::Unknown);
    let state = store.node_state(other, world.workflow, "deal", "k").await.unwrap();
    assert_eq!(state, None);
    let version = store.workflow_version(other, world.workflow, 1).await.unwrap();
    assert_eq!(version, None);
    assert_eq!(store.connection(other, "hubspot").await.unwrap(), None);
    assert_eq!(store.connections(other).await.unwrap(), []);
    assert_eq!(store.plugins(other).await.unwrap(), []);
    let theirs = store.workflows(other).await.unwrap();
    assert!(theirs.iter().all(|version| version.tenant == other));
}
