//! What runs leave behind: each function adds some of it.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;
use tombolo_core::descriptor::Descriptor;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::{ConnectionId, ContentHash};
use tombolo_core::json::Json;
use tombolo_core::ports::egress::{Auth, CallLimits, CallRecord, Connection, InboundResponse};
use tombolo_core::ports::journal::{JournalEntry, Kept};
use tombolo_core::ports::sandbox::{LogLine, StateWrite};
use tombolo_core::ports::store::{
    Accept, Added, Call, Catalog, Debounce, Ended, Journaled, Lane, Lease, LetterBox, Letters,
    NewLetter, NewPlugin, Next, Open, Opened, Parent, Pause, Priority, RunLimits, RunLog, Settle,
    Signal, Signalled, Singleton, StateChange, StepRow, Throttle, WhenBusy,
};
use tombolo_core::run::{RunState, StepState};
use tombolo_core::secret::Sealed;
use tombolo_store::INLINE_LIMIT_BYTES;

use crate::scene::{FAR, Home, NOW, Scene, after, deed, ended, key, results, waiting, worker};

/// A file in which every table has rows, of two tenants.
pub async fn everything() -> (Scene, [Home; 2]) {
    let scene = Scene::new().await;
    let homes = [scene.home("acme").await, scene.home("glo\u{0}bex").await];
    for home in homes {
        plugins(&scene, home).await;
        connections(&scene, home).await;
        events(&scene, home).await;
        ends(&scene, home).await;
        letters(&scene, home).await;
        waits(&scene, home).await;
        families(&scene, home).await;
        flows(&scene, home).await;
        repairs(&scene, home).await;
    }
    (scene, homes)
}

/// Text that is too long for its row.
fn long(what: &str) -> Json {
    Json::from_value(json!(what.repeat(INLINE_LIMIT_BYTES)))
}

fn component(home: Home, name: &str) -> Bytes {
    Bytes::from(format!("{name} of {}", home.tenant))
}

async fn plugins(scene: &Scene, home: Home) {
    for (n, name) in ["hubspot", "asana"].into_iter().enumerate() {
        let plugin = plugin(home, (name, "1.0.0"), component(home, name), n);
        assert_eq!(scene.store.add_plugin(plugin).await.unwrap(), Added::New);
    }
}

/// A plugin of that name and version, which was added so many milliseconds later.
pub fn plugin(home: Home, (name, version): (&str, &str), component: Bytes, n: usize) -> NewPlugin {
    let descriptor = json!({
        "contract": "1.0", "name": name, "version": version, "world": "connector",
        "operations": [{ "name": "get", "effect": "read", "params": {}, "output": {} }],
    });
    NewPlugin {
        tenant: home.tenant,
        hash: ContentHash::of(&component),
        component,
        descriptor: serde_json::from_value::<Descriptor>(descriptor).unwrap(),
        now: after(n as i64),
        audit: None,
    }
}

async fn connections(scene: &Scene, home: Home) {
    for name in ["crm", "erp"] {
        let password = Sealed(vec![0, 1, 255]);
        let connection = Connection {
            id: ConnectionId::new(&scene.ids),
            tenant: home.tenant,
            name: name.to_owned(),
            base_url: Some("https://api.example.com".to_owned()),
            auth: Auth::Basic { user: "me".to_owned(), password },
            signing: Some(Sealed(vec![9])),
            allowed_hosts: Vec::new(),
            limits: CallLimits::default(),
            updated_at: NOW,
            paused: None,
        };
        scene.store.put_connection(connection, None).await.unwrap();
    }
    let lease = scene.hold(home, "refused").await;
    let next = Next::Park {
        state: RunState::Waiting,
        available_at: None,
        connections: BTreeSet::from(["crm".to_owned()]),
    };
    let pauses = vec![Pause { connection: "crm".to_owned(), reason: "401\u{0}".to_owned() }];
    scene.store.settle(Settle { pauses, ..results(home, &lease, next) }).await.unwrap();
}

async fn events(scene: &Scene, home: Home) {
    let mut odd = scene.event(home, "a\u{0}b");
    odd.event.source = "hook:\u{0}deals".to_owned();
    odd.event.correlation_id = "\u{0}".to_owned();
    odd.runs[0].trigger = "\u{0}".to_owned();
    scene.accept(odd).await;
    let mut hashed = scene.event(home, &format!("sha256:{}", "0a".repeat(32)));
    hashed.event.correlation_id = "0b".repeat(16);
    hashed.event.fingerprint = None;
    hashed.event.payload = long("payload ");
    hashed.runs.push(scene.run(home));
    scene.accept(hashed).await;
    let loose = Accept { runs: Vec::new(), ..scene.event(home, "loose") };
    scene.accept(loose).await;
    // Has a pack of its own already.
    let lease = scene.hold(home, "held").await;
    let barrier = Settle { steps: vec![full(home, "first")], ..results(home, &lease, Next::Hold) };
    scene.store.settle(barrier).await.unwrap();
    // Its worker was to have it for very long.
    let mut held = scene.event(home, "held for long");
    held.runs[0].lease = Some((worker("gone"), FAR));
    scene.accept(held).await;
    // What its worker had not said when it died.
    let lease = scene.hold(home, "cancelled").await;
    scene.store.request_cancel(home.tenant, lease.run, None).await.unwrap();
}

