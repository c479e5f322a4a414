//! Settle: results under a lease, all or nothing.

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::{ContentHash, RunId};
use tombolo_core::json::Json;
use tombolo_core::ports::egress::{CallRecord, InboundResponse};
use tombolo_core::ports::journal::{JournalEntry, Kept};
use tombolo_core::ports::sandbox::LogLine;
use tombolo_core::ports::store::{Call, Journaled, Lease, Next, StepRow, StoreError};
use tombolo_core::run::{RunState, StepState};

use crate::world::{LATER, NOW, World, after, done, parked, queued, step, succeeded, worker};

/// A step with every column set.
fn full_step() -> StepRow {
    StepRow {
        item: 3,
        state: StepState::Waiting,
        attempt: 4,
        spent: 2,
        ports: vec!["error".to_owned(), "else".to_owned()],
        error: Some(
            StepError::new(ErrorClass::RateLimited, "slow-down", "Try later.")
                .with_details(json!({ "limit": 100 })),
        ),
        due_at: Some(LATER),
        plugin: Some(ContentHash::of(b"a component")),
        logs: vec![LogLine { level: "warn".to_owned(), message: "429".to_owned() }],
        ..done("deal", json!({ "id": 5 }))
    }
}

fn call(node: &str, attempt: u32, sequence: u32) -> Call {
    Call {
        node: node.to_owned(),
        item: 0,
        attempt,
        record: CallRecord {
            sequence,
            method: "POST".to_owned(),
            url: "https://api.example.com/deals".to_owned(),
            request_headers: vec![("accept".to_owned(), "application/json".to_owned())],
            request_body: Some("{}".to_owned()),
            request_hash: "ab".repeat(32),
            idempotency_key: None,
            status: Some(201),
            response_headers: Vec::new(),
            response_body: None,
            error: None,
            from_journal: false,
            started_at: NOW,
            duration_ms: 12,
        },
    }
}

pub async fn results_are_there_after_it(world: World) {
    let lease = world.hold("1", "w").await;
    let error = StepError::new(ErrorClass::Permanent, "broken", "It broke.");
    let next = Next::End {
        state: RunState::Failed,
        output: Some(Json::from_value(json!([1, 2]))),
        error: Some(error.clone()),
    };
    let mut results = world.results(&lease, next);
    results.steps = vec![full_step()];
    results.calls = vec![call("deal", 1, 0)];

    world.store.settle(results.clone()).await.unwrap();

    let view = world.store.run(world.tenant, lease.run).await.unwrap().unwrap();
    assert_eq!(view.run.state, RunState::Failed);
    assert_eq!(view.run.error, Some(error));
    assert_eq!(view.run.output, Some(Json::from_value(json!([1, 2]))));
    assert_eq!(view.run.ended_at, Some(after(100)));
    assert_eq!(view.available_at, None);
    assert_eq!(view.steps, results.steps);
    assert_eq!(world.store.calls(world.tenant, lease.run).await.unwrap(), results.calls);
    assert_eq!(world.store.next_due().await.unwrap(), None);
}

pub async fn steps_are_replaced_whole(world: World) {
    let lease = world.hold("1", "w").await;
    let mut results = world.results(&lease, Next::Hold);
    results.steps = vec![full_step(), step("other")];
    world.store.settle(results.clone()).await.unwrap();
    let bare = StepRow { item: 3, ..step("deal") };
    results.steps = vec![bare.clone()];
    world.store.settle(results).await.unwrap();
    assert_eq!(world.steps(lease.run).await, [bare, step("other")]);
}

/// A settle that must be refused, with something of everything in it.
async fn assert_refused(world: &World, lease: &Lease, next: Next) {
    let before = world.store.run(world.tenant, lease.run).await.unwrap();
    let mut results = world.results(lease, next);
    results.steps = vec![full_step()];
    results.calls = vec![call("deal", 1, 0)];
    let refused = world.store.settle(results).await;
    assert_eq!(refused, Err(StoreError::LeaseLost { run: lease.run }));
    assert_eq!(world.store.run(world.tenant, lease.run).await.unwrap(), before);
    assert_eq!(world.store.calls(world.tenant, lease.run).await.unwrap(), []);
}

pub async fn a_stale_epoch_writes_nothing(world: World) {
    let frozen = world.hold("1", "w").await;
    // The same process claims the run again after it was frozen: only the epoch differs.
    let claimed = world.claim("w", 1, LATER).await;
    assert_eq!(claimed[0].lease.epoch, LATER.0);
    assert_refused(&world, &frozen, Next::Hold).await;
    assert_refused(&world, &frozen, parked(LATER)).await;
    assert_refused(&world, &frozen, succeeded()).await;
    world.settle(&claimed[0].lease, succeeded()).await.unwrap();
}

pub async fn another_owner_writes_nothing(world: World) {
    let lease = world.hold("1", "w").await;
    let other = Lease { owner: worker("v"), ..lease.clone() };
    assert_refused(&world, &other, succeeded()).await;
    let queued = Lease { run: world.accept(world.event("2")).await, epoch: 0, ..lease.clone() };
    assert_refused(&world, &queued, succeeded()).await;
    let unknown = Lease { run: RunId::new(&world.ids), ..lease };
    assert_refused(&world, &unknown, succeeded()).await;
}

pub async fn another_tenant_writes_nothing(world: World) {
    let (tenant, _) = world.other("globex").await;
    let lease = world.hold("1", "w").await;
    let mut results = world.results(&lease, succeeded());
    results.tenant = tenant;
    let refused = world.store.settle(results).await;
    assert_eq!(refused, Err(StoreError::LeaseLost { run: lease.run }));
    assert_eq!(world.state(lease.run).await, RunState::Running);
}

