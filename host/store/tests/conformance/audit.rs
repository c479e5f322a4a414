//! The record of what people did: a list, and a chain.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tombolo_core::audit::{Actor, AuditEntry, Head, Stored, Trail, Tree, Verdict, Witness};
use tombolo_core::id::{ContentHash, TenantId, TokenId};
use tombolo_core::json::Json;
use tombolo_core::ports::egress::{Auth, CallLimits, Connection};
use tombolo_core::ports::store::{
    Added, Applied, CancelRequest, NewPlugin, NewVersion, Next, Settle, Signalled, StoreError,
    Token,
};
use tombolo_core::secret::Sealed;
use tombolo_store::Bounds;

use crate::world::{NOW, World, after, succeeded};

pub fn entry(n: i64) -> AuditEntry {
    AuditEntry {
        at: after(n),
        actor: Actor("token:tok_1".to_owned()),
        action: "step-redriven".to_owned(),
        subject: format!("run/steps/{n}"),
        detail: json!({ "input": { "before": n, "after": null } }),
        correlation_id: Some(format!("c{n}")),
    }
}

/// The whole record, read in parts, and what a walk along it finds.
async fn walked(world: &World, tenant: TenantId) -> (Vec<AuditEntry>, Verdict) {
    let heads = world.store.audit_heads().await.unwrap();
    let head = heads.iter().find(|(of, _)| *of == tenant).map(|(_, head)| *head);
    let mut trail = Trail::new(tenant, [].into(), Vec::new());
    trail.expect(head.unwrap_or(Head::EMPTY), Witness::Head);
    let mut entries = Vec::new();
    loop {
        let after = entries.len() as u64;
        let part = world.store.audit_trail(tenant, Some(after), 3).await.unwrap();
        assert!(part.len() <= 3);
        if part.is_empty() {
            return (entries, trail.end(head));
        }
        for stored in part {
            let Stored::Read(chained) = &stored else { panic!("{stored:?}") };
            entries.push(chained.record.entry.clone());
            trail.read(stored);
        }
    }
}

/// The actions on record, the first one first. The chain is whole.
async fn actions(world: &World) -> Vec<String> {
    let (entries, verdict) = walked(world, world.tenant).await;
    assert_eq!(verdict.findings, []);
    entries.into_iter().map(|entry| entry.action).collect()
}

fn act(action: &str) -> Option<AuditEntry> {
    Some(AuditEntry { action: action.to_owned(), detail: Value::Null, ..entry(1) })
}

pub async fn the_newest_entries_come_first(world: World) {
    let lease = world.hold("1", "w").await;
    for n in 0..4 {
        let results = world.results(&lease, Next::Hold);
        let audit = vec![entry(2 * n), entry(2 * n + 1)];
        world.store.settle(Settle { audit, ..results }).await.unwrap();
    }

    let all = world.store.audit(world.tenant, 100, None).await.unwrap();

    let entries: Vec<AuditEntry> = all.iter().map(|(_, entry)| entry.clone()).collect();
    assert_eq!(entries, (0..8).rev().map(entry).collect::<Vec<_>>());
    assert!(all.iter().map(|(number, _)| *number).eq((1..=8).rev()), "{all:?}");
    let mut seen = Vec::new();
    loop {
        let before = seen.last().map(|(number, _)| *number);
        let page = world.store.audit(world.tenant, 3, before).await.unwrap();
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen, all);
}

pub async fn a_refused_settle_is_not_on_record(world: World) {
    let mut lease = world.hold("1", "w").await;
    lease.epoch = 7;
    let results = world.results(&lease, succeeded());
    assert!(world.store.settle(Settle { audit: vec![entry(1)], ..results }).await.is_err());
    assert_eq!(world.store.audit(world.tenant, 10, None).await, Ok(Vec::new()));
    assert_eq!(world.store.audit_heads().await, Ok(Vec::new()));
}

