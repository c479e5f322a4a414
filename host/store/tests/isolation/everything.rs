//! Rows of a tenant in every table, written through the port.

use std::collections::BTreeSet;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::json;
use tombolo_core::audit::{Actor, AuditEntry};
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::{ConnectionId, ContentHash, RunId, TokenId};
use tombolo_core::json::Json;
use tombolo_core::ports::egress::{Auth, CallLimits, CallRecord, Connection, InboundResponse};
use tombolo_core::ports::journal::{JournalEntry, Kept};
use tombolo_core::ports::sandbox::StateWrite;
use tombolo_core::ports::store::{
    Accepted, Access, Call, Catalog, Debounce, Journaled, Lane, Lease, Letters, NewLetter,
    NewPlugin, Next, Pause, QuotaChange, RunLimits, RunLog, Scope, Settle, Signal, Signalled,
    StateChange, StepKey, StepRow, Throttle, Token,
};
use tombolo_core::quota::Quotas;
use tombolo_core::run::{RunState, StepState};
use tombolo_core::secret::Sealed;
use tombolo_store::{INLINE_LIMIT_BYTES, PostgresStore};

use crate::world::{Ids, NOW, Owner, after, done, ended};

/// What was written, for questions about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    pub failed: RunId,
    pub waiting: RunId,
    pub token: Token,
}

/// Leaves something of everything.
pub async fn write(store: &PostgresStore, owner: &Owner) -> Written {
    let token = token(owner);
    store.put_token(token.clone(), None).await.unwrap();
    let quotas = Quotas { connections: Some(9), ..Quotas::default() };
    store
        .set_quotas(owner.tenant, QuotaChange { before: Quotas::default(), after: quotas }, None)
        .await
        .unwrap();
    store.add_plugin(plugin(owner)).await.unwrap();
    let (failed, waiting) = write_runs(store, owner).await;
    gathers(store, owner).await;
    Written { failed, waiting, token }
}

/// A run that failed with all that a run can leave, and one that waits for a connection.
pub async fn write_runs(store: &PostgresStore, owner: &Owner) -> (RunId, RunId) {
    store.put_connection(connection(owner, "hubspot"), None).await.unwrap();
    let failed = owner.hold(store, "failed").await;
    store.settle(everything(owner, &failed)).await.unwrap();
    (failed.run, waits_for_connection(store, owner).await)
}

fn token(owner: &Owner) -> Token {
    let id = TokenId::new(&Ids);
    Token {
        id,
        tenant: owner.tenant,
        name: "ci".to_owned(),
        hash: ContentHash::of(id.0.as_bytes()).0,
        scopes: vec![Scope::RunsRead],
        created_at: NOW,
        expires_at: None,
        prefix: None,
        last_used_at: None,
        revoked_at: None,
    }
}

/// A component of the tenant's own.
fn plugin(owner: &Owner) -> NewPlugin {
    let component = owner.tenant.0.as_bytes().to_vec();
    NewPlugin {
        tenant: owner.tenant,
        hash: ContentHash::of(&component),
        component: component.into(),
        descriptor: serde_json::from_value(json!({
            "contract": "1.0", "name": "crm", "version": "1.0.0", "world": "connector",
            "operations": [],
        }))
        .unwrap(),
        now: NOW,
        audit: None,
    }
}

pub fn connection(owner: &Owner, name: &str) -> Connection {
    Connection {
        id: ConnectionId::new(&Ids),
        tenant: owner.tenant,
        name: name.to_owned(),
        base_url: Some("https://api.example.com".to_owned()),
        auth: Auth::Bearer { token: Sealed(owner.tenant.0.as_bytes().to_vec()) },
        signing: None,
        allowed_hosts: Vec::new(),
        limits: CallLimits::default(),
        updated_at: NOW,
        paused: None,
    }
}

