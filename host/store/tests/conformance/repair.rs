//! Open: one run is leased wherever it stands, so that somebody can repair it.

use serde_json::json;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::RunId;
use tombolo_core::json::Json;
use tombolo_core::ports::journal::{JournalEntry, Kept};
use tombolo_core::ports::store::{
    CancelRequest, ClaimedRun, Journaled, Next, Open, Opened, Settle, StoreError,
};
use tombolo_core::run::RunState;

use crate::world::{
    LATER, NOW, World, after, done, ended, key, parked, queued, succeeded, waiting, worker,
};

/// A run that was opened, and where it stood.
fn opened(opened: Opened) -> (ClaimedRun, RunState) {
    match opened {
        Opened::Run { run, before } => (*run, before),
        other => panic!("{other:?}"),
    }
}

fn journaled(node: &str) -> Journaled {
    let entry = JournalEntry { place: 0, request_hash: [7; 32], kept: Kept::TooLarge };
    Journaled { node: node.to_owned(), item: 0, entry }
}

pub async fn an_ended_run_comes_back_with_all_that_is_known(world: World) {
    let lease = world.hold("1", "w").await;
    let next = Next::End {
        state: RunState::Failed,
        output: Some(Json::from_value(json!([1, 2]))),
        error: Some(StepError::new(ErrorClass::Permanent, "broken", "It broke.")),
    };
    let steps = vec![done("deal", json!(1))];
    let results = world.results(&lease, next);
    let journal = vec![journaled("deal")];
    let results = Settle { steps: steps.clone(), journal: journal.clone(), ..results };
    world.store.settle(results).await.unwrap();

    let (run, before) = opened(world.open(lease.run, "v", after(500)).await);

    assert_eq!(before, RunState::Failed);
    assert_eq!((run.steps, run.journal, run.claims), (steps, journal, 0));
    assert_eq!(run.lease.owner, worker("v"));
    let view = world.view(lease.run).await;
    assert_eq!(view.run, run.run);
    assert_eq!(view.run.state, RunState::Failed, "as it ended, until a settle lets it go on");
    assert_eq!(view.run.error.unwrap().code, "broken");
    assert!(view.run.ended_at.is_some() && view.run.output.is_some());
    assert_eq!(view.available_at, Some(after(30_500)));
    assert!(matches!(world.open(lease.run, "v", after(600)).await, Opened::Busy));
    world.settle(&run.lease, queued(after(600))).await.unwrap();
    let view = world.view(lease.run).await;
    assert_eq!(view.run.state, RunState::Queued);
    assert_eq!((view.run.ended_at, view.run.error, view.run.output), (None, None, None));
    let lease = world.claim("v", 1, after(600)).await.remove(0).lease;
    world.settle(&lease, succeeded()).await.unwrap();
    assert_eq!(world.state(lease.run).await, RunState::Succeeded);
}

pub async fn every_opening_fences_the_ones_before(world: World) {
    let first = world.hold("1", "w").await;
    let mut leases = vec![first.clone()];
    for turn in 1..4 {
        // By the same worker: only the epoch differs.
        world.settle(&leases[leases.len() - 1], ended(RunState::Failed)).await.unwrap();
        let (run, _) = opened(world.open(first.run, "w", after(turn)).await);
        assert!(leases.iter().all(|lease| lease.epoch < run.lease.epoch), "{:?}", run.lease);
        for old in &leases {
            let refused = world.settle(old, succeeded()).await;
            assert_eq!(refused, Err(StoreError::LeaseLost { run: first.run }));
        }
        leases.push(run.lease);
    }
}

pub async fn a_run_that_waits_is_leased(world: World) {
    for (name, next) in
        [("never", waiting(None)), ("later", parked(after(9_000))), ("queued", queued(NOW))]
    {
        let lease = world.hold(name, "w").await;
        world.settle(&lease, next.clone()).await.unwrap();
        let (run, before) = opened(world.open(lease.run, "v", after(500)).await);
        let Next::Park { state, .. } = next else { panic!("it is parked") };
        assert_eq!((before, run.lease.epoch, run.claims), (state, 2, 0), "{name}");
        assert_eq!(world.state(lease.run).await, RunState::Running);
        assert!(world.claim("w", 10, after(9_000)).await.is_empty(), "{name}");
        world.settle(&run.lease, succeeded()).await.unwrap();
    }
}

pub async fn somebody_works_on_it(world: World) {
    let lease = world.hold("1", "w").await;
    assert!(matches!(world.open(lease.run, "v", NOW).await, Opened::Busy));
    assert!(matches!(world.open(lease.run, "w", NOW).await, Opened::Busy));
    // Until the lease has ended; then how often it was claimed still counts.
    let (run, before) = opened(world.open(lease.run, "v", LATER).await);
    assert_eq!((before, run.lease.epoch, run.claims), (RunState::Running, 2, 1));
    assert!(world.settle(&lease, succeeded()).await.is_err());
    assert!(matches!(world.open(lease.run, "w", LATER).await, Opened::Busy));
}

pub async fn an_unknown_run(world: World) {
    assert!(matches!(world.open(RunId::new(&world.ids), "w", NOW).await, Opened::Unknown));
    let (other, _) = world.other("globex").await;
    let run = world.accept(world.event("1")).await;
    let open = Open { tenant: other, run, worker: worker("w"), now: NOW, until: LATER };
    assert!(matches!(world.store.open(open).await, Ok(Opened::Unknown)));
    assert_eq!(world.state(run).await, RunState::Queued);
}

pub async fn after_a_crash_it_has_ended_as_before(world: World) {
    let lease = world.hold("1", "w").await;
    let request = world.store.request_cancel(world.tenant, lease.run, None).await;
    assert_eq!(request, Ok(CancelRequest::Requested));
    world.settle(&lease, ended(RunState::Cancelled)).await.unwrap();
    let (run, before) = opened(world.open(lease.run, "dead", after(500)).await);
    assert_eq!(before, RunState::Cancelled);

    for at in [30_499, 30_500] {
        assert!(world.claim("new", 10, after(at)).await.is_empty());
    }

    let view = world.view(lease.run).await;
    assert_eq!((view.run.state, view.available_at), (RunState::Cancelled, None));
    assert!(world.settle(&run.lease, succeeded()).await.is_err());
    let (again, before) = opened(world.open(lease.run, "new", after(30_500)).await);
    assert_eq!(before, RunState::Cancelled);
    assert!(again.lease.epoch > run.lease.epoch + 1, "the claim had one, too");
    world.settle(&again.lease, queued(after(30_500))).await.unwrap();
    let claimed = world.claim("new", 10, after(30_500)).await.remove(0);
    assert!(!claimed.run.cancel_requested, "what it ended of is forgotten");
}

pub async fn calls_that_are_made_anew_leave_the_journal(world: World) {
    let lease = world.hold("1", "w").await;
    let results = world.results(&lease, ended(RunState::Failed));
    let journal = vec![journaled("deal"), journaled("other")];
    world.store.settle(Settle { journal, ..results }).await.unwrap();
    let (run, _) = opened(world.open(lease.run, "w", after(500)).await);
    let results = world.results(&run.lease, parked(NOW));
    let forgets = vec![key("deal")];

    world.store.settle(Settle { forgets, ..results }).await.unwrap();

    let claimed = world.claim("w", 1, after(500)).await.remove(0);
    assert_eq!(claimed.journal, [journaled("other")]);
}
