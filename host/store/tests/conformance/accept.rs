//! Accept: every event once, all of a batch or none.

use futures_util::future::join_all;
use serde_json::json;
use tombolo_core::id::{EventId, RunId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{Accepted, Ended, Opened, Page, RunFilter};
use tombolo_core::run::RunState;

use crate::world::{LATER, NOW, World, after, done};

pub async fn a_new_event_starts_its_runs(world: World) {
    let mut accept = world.event("1");
    accept.runs.push(world.run());
    accept.runs.push(world.run());
    // The order given is not the order of the ids.
    accept.runs.reverse();
    let runs: Vec<RunId> = accept.runs.iter().map(|run| run.id).collect();
    let event = accept.event.id;

    let accepted = world.store.accept(vec![accept]).await.unwrap();

    assert_eq!(accepted, [Accepted::New { event, runs: runs.clone() }]);
    for run in runs {
        let view = world.store.run(world.tenant, run).await.unwrap().unwrap();
        assert_eq!(view.run.state, RunState::Queued);
        assert_eq!(view.run.event, event);
        assert_eq!(view.run.created_at, NOW);
        assert_eq!(view.run.deadline, Some(after(3_600_000)));
        assert_eq!(view.available_at, Some(NOW));
    }
}

pub async fn a_known_event_starts_nothing_and_names_the_first(world: World) {
    let mut first = world.event("1");
    first.event.fingerprint = Some([7; 32]);
    let duplicate = Accepted::Duplicate {
        event: first.event.id,
        runs: vec![first.runs[0].id],
        fingerprint: Some([7; 32]),
    };
    world.accept(first).await;
    let second = world.event("1");
    let (event, run) = (second.event.id, second.runs[0].id);

    let accepted = world.store.accept(vec![second]).await.unwrap();

    assert_eq!(accepted, [duplicate]);
    assert_eq!(world.store.event(world.tenant, event).await.unwrap(), None);
    assert!(world.store.run(world.tenant, run).await.unwrap().is_none());
    assert_eq!(world.claim("w", 10, NOW).await.len(), 1);
}

pub async fn the_first_of_a_batch_wins(world: World) {
    let batch = vec![world.event("1"), world.event("2"), world.event("1")];
    let (first, run) = (batch[0].event.id, batch[0].runs[0].id);

    let accepted = world.store.accept(batch).await.unwrap();

    let events: Vec<(bool, EventId)> = accepted
        .iter()
        .map(|accepted| match accepted {
            Accepted::New { event, .. } => (true, *event),
            Accepted::Duplicate { event, .. } => (false, *event),
        })
        .collect();
    assert_eq!(events[0], (true, first));
    assert!(events[1].0);
    assert_eq!(events[2], (false, first));
    assert!(matches!(&accepted[2], Accepted::Duplicate { runs, .. } if runs == &[run]));
}

pub async fn fifty_at_once_are_one_event(world: World) {
    let accepts: Vec<_> = (0..50).map(|_| world.event("same")).collect();
    let answers = accepts.into_iter().map(|accept| world.store.accept(vec![accept]));

    let answers = join_all(answers).await;

    let mut new = Vec::new();
    let mut known = Vec::new();
    for answer in answers {
        match answer.unwrap().remove(0) {
            Accepted::New { event, runs } => new.push((event, runs)),
            Accepted::Duplicate { event, runs, .. } => known.push((event, runs)),
        }
    }
    assert_eq!(new.len(), 1);
    assert_eq!(known, vec![new[0].clone(); 49]);
    let page = Page { after: None, limit: 100 };
    let runs = world.store.runs(world.tenant, &RunFilter::default(), page).await;
    assert_eq!(runs.unwrap().len(), 1);
}

pub async fn keys_are_per_tenant_and_source(world: World) {
    let (tenant, workflow) = world.other("globex").await;
    world.accept(world.event("1")).await;
    let mut other_source = world.event("1");
    other_source.event.source = "hook:contacts".to_owned();
    world.accept(other_source).await;
    let mut other_tenant = world.event("1");
    other_tenant.event.tenant = tenant;
    other_tenant.runs[0].workflow = workflow;
    world.accept(other_tenant).await;
}

pub async fn an_event_without_runs_is_kept(world: World) {
    let mut accept = world.event("1");
    accept.runs.clear();
    let event = accept.event.id;
    let accepted = world.store.accept(vec![accept.clone(), accept]).await.unwrap();
    assert_eq!(
        accepted,
        [
            Accepted::New { event, runs: vec![] },
            Accepted::Duplicate { event, runs: vec![], fingerprint: None },
        ]
    );
    assert!(world.store.event(world.tenant, event).await.unwrap().is_some());
}

pub async fn a_batch_is_stored_whole_or_not_at_all(world: World) {
    let good = world.event("1");
    let event = good.event.id;
    let mut bad = world.event("2");
    bad.runs[0].workflow = WorkflowId::new(&world.ids);

    let answer = world.store.accept(vec![good, bad]).await;

    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(world.store.event(world.tenant, event).await.unwrap(), None);
    assert!(world.claim("w", 10, LATER).await.is_empty());
}

pub async fn texts_come_back_as_they_were(world: World) {
    let strange = "\u{0} ' \" \\ ; -- \u{1F3DD} \u{FFFF}\n";
    let mut accept = world.event(strange);
    accept.event.payload = Json::from_value(json!({ "b": 1, "a": strange, "c": 1.0e30 }));
    accept.event.correlation_id = strange.to_owned();
    let (event, payload) = (accept.event.id, accept.event.payload.clone());
    let run = world.accept(accept).await;

    let view = world.store.event(world.tenant, event).await.unwrap().unwrap();
    assert_eq!(view.dedupe_key, strange);
    assert_eq!(view.payload.text(), payload.text());
    let view = world.store.run(world.tenant, run).await.unwrap().unwrap();
    assert_eq!(view.run.correlation_id, strange);

    let again = world.store.accept(vec![world.event(strange)]).await.unwrap();
    assert!(matches!(again[..], [Accepted::Duplicate { event: first, .. }] if first == event));
}

pub async fn a_run_that_has_ended_is_stored_as_it_is_and_never_queued(world: World) {
    let mut accept = world.event("1");
    let long = Json::from_value(json!("x".repeat(20_000)));
    accept.runs[0].steps = vec![done("deal", json!(1))];
    accept.runs[0].ended =
        Some(Ended { state: RunState::Succeeded, output: Some(long.clone()), at: after(5) });
    let steps = accept.runs[0].steps.clone();
    let run = world.accept(accept).await;

    let view = world.view(run).await;
    assert_eq!((view.run.state, view.run.ended_at), (RunState::Succeeded, Some(after(5))));
    assert_eq!((view.run.output, view.steps), (Some(long), steps));
    assert_eq!(world.store.next_due().await, Ok(None));
    assert!(world.claim("w", 10, LATER).await.is_empty());
    // It can be opened as any other that has ended.
    assert!(matches!(world.open(run, "w", after(500)).await, Opened::Run { .. }));
}

pub async fn an_empty_batch_is_answered(world: World) {
    assert_eq!(world.store.accept(Vec::new()).await.unwrap(), []);
}