pub fn audit(subject: &str) -> AuditEntry {
    AuditEntry {
        at: NOW,
        actor: Actor("token:ada".to_owned()),
        action: "step-redriven".to_owned(),
        subject: subject.to_owned(),
        detail: json!({}),
        correlation_id: None,
    }
}

/// The end of a run that leaves whatever a run can leave.
fn everything(owner: &Owner, lease: &Lease) -> Settle {
    let step = StepKey { node: "deal".to_owned(), item: 0 };
    let long = Json::from_value(json!("x".repeat(INLINE_LIMIT_BYTES)));
    let write = StateWrite { key: "k".to_owned(), expected: 0, value: Json::null() };
    let answer = InboundResponse {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: b"{}".to_vec().into(),
    };
    let letter = NewLetter {
        step: step.clone(),
        workflow: owner.workflow,
        state: StepState::Dead,
        error: StepError::new(ErrorClass::Permanent, "broken", "It broke."),
    };
    let entry = JournalEntry { place: 0, request_hash: [7; 32], kept: Kept::Answer(answer) };
    Settle {
        steps: vec![StepRow { output: Some(long), ..done("deal") }],
        calls: vec![Call { node: "deal".to_owned(), item: 0, attempt: 1, record: call() }],
        journal: vec![Journaled { node: "deal".to_owned(), item: 0, entry }],
        state: vec![StateChange { workflow: owner.workflow, node: step.node, write }],
        letters: Letters { opened: vec![letter], closed: Vec::new() },
        audit: vec![audit("deal")],
        ..owner.results(lease, ended(RunState::Failed))
    }
}

fn call() -> CallRecord {
    CallRecord {
        sequence: 0,
        method: "POST".to_owned(),
        url: "https://api.example.com/deals".to_owned(),
        request_headers: Vec::new(),
        request_body: None,
        request_hash: "ab".repeat(32),
        idempotency_key: None,
        status: Some(201),
        response_headers: Vec::new(),
        response_body: None,
        error: None,
        from_journal: false,
        started_at: NOW,
        duration_ms: 12,
    }
}

/// A run that waits for a connection, with a signal for one of its steps.
async fn waits_for_connection(store: &PostgresStore, owner: &Owner) -> RunId {
    let lease = owner.hold(store, "waiting").await;
    let connections = BTreeSet::from(["hubspot".to_owned()]);
    let next = Next::Park { state: RunState::Waiting, available_at: None, connections };
    let reason = "401 Unauthorized".to_owned();
    let pauses = vec![Pause { connection: "hubspot".to_owned(), reason }];
    store.settle(Settle { pauses, ..owner.results(&lease, next) }).await.unwrap();
    let step = StepKey { node: "approval".to_owned(), item: 0 };
    let body = Json::from_value(json!("yes"));
    let signal = Signal { tenant: owner.tenant, run: lease.run, step, body, at: after(200) };
    assert_eq!(store.signal(signal, None).await, Ok(Signalled::Kept));
    lease.run
}

/// Two events of one run that has to wait for everything that a run can wait for.
async fn gathers(store: &PostgresStore, owner: &Owner) {
    let second = Duration::from_secs(1);
    let name = "ada".to_owned();
    let flow = RunLimits {
        lanes: vec![Lane { name: name.clone(), limit: 1, in_order: true, keeps_place: true }],
        throttle: Some(Throttle { name: name.clone(), runs: 1, per: second }),
        debounce: Some(Debounce { name, wait: second, max: 10 * second }),
        ..RunLimits::default()
    };
    let mut joined = Vec::new();
    for key in ["first", "second"] {
        let mut accept = owner.event(key);
        accept.runs[0].flow = flow.clone();
        match store.accept(vec![accept]).await.unwrap().remove(0) {
            Accepted::New { runs, .. } => joined.extend(runs),
            other => panic!("a new event, and {other:?}"),
        }
    }
    assert_eq!(joined[0], joined[1], "the second event joins the run of the first");
}
