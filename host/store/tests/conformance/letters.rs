//! Dead letters: steps that wait for a person.

use serde_json::json;
use tombolo_core::audit::{Actor, AuditEntry};
use tombolo_core::clock::Timestamp;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::{RunId, WorkflowId};
use tombolo_core::ports::store::{
    Lease, Letter, LetterCursor, LetterFilter, Letters, NewLetter, Settle, StepKey, StoreError,
};
use tombolo_core::run::{RunState, StepState};

use crate::world::{World, after, ended, key, succeeded, workflow};

fn error(class: ErrorClass, code: &str) -> StepError {
    StepError::new(class, code, "It broke.").with_details(json!({ "at": 1 }))
}

fn new_letter(world: &World, step: StepKey) -> NewLetter {
    let error = error(ErrorClass::Permanent, "broken");
    NewLetter { step, workflow: world.workflow, state: StepState::Dead, error }
}

/// The end of a run that leaves dead letters.
async fn dead(world: &World, lease: &Lease, opened: Vec<NewLetter>) {
    let letters = Letters { opened, ..Letters::default() };
    let results = world.results(lease, ended(RunState::Failed));
    world.store.settle(Settle { letters, ..results }).await.unwrap();
}

async fn list(world: &World, filter: &LetterFilter) -> Vec<Letter> {
    world.store.letters(world.tenant, filter, None, 100).await.unwrap()
}

fn steps(letters: &[Letter]) -> Vec<(RunId, StepKey)> {
    letters.iter().map(|letter| (letter.run, letter.step.clone())).collect()
}

pub async fn they_come_with_a_settle(world: World) {
    let lease = world.hold("1", "w").await;
    let unknown = NewLetter {
        state: StepState::Unknown,
        error: error(ErrorClass::UnknownOutcome, "worker-lost"),
        ..new_letter(&world, StepKey { item: 3, ..key("b") })
    };
    let opened = vec![unknown.clone(), new_letter(&world, key("a"))];

    dead(&world, &lease, opened).await;

    let letters = list(&world, &LetterFilter::default()).await;
    assert_eq!(steps(&letters), [(lease.run, key("a")), (lease.run, unknown.step.clone())]);
    let expected = Letter {
        run: lease.run,
        step: unknown.step,
        workflow: world.workflow,
        workflow_name: "deals".to_owned(),
        state: StepState::Unknown,
        error: unknown.error,
        since: after(100),
        discarded: None,
    };
    assert_eq!(letters[1], expected);
    assert_eq!(world.store.letter_count(world.tenant).await, Ok(2));
}

pub async fn they_go_when_they_are_redriven_or_given_up(world: World) {
    let lease = world.hold("1", "w").await;
    let opened = ["a", "b", "c"].map(|node| new_letter(&world, key(node))).to_vec();
    dead(&world, &lease, opened).await;
    let lease = world.opened(lease.run, "w", after(500)).await.lease;
    let letters = Letters { closed: vec![key("a"), key("none")], ..Letters::default() };
    let results = world.results(&lease, ended(RunState::Failed));
    world.store.settle(Settle { letters, now: after(700), ..results }).await.unwrap();
    let given_up = given_up(&world, lease.run, "b", after(700)).await;
    assert_eq!(given_up, Ok(true));
    assert_eq!(self::given_up(&world, lease.run, "b", after(800)).await, Ok(false), "once");
    assert_eq!(self::given_up(&world, lease.run, "none", after(700)).await, Ok(false));
    let record = world.store.audit(world.tenant, 10, None).await.unwrap();
    assert_eq!(record.len(), 1, "what was not done is not on record");

    let open = list(&world, &LetterFilter::default()).await;
    assert_eq!(steps(&open), [(lease.run, key("c"))]);
    assert_eq!(world.store.letter_count(world.tenant).await, Ok(1));
    let given_up = list(&world, &LetterFilter { discarded: true, ..LetterFilter::default() }).await;
    assert_eq!(steps(&given_up), [(lease.run, key("b"))]);
    assert_eq!(given_up[0].discarded, Some((after(700), "sold elsewhere".to_owned())));
    assert_eq!(given_up[0].since, after(100));

    // Dead again after all, it waits again.
    let lease = world.opened(lease.run, "w", after(500)).await.lease;
    dead(&world, &lease, vec![new_letter(&world, key("b"))]).await;
    let open = list(&world, &LetterFilter::default()).await;
    assert_eq!(steps(&open), [(lease.run, key("b")), (lease.run, key("c"))]);
    assert_eq!(open[0].discarded, None);
}