pub async fn every_tenant_has_a_chain_of_its_own(mut world: World) {
    let (other, _) = world.other("globex").await;
    for n in 0..7 {
        let tenant = if n % 3 == 0 { other } else { world.tenant };
        world.store.record(tenant, entry(n)).await.unwrap();
    }
    // It goes on where it was.
    world.reopen(Bounds::default()).await;
    world.store.record(world.tenant, entry(7)).await.unwrap();

    for (tenant, numbers) in [(world.tenant, vec![1, 2, 4, 5, 7]), (other, vec![0, 3, 6])] {
        let (entries, verdict) = walked(&world, tenant).await;
        assert_eq!(verdict.findings, []);
        assert_eq!(verdict.head.seq, numbers.len() as u64);
        assert_eq!(entries, numbers.into_iter().map(entry).collect::<Vec<_>>());
    }
    assert_eq!(world.store.audit_heads().await.unwrap().len(), 2);
}

pub async fn many_at_once_leave_no_gap(world: World) {
    let token = |n: i64| Token {
        id: TokenId::new(&world.ids),
        tenant: world.tenant,
        name: "ci".to_owned(),
        // Every second one is refused: its hash is there.
        hash: [n.min(1) as u8; 32],
        scopes: Vec::new(),
        created_at: NOW,
        expires_at: None,
        prefix: None,
        last_used_at: None,
        revoked_at: None,
    };
    let records = (0..40).map(|n| world.store.record(world.tenant, entry(n)));
    let tokens = (0..40).map(|n| world.store.put_token(token(n), Some(entry(100 + n))));
    let (records, tokens) = futures_util::join!(join_all(records), join_all(tokens));

    assert!(records.iter().all(Result::is_ok));
    let kept = tokens.iter().filter(|token| token.is_ok()).count();
    assert_eq!(kept, 2);
    assert!(tokens.iter().any(|token| matches!(token, Err(StoreError::Refused(_)))), "{tokens:?}");
    let (entries, verdict) = walked(&world, world.tenant).await;
    assert_eq!(verdict.findings, []);
    assert_eq!((entries.len(), verdict.head.seq), (42, 42), "what is refused is not on record");
}

pub async fn the_leaves_are_its_hashes(world: World) {
    let mut tree = Tree::default();
    let mut head = Head::EMPTY;
    for n in 0..5 {
        world.store.record(world.tenant, entry(n)).await.unwrap();
        let chained = head.append(world.tenant, entry(n)).unwrap();
        head = chained.head();
        tree.push(chained.hash);
    }
    let mut read = Tree::default();
    while read.size() < 5 {
        let leaves = world.store.audit_leaves(world.tenant, read.size(), 2).await.unwrap();
        for (seq, hash) in leaves {
            read.push(hash);
            assert_eq!(seq, read.size());
        }
    }
    assert_eq!(read.root(), tree.root());
    assert_eq!(world.store.audit_leaves(world.tenant, 5, 2).await, Ok(Vec::new()));
    assert_eq!(world.store.audit_heads().await, Ok(vec![(world.tenant, head)]));
}

pub async fn a_detail_keeps_its_digits_and_is_bounded(world: World) {
    let detail =
        json!({"amount": 9_007_199_254_740_993_u64, "price": 10.5, "long": "x".repeat(1 << 17)});
    world.store.record(world.tenant, AuditEntry { detail, ..entry(1) }).await.unwrap();
    let (entries, verdict) = walked(&world, world.tenant).await;
    assert_eq!(verdict.findings, []);
    let detail = &entries[0].detail;
    assert_eq!((&detail["amount"], &detail["price"]), (&json!("9007199254740993"), &json!("10.5")));
    assert_eq!(detail["long"]["bytes"], (1 << 17) + 2);
}

