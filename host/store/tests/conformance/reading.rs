//! Reading what happened.

use serde_json::json;
use tombolo_core::id::RunId;
use tombolo_core::json::Json;
use tombolo_core::ports::store::{Cursor, Next, Page, RunFilter};
use tombolo_core::run::RunState;
use tombolo_store::INLINE_LIMIT_BYTES;

use crate::world::{NOW, World, after, done, parked, succeeded, workflow};

async fn list(world: &World, filter: &RunFilter, after: Option<RunId>, limit: u32) -> Vec<RunId> {
    let page = Page { after: after.map(Cursor), limit };
    let runs = world.store.runs(world.tenant, filter, page).await.unwrap();
    runs.into_iter().map(|summary| summary.run.id).collect()
}

pub async fn the_list_is_newest_first_and_pages_meet(world: World) {
    let mut runs = Vec::new();
    for n in 0..7 {
        runs.push(world.accept(world.event(&n.to_string())).await);
    }
    runs.reverse();
    let all = RunFilter::default();
    assert_eq!(list(&world, &all, None, 100).await, runs);
    let mut seen = Vec::new();
    loop {
        let page = list(&world, &all, seen.last().copied(), 3).await;
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen, runs);
    filtered_pages_meet(&world).await;
}

/// Ends, parks and holds runs in turn, and lists them by states, which no single index has in order.
async fn filtered_pages_meet(world: &World) {
    use RunState::{Cancelled, Failed, Queued, Running, Succeeded, Waiting};
    let mut runs = Vec::new();
    for n in 0..24_usize {
        let state = RunState::ALL[n * 5 % 6];
        runs.push((in_state(world, &format!("f{n}"), state).await, state));
    }
    runs.reverse();
    let of_others = list(world, &RunFilter::default(), None, 100).await.split_off(runs.len());
    let some: [&[RunState]; 6] = [
        &[Failed],
        &[Waiting, Cancelled, Failed, Failed],
        &[Running],
        &[Running, Failed, Waiting],
        &[Succeeded, Failed],
        &[Cancelled, Queued],
    ];
    for states in some {
        let filter = RunFilter { states: states.to_vec(), ..RunFilter::default() };
        let mut seen = Vec::new();
        loop {
            let page = list(world, &filter, seen.last().copied(), 3).await;
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        let matching = runs.iter().filter(|(_, state)| states.contains(state)).map(|(run, _)| *run);
        let mut expected: Vec<RunId> = matching.collect();
        // Those that were accepted before are queued.
        expected.extend(of_others.iter().filter(|_| states.contains(&Queued)));
        assert_eq!(seen, expected, "{states:?}");
    }
}

async fn in_state(world: &World, key: &str, state: RunState) -> RunId {
    if state == RunState::Queued {
        return world.accept(world.event(key)).await;
    }
    let lease = world.hold(key, "w").await;
    if state == RunState::Waiting {
        world.settle(&lease, parked(after(9))).await.unwrap();
    } else if state.ended() {
        let output = Some(Json::from_value(json!(key)));
        world.settle(&lease, Next::End { state, output, error: None }).await.unwrap();
    }
    lease.run
}

pub async fn every_filter_narrows(world: World) {
    let other = workflow(&*world.store, &world.ids, world.tenant, "other").await;
    let queued = world.accept(world.event("1")).await;
    let running = world.hold("2", "w").await.run;
    let waiting = world.hold("3", "w").await;
    world.settle(&waiting, parked(after(9))).await.unwrap();
    let mut late = world.leased("4", "w", after(9));
    late.event.received_at = after(1_000);
    late.event.correlation_id = "ticket-7".to_owned();
    late.runs[0].workflow = other;
    let late = world.accept(late).await;

    let filter = RunFilter::default;
    let of = |name: &str| RunFilter { workflow: Some(name.to_owned()), ..filter() };
    let states = |states: &[RunState]| RunFilter { states: states.to_vec(), ..filter() };
    let cases = [
        (of("deals"), vec![waiting.run, running, queued]),
        (of("other"), vec![late]),
        (of("none"), vec![]),
        (states(&[RunState::Running]), vec![late, running]),
        (states(&[RunState::Queued, RunState::Waiting]), vec![waiting.run, queued]),
        (states(&[RunState::Failed]), vec![]),
        (RunFilter { since: Some(after(1)), ..filter() }, vec![late]),
        (RunFilter { since: Some(after(1_000)), ..filter() }, vec![late]),
        (RunFilter { until: Some(after(1_000)), ..filter() }, vec![waiting.run, running, queued]),
        (RunFilter { until: Some(NOW), ..filter() }, vec![]),
        (RunFilter { correlation_id: Some("ticket-7".to_owned()), ..filter() }, vec![late]),
        (RunFilter { since: Some(after(1)), ..states(&[RunState::Queued]) }, vec![]),
    ];
    for (filter, expected) in cases {
        assert_eq!(list(&world, &filter, None, 10).await, expected, "{filter:?}");
    }
}

pub async fn a_run_shows_everything(world: World) {
    let accept = world.leased("1", "w", after(9));
    let payload = accept.event.payload.clone();
    let event = accept.event.id;
    let run = world.accept(accept).await;

    let view = world.store.run(world.tenant, run).await.unwrap().unwrap();

    assert_eq!(view.workflow_name, "deals");
    assert_eq!(view.event.id, event);
    assert_eq!(view.event.payload, payload);
    assert_eq!(view.run.workflow, world.workflow);
    assert_eq!(view.run.version, 1);
    assert_eq!(view.run.trigger, "deal_changed");
    assert_eq!(view.run.correlation_id, "correlation-1");
    assert_eq!(view.run.tenant, world.tenant);
    assert_eq!((view.run.error, view.run.output, view.run.ended_at), (None, None, None));
    assert_eq!(view.available_at, Some(after(9)));
    let unknown = world.store.run(world.tenant, RunId::new(&world.ids)).await;
    assert!(unknown.unwrap().is_none());
}

pub async fn long_json_comes_back(world: World) {
    let long = |mark: &str| json!({ mark: "\u{e9}\u{0}".repeat(INLINE_LIMIT_BYTES) });
    let mut accept = world.leased("1", "w", after(9));
    accept.event.payload = Json::from_value(long("payload"));
    let event = accept.event.clone();
    let run = world.accept(accept).await;
    let claimed = world.claim("v", 1, after(9)).await.remove(0);
    assert_eq!(claimed.event.payload.text(), event.payload.text());
    let end = Next::End {
        state: RunState::Succeeded,
        output: Some(Json::from_value(long("output"))),
        error: None,
    };
    let mut results = world.results(&claimed.lease, end);
    // The same text twice, and one that differs.
    let mut step = done("a", long("step"));
    step.input = Some(Json::from_value(long("step")));
    results.steps = vec![step, done("b", long("step")), done("c", long("other"))];
    let expected = results.steps.clone();
    world.store.settle(results).await.unwrap();

    let view = world.store.run(world.tenant, run).await.unwrap().unwrap();
    assert_eq!(view.event.payload.text(), event.payload.text());
    assert_eq!(view.run.output, Some(Json::from_value(long("output"))));
    assert_eq!(world.steps(run).await, expected);
    let view = world.store.event(world.tenant, event.id).await.unwrap().unwrap();
    assert_eq!(view.payload.text(), event.payload.text());
}

pub async fn an_event_shows_its_runs(world: World) {
    let mut accept = world.event("1");
    accept.runs = vec![world.run(), world.run(), world.run()];
    accept.runs.reverse();
    let event = accept.event.clone();
    let runs: Vec<RunId> = accept.runs.iter().map(|run| run.id).collect();
    world.accept(accept).await;
    let view = world.store.event(world.tenant, event.id).await.unwrap().unwrap();
    assert_eq!(view.runs, runs);
    assert_eq!(view.id, event.id);
    assert_eq!(view.source, event.source);
    assert_eq!(view.dedupe_key, "1");
    assert_eq!(view.payload, event.payload);
    assert_eq!(view.received_at, NOW);
}

pub async fn it_answers_a_ping(world: World) {
    assert_eq!(world.store.ping().await, Ok(()));
    let lease = world.hold("1", "w").await;
    world.settle(&lease, succeeded()).await.unwrap();
    assert_eq!(world.store.ping().await, Ok(()));
    world.database.close().await;
    assert!(world.store.ping().await.is_err(), "a closed store is not ready");
}