/// Gives a letter up because of a sale elsewhere.
pub async fn given_up(
    world: &World,
    run: RunId,
    node: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let audit = AuditEntry {
        at,
        actor: Actor("token:ada".to_owned()),
        action: "letter-discarded".to_owned(),
        subject: node.to_owned(),
        detail: serde_json::Value::Null,
        correlation_id: None,
    };
    let reason = "sold elsewhere".to_owned();
    world.store.discard(world.tenant, run, &key(node), reason, audit).await
}

pub async fn the_newest_runs_come_first_and_pages_meet(world: World) {
    let mut expected = Vec::new();
    for n in 0..7 {
        let lease = world.hold(&n.to_string(), "w").await;
        let keys = [key("a"), key("b"), StepKey { item: 1, ..key("b") }];
        let opened = keys.iter().rev().map(|key| new_letter(&world, key.clone())).collect();
        dead(&world, &lease, opened).await;
        expected.splice(0..0, keys.map(|key| (lease.run, key)));
    }
    let all = LetterFilter::default();
    assert_eq!(steps(&list(&world, &all).await), expected);
    for limit in [1, 2, 4, 21] {
        let mut seen: Vec<(RunId, StepKey)> = Vec::new();
        loop {
            let after =
                seen.last().map(|(run, step)| LetterCursor { run: *run, step: step.clone() });
            let page = world.store.letters(world.tenant, &all, after, limit).await.unwrap();
            assert!(page.len() <= limit as usize);
            if page.is_empty() {
                break;
            }
            seen.extend(steps(&page));
        }
        assert_eq!(seen, expected, "pages of {limit}");
    }
}

pub async fn every_filter_narrows(world: World) {
    let other = workflow(&*world.store, &world.ids, world.tenant, "other").await;
    let first = world.hold("1", "w").await;
    let of = |workflow: WorkflowId, node: &str, class, code: &str| NewLetter {
        workflow,
        error: error(class, code),
        ..new_letter(&world, key(node))
    };
    let opened = vec![of(world.workflow, "a", ErrorClass::Permanent, "broken")];
    dead(&world, &first, opened).await;
    let second = world.hold("2", "w").await;
    let letters = Letters {
        opened: vec![of(other, "b", ErrorClass::Auth, "token-expired")],
        ..Letters::default()
    };
    let results = world.results(&second, ended(RunState::Failed));
    world.store.settle(Settle { letters, now: after(900), ..results }).await.unwrap();

    let filter = LetterFilter::default;
    let (one, two) = ((first.run, key("a")), (second.run, key("b")));
    let cases = [
        (filter(), vec![two.clone(), one.clone()]),
        (LetterFilter { workflow: Some("deals".to_owned()), ..filter() }, vec![one.clone()]),
        (LetterFilter { workflow: Some("none".to_owned()), ..filter() }, vec![]),
        (LetterFilter { run: Some(second.run), ..filter() }, vec![two.clone()]),
        (LetterFilter { node: Some("b".to_owned()), ..filter() }, vec![two.clone()]),
        (LetterFilter { class: Some(ErrorClass::Auth), ..filter() }, vec![two.clone()]),
        (LetterFilter { code: Some("broken".to_owned()), ..filter() }, vec![one.clone()]),
        (LetterFilter { since: Some(after(900)), ..filter() }, vec![two.clone()]),
        (LetterFilter { until: Some(after(900)), ..filter() }, vec![one]),
        (LetterFilter { discarded: true, ..filter() }, vec![]),
        (LetterFilter { since: Some(after(901)), ..filter() }, vec![]),
    ];
    for (filter, expected) in cases {
        assert_eq!(steps(&list(&world, &filter).await), expected, "{filter:?}");
    }
}

pub async fn a_refused_settle_leaves_none(world: World) {
    let lease = world.hold("1", "w").await;
    world.settle(&lease, succeeded()).await.unwrap();
    let letters = Letters { opened: vec![new_letter(&world, key("a"))], ..Letters::default() };
    let results = Settle { letters, ..world.results(&lease, ended(RunState::Failed)) };
    assert!(world.store.settle(results).await.is_err());
    assert_eq!(world.store.letter_count(world.tenant).await, Ok(0));
}