/// A step with something in every column.
fn full(home: Home, node: &str) -> StepRow {
    StepRow {
        state: StepState::Succeeded,
        attempt: 3,
        spent: 2,
        input: Some(Json::from_value(json!({ "text": "a\u{0}b" }))),
        output: Some(Json::from_value(json!([1, "two"]))),
        ports: vec!["yes".to_owned()],
        error: Some(StepError::new(ErrorClass::Transient, "busy", "It was busy.")),
        due_at: Some(after(1)),
        started_at: Some(NOW),
        ended_at: Some(after(5)),
        plugin: Some(ContentHash::of(&component(home, "hubspot"))),
        logs: vec![LogLine { level: "info".to_owned(), message: "hello".to_owned() }],
        edits: 1,
        redriven_after: 2,
        ..StepRow::pending(node, 0)
    }
}

fn call(node: &str, sequence: u32) -> Call {
    let record = CallRecord {
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
    };
    Call { node: node.to_owned(), item: 0, attempt: 3, record }
}

/// Runs that have ended, each in its way; the first after several writes, each with a pack.
async fn ends(scene: &Scene, home: Home) {
    let lease = scene.hold(home, "succeeded").await;
    for round in 0..3 {
        let steps = vec![StepRow { item: round, ..full(home, "each") }];
        let calls = vec![call("each", round)];
        let barrier = Settle { steps, calls, ..results(home, &lease, Next::Hold) };
        scene.store.settle(barrier).await.unwrap();
    }
    let unknown = Some(ContentHash::of(b"a plugin that nobody has"));
    let steps = vec![
        StepRow { output: Some(long("output ")), ..full(home, "long") },
        StepRow { plugin: unknown, ..full(home, "other") },
    ];
    let write = StateWrite {
        key: "cursor\u{0}".to_owned(),
        expected: 0,
        value: Json::from_value(json!({ "at": 7 })),
    };
    let state = vec![StateChange { workflow: home.workflow, node: "poll".to_owned(), write }];
    let end = results(home, &lease, ended(RunState::Succeeded));
    scene.store.settle(Settle { steps, state, ..end }).await.unwrap();

    let lease = scene.hold(home, "ended badly").await;
    scene.store.settle(results(home, &lease, ended(RunState::Cancelled))).await.unwrap();

    // Nothing was left to do when it was accepted.
    let mut at_once = scene.event(home, "at once");
    let output = Some(Json::from_value(json!("done")));
    at_once.runs[0].ended = Some(Ended { state: RunState::Succeeded, output, at: NOW });
    at_once.runs[0].steps = vec![full(home, "only")];
    scene.accept(at_once).await;
}

/// A run that failed and has a dead letter that waits, and one that was given up.
async fn letters(scene: &Scene, home: Home) {
    let lease = scene.hold(home, "failed").await;
    let error = StepError::new(ErrorClass::Permanent, "broken", "It broke.");
    let letter = |node: &str| NewLetter {
        step: key(node),
        workflow: home.workflow,
        state: StepState::Dead,
        error: error.clone(),
    };
    let letters = Letters { opened: vec![letter("a"), letter("b")], closed: Vec::new() };
    let next = Next::End { state: RunState::Failed, output: None, error: Some(error.clone()) };
    let end = Settle { letters, audit: vec![deed(NOW, "x")], ..results(home, &lease, next) };
    scene.store.settle(end).await.unwrap();
    let (gone, b) = ("gone\u{0}".to_owned(), key("b"));
    let discard = scene.store.discard(home.tenant, lease.run, &b, gone, deed(after(2), "b"));
    assert!(discard.await.unwrap());
}

fn waits_for(node: &str) -> StepRow {
    StepRow { state: StepState::Waiting, attempt: 1, spent: 1, ..StepRow::pending(node, 0) }
}

fn signal(home: Home, lease: &Lease, node: &str, body: Json) -> Signal {
    Signal { tenant: home.tenant, run: lease.run, step: key(node), body, at: after(200) }
}

