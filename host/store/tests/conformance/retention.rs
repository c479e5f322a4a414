//! Retention: what is old goes, what somebody needs stays, and the disk gets its room back.

use std::ops::Range;

use serde_json::{Value, json};
use tombolo_core::clock::Timestamp;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::{ContentHash, RunId};
use tombolo_core::json::Json;
use tombolo_core::ports::egress::CallRecord;
use tombolo_core::ports::journal::{JournalEntry, Kept};
use tombolo_core::ports::store::{
    Call, Journaled, Lease, Letters, NewLetter, NewPlugin, Next, Opened, Page, Parent, RunFilter,
    Settle, StepRow, Swept,
};
use tombolo_core::run::{RunState, StepState};
use tombolo_store::{Bounds, INLINE_LIMIT_BYTES};

use crate::letters::given_up;
use crate::world::{
    NOW, OnDisk, World, after, done, ended, key, parked, succeeded, waits, worker, workflow,
};

async fn forget(world: &World, ended_before: Timestamp, limit: u32) -> u64 {
    let workflow = (world.tenant, world.workflow);
    world.store.forget(workflow, ended_before, limit).await.unwrap()
}

/// Looks at all payloads, in parts.
async fn sweep(world: &World, limit: u32) -> u64 {
    let (mut after, mut deleted) = (None, 0);
    loop {
        let swept = world.store.sweep_payloads(after, limit).await.unwrap();
        deleted += swept.deleted;
        if swept.next.is_none() {
            return deleted;
        }
        after = swept.next;
    }
}

async fn is_there(world: &World, run: RunId) -> bool {
    world.store.run(world.tenant, run).await.unwrap().is_some()
}

/// A run that ended at that time.
async fn ended_at(world: &World, key: &str, at: Timestamp) -> RunId {
    let lease = world.hold(key, "w").await;
    let results = world.results(&lease, succeeded());
    world.store.settle(Settle { now: at, ..results }).await.unwrap();
    lease.run
}

/// JSON that is too long for its row.
fn long(mark: &str) -> Value {
    json!({ mark: "x".repeat(INLINE_LIMIT_BYTES) })
}

/// Something of everything that a run can leave.
fn everything(world: &World, lease: &Lease) -> Settle {
    let call = Call {
        node: "deal".to_owned(),
        item: 0,
        attempt: 1,
        record: CallRecord {
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
        },
    };
    let entry = JournalEntry { place: 0, request_hash: [7; 32], kept: Kept::TooLarge };
    Settle {
        steps: vec![done("deal", long("deal")), waits("approval")],
        calls: vec![call],
        journal: vec![Journaled { node: "deal".to_owned(), item: 0, entry }],
        ..world.results(lease, succeeded())
    }
}

pub async fn what_is_old_goes_with_all_that_belongs_to_it(world: World) {
    let accept = world.leased("1", "w", after(10_000));
    let event = accept.event.id;
    let run = world.accept(accept).await;
    let lease = Lease { run, owner: worker("w"), epoch: 1 };
    let signal = world.signal(run, "approval", long("signal"));
    world.store.signal(signal, None).await.unwrap();
    world.store.settle(everything(&world, &lease)).await.unwrap();
    assert_eq!(forget(&world, after(100), 10).await, 0, "it ended at that time");

    assert_eq!(forget(&world, after(101), 10).await, 1);

    let page = Page { after: None, limit: 10 };
    let listed = world.store.runs(world.tenant, &RunFilter::default(), page).await;
    assert_eq!(listed, Ok(Vec::new()));
    assert!(!is_there(&world, run).await);
    assert_eq!(world.store.calls(world.tenant, run).await, Ok(Vec::new()));
    assert_eq!(world.signals(run).await, []);
    assert_eq!(world.store.event(world.tenant, event).await, Ok(None));
    assert!(matches!(world.open(run, "w", NOW).await, Opened::Unknown));
    assert_eq!(sweep(&world, 100).await, 2, "the step's output and the signal");

    // With its ids and its key a run can be there again, and finds nothing of the old one.
    let mut again = world.event("1");
    again.runs[0].id = run;
    world.accept(again).await;
    let claimed = world.claim("w", 1, NOW).await.remove(0);
    assert!(claimed.steps.is_empty() && claimed.journal.is_empty() && claimed.signals.is_empty());
}

pub async fn the_oldest_go_first_and_no_more_than_asked(world: World) {
    let mut runs = Vec::new();
    for n in 0..5 {
        runs.push(ended_at(&world, &n.to_string(), after(100 + n)).await);
    }
    assert_eq!(forget(&world, after(104), 2).await, 2);
    for (n, run) in runs.iter().enumerate() {
        assert_eq!(is_there(&world, *run).await, n >= 2, "{n}");
    }
    assert_eq!(forget(&world, after(104), 10).await, 2);
    assert_eq!(forget(&world, after(104), 10).await, 0);
    assert!(is_there(&world, runs[4]).await);
}