pub async fn what_changes_the_catalog_is_on_record_with_what_was_before(world: World) {
    let version = |definition: &str| NewVersion {
        tenant: world.tenant,
        id: tombolo_core::id::WorkflowId::new(&world.ids),
        name: "orders".to_owned(),
        definition: Json::from_trusted(definition),
        pins: Default::default(),
        audit: act("workflow-applied"),
        now: NOW,
    };
    let store = &world.store;
    for (definition, created) in [("{}", true), ("{}", false), ("{\"a\":1}", true)] {
        let applied = store.apply_workflow(version(definition)).await.unwrap();
        assert_eq!(matches!(applied, Applied::Created { .. }), created);
    }
    for (bytes, expected) in [(b"a", Added::New), (b"a", Added::Same)] {
        assert_eq!(store.add_plugin(plugin(&world, bytes)).await.unwrap(), expected);
    }
    let taken = store.add_plugin(plugin(&world, b"b")).await.unwrap();
    assert!(matches!(taken, Added::VersionTaken { .. }));
    for auth in [Auth::None, Auth::Bearer { token: Sealed(vec![201; 40]) }] {
        store.put_connection(connection(&world, auth), act("connection-set")).await.unwrap();
    }

    let (entries, verdict) = walked(&world, world.tenant).await;
    assert_eq!(verdict.findings, []);
    let told: Vec<&str> = entries.iter().map(|entry| &*entry.action).collect();
    let workflow = ["workflow-applied"; 2];
    assert_eq!(told, [&workflow[..], &["plugin-added"], &["connection-set"; 2]].concat());
    let versions = |n: usize| {
        let detail = &entries[n].detail;
        (detail["before"]["version"].as_u64(), detail["after"]["version"].as_u64())
    };
    assert_eq!((versions(0), versions(1)), ((None, Some(1)), (Some(1), Some(2))));
    let (first, second) = (&entries[3].detail, &entries[4].detail);
    assert_eq!((&first["before"], &second["before"]), (&Value::Null, &first["after"]));
    assert_eq!(second["secrets_replaced"], json!(["auth"]));
    assert_eq!(second["after"]["auth"]["kind"], "bearer");
}

fn plugin(world: &World, component: &'static [u8]) -> NewPlugin {
    let descriptor = json!({
        "contract": "1.0", "name": "crm", "version": "1.0.0", "world": "connector",
        "operations": [],
    });
    NewPlugin {
        tenant: world.tenant,
        hash: ContentHash::of(component),
        component: component.into(),
        descriptor: serde_json::from_value(descriptor).unwrap(),
        audit: act("plugin-added"),
        now: NOW,
    }
}

fn connection(world: &World, auth: Auth) -> Connection {
    Connection {
        id: tombolo_core::id::ConnectionId::new(&world.ids),
        tenant: world.tenant,
        name: "crm".to_owned(),
        base_url: None,
        auth,
        signing: None,
        allowed_hosts: Vec::new(),
        limits: CallLimits::default(),
        updated_at: NOW,
        paused: None,
    }
}

pub async fn what_a_person_asks_of_a_run_is_on_record_if_it_is_done(world: World) {
    let mut start = world.event("1");
    start.audit = act("run-started");
    let run = start.runs[0].id;
    let store = &world.store;
    for _ in 0..2 {
        store.accept(vec![start.clone()]).await.unwrap();
    }
    for expected in [Signalled::Kept, Signalled::Taken] {
        let signal = world.signal(run, "ask", json!(1));
        assert_eq!(store.signal(signal, act("step-signalled")).await, Ok(expected));
    }
    let cancel = async || store.request_cancel(world.tenant, run, act("cancel-requested")).await;
    assert_eq!(cancel().await, Ok(CancelRequest::Requested));
    let lease = world.claim("w", 1, after(1)).await.remove(0).lease;
    world.settle(&lease, succeeded()).await.unwrap();
    assert!(matches!(cancel().await, Ok(CancelRequest::Ended(_))));

    assert_eq!(actions(&world).await, ["run-started", "step-signalled", "cancel-requested"]);
    let (entries, _) = walked(&world, world.tenant).await;
    assert_eq!(entries[0].detail["runs"], json!([run]));
}

pub async fn retention_leaves_it_as_it_is(world: World) {
    let lease = world.hold("1", "w").await;
    let results = world.results(&lease, succeeded());
    world.store.settle(Settle { audit: vec![entry(1)], ..results }).await.unwrap();
    let store = &world.store;
    assert_eq!(store.forget((world.tenant, world.workflow), after(1_000), 10).await, Ok(1));
    store.forget_events(after(1_000), 10).await.unwrap();
    store.sweep_payloads(None, 10).await.unwrap();
    store.vacuum(100).await.unwrap();
    assert_eq!(actions(&world).await, ["step-redriven"]);
}
