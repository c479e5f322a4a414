//! Tenants never see each other's rows: every question of one tenant's ids, asked by another.

use serde_json::json;
use tombolo_core::audit::{Actor, AuditEntry};
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::json::Json;
use tombolo_core::ports::egress::{Auth, CallLimits, Connection};
use tombolo_core::ports::sandbox::StateWrite;
use tombolo_core::ports::store::{
    CancelRequest, LetterFilter, NewLetter, Next, Page, RunFilter, Signal, Signalled, StateChange,
};
use tombolo_core::run::StepState;

use crate::world::{NOW, World, done, key};

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
    results.audit = vec![AuditEntry {
        at: NOW,
        actor: Actor("token:tok_1".to_owned()),
        action: "step-redriven".to_owned(),
        subject: run.to_string(),
        detail: json!({}),
        correlation_id: None,
    }];
    results.letters.opened = vec![NewLetter {
        step: key("deal"),
        workflow: world.workflow,
        state: StepState::Dead,
        error: StepError::new(ErrorClass::Permanent, "broken", "It broke."),
    }];
    world.store.settle(results).await.unwrap();
    let signal = world.signal(run, "deal", json!(1));
    assert_eq!(world.store.signal(signal.clone(), None).await, Ok(Signalled::Kept));
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
    world.store.put_connection(connection, None).await.unwrap();

    let store = &*world.store;
    let page = Page { after: None, limit: 10 };
    let filter = RunFilter::default();
    assert_eq!(store.runs(world.tenant, &filter, page).await.unwrap().len(), 1);
    assert_eq!(store.runs(other, &filter, page).await.unwrap(), []);
    assert_eq!(store.run(other, run).await.unwrap(), None);
    assert_eq!(store.calls(other, run).await.unwrap(), []);
    assert_eq!(store.event(other, event).await.unwrap(), None);
    let cancelled = store.request_cancel(other, run, None).await.unwrap();
    assert_eq!(cancelled, CancelRequest::Unknown);
    assert_eq!(store.signals(other, run).await.unwrap(), []);
    let theirs = Signal { tenant: other, ..signal };
    assert_eq!(store.signal(theirs, None).await.unwrap(), Signalled::Unknown);
    assert_eq!(store.audit(other, 10, None).await.unwrap(), []);
    let letters = store.letters(other, &LetterFilter::default(), None, 10).await.unwrap();
    assert_eq!((letters, store.letter_count(other).await.unwrap()), (vec![], 0));
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