pub async fn what_has_not_ended_stays(world: World) {
    let queued = world.accept(world.event("queued")).await;
    let held = world.hold("held", "w").await;
    let waiting = world.hold("waiting", "w").await;
    world.settle(&waiting, parked(after(9))).await.unwrap();
    let reopened = ended_at(&world, "reopened", after(1)).await;
    world.open(reopened, "w", after(2)).await;
    assert_eq!(forget(&world, after(1_000_000), 10).await, 0);
    for run in [queued, held.run, waiting.run, reopened] {
        assert!(is_there(&world, run).await);
    }
}

pub async fn a_dead_letter_keeps_its_run(world: World) {
    let lease = world.hold("1", "w").await;
    let letter = NewLetter {
        step: key("deal"),
        workflow: world.workflow,
        state: StepState::Dead,
        error: StepError::new(ErrorClass::Permanent, "broken", "It broke."),
    };
    let letters = Letters { opened: vec![letter], ..Letters::default() };
    let results = world.results(&lease, ended(RunState::Failed));
    world.store.settle(Settle { letters, ..results }).await.unwrap();
    // Others are not kept by it.
    ended_at(&world, "2", after(100)).await;
    assert_eq!(forget(&world, after(1_000), 10).await, 1);
    assert!(is_there(&world, lease.run).await);

    assert_eq!(given_up(&world, lease.run, "deal", after(500)).await, Ok(true));
    assert_eq!(forget(&world, after(1_000), 10).await, 1);
    assert!(!is_there(&world, lease.run).await);
}

pub async fn a_run_that_was_called_keeps_its_caller(world: World) {
    let lease = world.hold("caller", "w").await;
    let mut start = world.leased("called", "w", after(10_000));
    start.runs[0].parent = Some(Parent { run: lease.run, node: "call".to_owned(), item: 0 });
    let called = Lease { run: start.runs[0].id, ..lease.clone() };
    let results = world.results(&lease, succeeded());
    world.store.settle(Settle { starts: vec![start], ..results }).await.unwrap();
    assert_eq!(forget(&world, after(1_000), 10).await, 0);

    world.settle(&called, succeeded()).await.unwrap();
    assert_eq!(forget(&world, after(1_000), 10).await, 2);
}

pub async fn an_event_stays_while_a_run_of_it_is_left(world: World) {
    let other = workflow(&*world.store, &world.ids, world.tenant, "other").await;
    let mut accept = world.event("1");
    let mut second = world.run();
    second.workflow = other;
    accept.runs.push(second);
    let event = accept.event.id;
    world.accept(accept).await;
    for claimed in world.claim("w", 2, NOW).await {
        world.settle(&claimed.lease, succeeded()).await.unwrap();
    }
    assert_eq!(forget(&world, after(1_000), 10).await, 1, "of one workflow only");
    let found = world.store.event(world.tenant, event).await.unwrap();
    assert_eq!(found.unwrap().runs.len(), 2);
    let of_other = world.store.forget((world.tenant, other), after(1_000), 10).await;
    assert_eq!(of_other, Ok(1));
    assert_eq!(world.store.event(world.tenant, event).await, Ok(None));
}

pub async fn nothing_of_another_tenant_goes(world: World) {
    let (other, _) = world.other("globex").await;
    let run = ended_at(&world, "1", after(1)).await;
    let answer = world.store.forget((other, world.workflow), after(1_000), 10).await;
    assert_eq!(answer, Ok(0));
    assert!(is_there(&world, run).await);
}

pub async fn a_payload_goes_when_nobody_refers_to_it(world: World) {
    let component = vec![7; 4 * INLINE_LIMIT_BYTES];
    let plugin = NewPlugin {
        tenant: world.tenant,
        hash: ContentHash::of(&component),
        component: component.clone().into(),
        descriptor: serde_json::from_value(json!({
            "contract": "1.0", "name": "crm", "version": "1.0.0", "world": "connector",
            "operations": [],
        }))
        .unwrap(),
        now: NOW,
        audit: None,
    };
    let hash = plugin.hash;
    world.store.add_plugin(plugin).await.unwrap();
    let one = world.hold("1", "w").await;
    let two = world.hold("2", "w").await;
    for (lease, mine) in [(&one, "one"), (&two, "two")] {
        let mut results = world.results(lease, succeeded());
        let step = StepRow { input: Some(Json::from_value(long(mine))), ..done("a", long("both")) };
        results.steps = vec![step];
        results.now = if mine == "one" { after(1) } else { after(2) };
        world.store.settle(results).await.unwrap();
    }
    assert_eq!(sweep(&world, 100).await, 0, "all are needed");

    forget(&world, after(2), 10).await;
    assert_eq!(sweep(&world, 1).await, 1, "only the first one's own");
    assert_eq!(world.steps(two.run).await[0].output, Some(Json::from_value(long("both"))));
    forget(&world, after(3), 10).await;
    assert_eq!(sweep(&world, 2).await, 2);
    assert_eq!(world.store.component(hash).await.unwrap().unwrap(), component);

    // What is written again after it was swept is there.
    let lease = world.hold("3", "w").await;
    let results = world.results(&lease, succeeded());
    let steps = vec![done("a", long("both"))];
    world.store.settle(Settle { steps: steps.clone(), ..results }).await.unwrap();
    assert_eq!(world.steps(lease.run).await, steps);
}