pub async fn an_ended_run_cannot_be_settled(world: World) {
    let lease = world.hold("1", "w").await;
    world.settle(&lease, succeeded()).await.unwrap();
    assert_refused(&world, &lease, parked(LATER)).await;
    assert!(world.claim("w", 10, after(10_000_000)).await.is_empty());
}

pub async fn parking_gives_the_lease_back(world: World) {
    let lease = world.hold("1", "w").await;
    world.settle(&lease, parked(after(500))).await.unwrap();
    assert_eq!(world.state(lease.run).await, RunState::Waiting);
    assert_refused(&world, &lease, succeeded()).await;
    assert!(world.claim("w", 10, after(499)).await.is_empty());
    let claimed = world.claim("w", 10, after(500)).await.remove(0);
    assert_eq!((claimed.lease.epoch, claimed.claims), (after(500).0, 1));
    world.settle(&claimed.lease, queued(after(500))).await.unwrap();
    assert_eq!(world.state(lease.run).await, RunState::Queued);
}

pub async fn holding_keeps_the_lease(world: World) {
    let lease = world.hold("1", "w").await;
    for _ in 0..3 {
        world.settle(&lease, Next::Hold).await.unwrap();
    }
    assert_eq!(world.state(lease.run).await, RunState::Running);
    assert!(world.claim("v", 10, NOW).await.is_empty());
    assert_eq!(world.store.next_due().await.unwrap(), Some(LATER));
}

pub async fn any_settle_resets_the_claims(world: World) {
    let lease = world.hold("1", "w").await;
    world.settle(&lease, Next::Hold).await.unwrap();
    let claimed = world.claim("w", 1, LATER).await.remove(0);
    assert_eq!(claimed.claims, 1);
    let claimed = world.claim("w", 1, after(60_000)).await.remove(0);
    assert_eq!(claimed.claims, 2);
    world.settle(&claimed.lease, parked(after(60_000))).await.unwrap();
    let claimed = world.claim("w", 1, after(60_000)).await.remove(0);
    assert_eq!(claimed.claims, 1);
}

pub async fn of_settles_in_one_batch_the_lost_fail_alone(world: World) {
    let mut leases = Vec::new();
    for n in 0..20 {
        leases.push(world.hold(&n.to_string(), "w").await);
    }
    let settles = leases.iter().enumerate().map(|(n, lease)| {
        let epoch = if n % 3 == 0 { 7 } else { 1 };
        let mut results = world.results(&Lease { epoch, ..lease.clone() }, succeeded());
        results.steps = vec![done("deal", json!(n))];
        world.store.settle(results)
    });

    let answers = join_all(settles).await;

    for (n, (answer, lease)) in answers.into_iter().zip(&leases).enumerate() {
        if n % 3 == 0 {
            assert_eq!(answer, Err(StoreError::LeaseLost { run: lease.run }));
            assert!(world.steps(lease.run).await.is_empty());
            assert_eq!(world.state(lease.run).await, RunState::Running);
        } else {
            assert_eq!(answer, Ok(()));
            assert_eq!(world.steps(lease.run).await, [done("deal", json!(n))]);
            assert_eq!(world.state(lease.run).await, RunState::Succeeded);
        }
    }
}

pub async fn calls_are_kept_in_order(world: World) {
    let lease = world.hold("1", "w").await;
    let calls = [
        call("deal", 1, 0),
        call("deal", 1, 1),
        call("deal", 2, 0),
        call("deal", 10, 0),
        call("project", 1, 0),
    ];
    let mut results = world.results(&lease, Next::Hold);
    results.calls = vec![calls[4].clone(), calls[3].clone(), calls[1].clone()];
    world.store.settle(results.clone()).await.unwrap();
    results.calls = vec![calls[2].clone(), calls[0].clone()];
    world.store.settle(results).await.unwrap();
    assert_eq!(world.store.calls(world.tenant, lease.run).await.unwrap(), calls);
}

pub async fn a_journal_comes_back_with_the_claim(world: World) {
    let lease = world.hold("1", "w").await;
    let mut headers = HeaderMap::new();
    headers.insert("x-name", HeaderValue::from_bytes(b"caf\xe9").unwrap());
    let answer = InboundResponse {
        status: StatusCode::CREATED,
        headers,
        body: Bytes::from_static(b"\0\xff"),
    };
    let entry = |place, kept| Journaled {
        node: "deal".to_owned(),
        item: 0,
        entry: JournalEntry { place, request_hash: [place as u8; 32], kept },
    };
    let mut results = world.results(&lease, parked(NOW));
    let kept = Kept::Answer(answer);
    results.journal =
        vec![entry(0, kept.clone()), entry(1, Kept::TooLarge), entry(2, Kept::Failed)];
    world.store.settle(results.clone()).await.unwrap();

    let claimed = world.claim("w", 1, LATER).await.remove(0);
    assert_eq!(claimed.journal, results.journal);

    // What went well at a place stays; what failed gives way.
    let mut again = world.results(&claimed.lease, parked(NOW));
    again.journal = vec![entry(0, Kept::Failed), entry(2, kept.clone()), entry(3, Kept::TooLarge)];
    world.store.settle(again).await.unwrap();
    let claimed = world.claim("w", 1, after(1_000_000)).await.remove(0);
    let expected = [
        entry(0, kept.clone()),
        entry(1, Kept::TooLarge),
        entry(2, kept),
        entry(3, Kept::TooLarge),
    ];
    assert_eq!(claimed.journal, expected);
}