/// Runs that are parked: for a time, with a journal, and for what comes from outside.
async fn waits(scene: &Scene, home: Home) {
    let lease = scene.hold(home, "journal").await;
    let mut headers = HeaderMap::new();
    headers.insert("x-name", HeaderValue::from_bytes(b"caf\xe9").unwrap());
    let body = Bytes::from_static(b"\0\xff");
    let answer = InboundResponse { status: StatusCode::CREATED, headers, body };
    let kept = [Kept::Answer(answer), Kept::TooLarge, Kept::Failed];
    let entry = |(place, kept): (u32, Kept)| Journaled {
        node: "deal".to_owned(),
        item: 0,
        entry: JournalEntry { place, request_hash: [place as u8; 32], kept },
    };
    let journal = (0..).zip(kept).map(entry).collect();
    let steps = vec![waits_for("deal")];
    let parked = Settle { steps, journal, ..results(home, &lease, waiting(Some(after(5_000)))) };
    scene.store.settle(parked).await.unwrap();

    for (key, body) in [("short", Json::from_value(json!("yes"))), ("long", long("yes "))] {
        let lease = scene.hold(home, key).await;
        let steps = vec![waits_for("ask")];
        let parked = Settle { steps, ..results(home, &lease, waiting(None)) };
        scene.store.settle(parked).await.unwrap();
        let kept = scene.store.signal(signal(home, &lease, "ask", body), None).await.unwrap();
        assert_eq!(kept, Signalled::Kept);
    }
    let lease = scene.hold(home, "nobody comes").await;
    let steps = vec![waits_for("ask")];
    let parked = Settle { steps, ..results(home, &lease, waiting(None)) };
    scene.store.settle(parked).await.unwrap();
}

/// A run that has called another one, and one that repeats an old one.
async fn families(scene: &Scene, home: Home) {
    let lease = scene.hold(home, "parent").await;
    let mut child = scene.event(home, "child");
    child.runs[0].parent = Some(Parent { run: lease.run, node: "call".to_owned(), item: 2 });
    child.runs[0].depth = 1;
    let call = StepRow { child: Some(child.runs[0].id), item: 2, ..waits_for("call") };
    let parked = results(home, &lease, waiting(None));
    let parked = Settle { steps: vec![call], starts: vec![child], ..parked };
    scene.store.settle(parked).await.unwrap();
    let mut replay = scene.event(home, "replay");
    replay.runs[0].replay_of = Some(lease.run);
    replay.runs[0].steps = vec![full(home, "taken over")];
    scene.accept(replay).await;
}

/// A lane with one place. Of the one that is ordered, parked runs keep theirs.
pub fn lane(name: &str) -> Lane {
    let ordered = name == "ordered";
    Lane { name: name.to_owned(), limit: 1, in_order: ordered, keeps_place: ordered }
}

/// Runs that wait for a place, for a time, or for the end of another.
async fn flows(scene: &Scene, home: Home) {
    let lanes = RunLimits { lanes: vec![lane("one"), lane("ordered")], ..RunLimits::default() };
    for n in 0..3 {
        flow(scene, home, &format!("lane {n}"), lanes.clone()).await;
    }
    let priority = RunLimits { priority: Priority::High, ..RunLimits::default() };
    flow(scene, home, "high", priority).await;
    let per = Duration::from_secs(60);
    let throttle = Some(Throttle { name: "slow".to_owned(), runs: 1, per });
    for n in 0..2 {
        let limits = RunLimits { throttle: throttle.clone(), ..RunLimits::default() };
        flow(scene, home, &format!("throttle {n}"), limits).await;
    }
    let debounce = Some(Debounce { name: "calm".to_owned(), wait: per, max: per * 2 });
    for n in 0..2 {
        let limits = RunLimits { debounce: debounce.clone(), ..RunLimits::default() };
        flow(scene, home, &format!("debounce {n}"), limits).await;
    }
    let singleton = Some(Singleton { name: "alone".to_owned(), when_busy: WhenBusy::Join });
    for n in 0..2 {
        let limits = RunLimits { singleton: singleton.clone(), ..RunLimits::default() };
        flow(scene, home, &format!("singleton {n}"), limits).await;
    }
}

async fn flow(scene: &Scene, home: Home, key: &str, limits: RunLimits) {
    let mut accept = scene.event(home, key);
    accept.runs[0].flow = limits;
    scene.accept(accept).await;
}

/// A run that had ended, and whose repair came to nothing when the host died.
async fn repairs(scene: &Scene, home: Home) {
    let lease = scene.hold(home, "repaired").await;
    let steps = vec![StepRow { state: StepState::Dead, ..full(home, "deal") }];
    let failed = Settle { steps, ..results(home, &lease, ended(RunState::Failed)) };
    scene.store.settle(failed).await.unwrap();
    let open = Open {
        tenant: home.tenant,
        run: lease.run,
        worker: worker("gone"),
        now: after(200),
        until: after(30_000),
    };
    let opened = scene.store.open(open).await.unwrap();
    assert!(matches!(opened, Opened::Run { before: RunState::Failed, .. }), "{opened:?}");
}