pub async fn what_a_run_has_had_stays_as_long_as_the_run(world: World) {
    let lease = world.hold("1", "w").await;
    for mark in ["first", "second"] {
        let results = world.results(&lease, Next::Hold);
        let steps = vec![done("a", long(mark))];
        world.store.settle(Settle { steps, ..results }).await.unwrap();
    }
    let output = Some(Json::from_value(long("output")));
    let end = Next::End { state: RunState::Succeeded, output, error: None };
    world.settle(&lease, end).await.unwrap();
    assert_eq!(sweep(&world, 100).await, 0);
    assert_eq!(world.steps(lease.run).await, [done("a", long("second"))]);
    forget(&world, after(1_000), 1).await;
    let swept = world.store.sweep_payloads(None, 100).await;
    assert_eq!(swept, Ok(Swept { deleted: 3, next: None }));
}

pub async fn a_replay_keeps_what_it_took_over(world: World) {
    let mut accept = world.leased("1", "w", after(10_000));
    accept.event.payload = Json::from_value(long("payload"));
    accept.runs[0].steps = vec![done("a", long("taken over"))];
    let event = accept.event.id;
    let run = world.accept(accept).await;
    assert_eq!(sweep(&world, 100).await, 0);
    assert_eq!(world.steps(run).await, [done("a", long("taken over"))]);
    let found = world.store.event(world.tenant, event).await.unwrap();
    assert_eq!(found.unwrap().payload, Json::from_value(long("payload")));
    world.settle(&Lease { run, owner: worker("w"), epoch: 1 }, succeeded()).await.unwrap();
    forget(&world, after(1_000), 1).await;
    assert_eq!(sweep(&world, 100).await, 2);
}

pub async fn the_disk_gets_its_room_back(mut world: World) {
    fatten(&world, 0..50).await;
    let kept = world.hold("kept", "w").await;
    let mut results = world.results(&kept, parked(after(9)));
    results.steps = vec![fat_step(50, 0)];
    world.store.settle(results.clone()).await.unwrap();
    // Closing writes everything to where it stays.
    world.reopen(Bounds::default()).await;
    let before = world.database.on_disk().await;

    while forget(&world, after(1_000), 7).await > 0 {}
    sweep(&world, 10).await;
    let freed = vacuum(&world).await;

    match (before, world.database.on_disk().await) {
        (OnDisk::Shrinks(full), OnDisk::Shrinks(left)) => {
            assert!(left < full / 4, "{full} bytes became {left}");
            assert!(freed > full / 2, "{freed} bytes of {full} were freed");
        }
        (OnDisk::Reuses(full), OnDisk::Reuses(_)) => {
            fatten(&world, 100..150).await;
            let OnDisk::Reuses(again) = world.database.on_disk().await else { unreachable!() };
            assert!(again < full + full / 10, "{full} bytes became {again}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.steps(kept.run).await, results.steps);
}

/// Runs with much that is stored, which end at once.
async fn fatten(world: &World, numbers: Range<i64>) {
    for n in numbers {
        let lease = world.hold(&n.to_string(), "w").await;
        let mut results = world.results(&lease, succeeded());
        results.steps = (0..20).map(|step| fat_step(n, step)).collect();
        world.store.settle(results).await.unwrap();
    }
}

/// A step with a result that compression makes little of, some of it beside the row.
fn fat_step(run: i64, step: u32) -> StepRow {
    let digests = |count: u32| {
        let digest = |n: u32| ContentHash::of(format!("{run}/{step}/{n}").as_bytes()).to_string();
        json!((0..count).map(digest).collect::<Vec<_>>())
    };
    let output = digests(if step == 0 { 1_000 } else { 50 });
    StepRow { item: step, ..done("fat", output) }
}

/// Frees as much as there is, in parts; gives how many bytes.
async fn vacuum(world: &World) -> u64 {
    let mut freed = 0;
    loop {
        let done = world.store.vacuum(16).await.unwrap();
        freed += done.freed_bytes;
        if done.freed_bytes == 0 {
            assert_eq!(done.free_bytes, 0);
            return freed;
        }
    }
}
