//! What people ask of the engine is on record, in the write that does it.

use serde_json::{Value, json};
use tombolo_core::audit::CheckpointHistory;
use tombolo_core::ports::intake::{Arrival, Intake};
use tombolo_core::ports::repair::Repairs;
use tombolo_core::ports::store::{Reading, StepKey};
use tombolo_core::run::{RunState, StepState};
use tombolo_engine::verify_record;

use crate::support::{Bench, by, replay_of, state};

#[tokio::test]
async fn a_start_a_decision_a_cancel_and_a_replay_are_on_record() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let nodes = json!({
        "ask": {"use": "approval", "with": {"title": "Pay?"}},
        "tell": {"use": "callback", "after": ["ask.approved"]},
    });
    engine.apply(nodes, json!({})).await;
    let (asked, tenant) = (&engine.engine, bench.tenant);
    let arrival = || Arrival { by: Some(by()), ..engine.arrival("1") };
    let run = asked.accept(vec![arrival()]).await.unwrap()[0].runs()[0];
    // Known already: nothing is started, and nothing is on record.
    asked.accept(vec![arrival()]).await.unwrap();
    let waits = async |node: &str| {
        bench
            .until(run, |view| {
                let of_node = view.steps.iter().find(|step| step.node == node);
                of_node.is_some_and(|step| step.state == StepState::Waiting)
            })
            .await;
    };
    waits("ask").await;
    let decision = json!({"decision": "approved", "by": "token:test", "reason": null});
    let key = StepKey { node: "ask".to_owned(), item: 0 };
    asked.signal(tenant, run, key, decision.clone().into(), by()).await.unwrap();
    waits("tell").await;
    asked.cancel(tenant, run, by()).await.unwrap();
    assert_eq!(state(&bench.ended(run).await), RunState::Cancelled);
    let (new, _) = asked.replay(replay_of(&bench, run), by()).await.unwrap();

    let all = bench.store.audit(tenant, 10, None).await.unwrap();
    let told: Vec<(&str, &Value)> =
        all.iter().rev().map(|(_, entry)| (&*entry.action, &entry.detail)).collect();
    let actions: Vec<&str> = told.iter().map(|(action, _)| *action).collect();
    let expected =
        ["workflow-applied", "run-started", "step-signalled", "cancel-requested", "run-replayed"];
    assert_eq!(actions, expected);
    assert_eq!((&told[1].1["runs"], told[2].1), (&json!([run]), &decision));
    assert_eq!((&told[3].1["reason"], &told[4].1["runs"]), (&json!("mended"), &json!([new])));
    assert!(all.iter().all(|(_, entry)| entry.correlation_id.as_deref() == Some("c1")), "{all:?}");
    let none = CheckpointHistory::default();
    let verdicts = verify_record(&*bench.store, Vec::new(), &none).await.unwrap();
    assert_eq!(verdicts[0].findings, []);
}
