//! `POST /api/v1/dead-letters/redrive`

use std::time::Duration;

use serde_json::{Value, json};
use tombolo_api::Settings;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::RunId;
use tombolo_core::ports::repair::RepairError;
use tombolo_core::ports::store::StoreError;
use tombolo_core::run::{RunState, StepState};

use crate::harness::{Call, Host};
use crate::repairs::Asked;
use crate::runs::scene::{apply, failed, host, timed_out, timeout};

const PATH: &str = "/api/v1/dead-letters/redrive";

async fn redrive(host: &Host, body: Value) -> Value {
    host.call(Call::new("POST", PATH).json(&body)).await.ok(200).clone()
}

/// Runs that are asked for, in their order.
fn asked(host: &Host) -> Vec<RunId> {
    let run = |asked| match asked {
        Asked::Redrive(run, ..) => run,
        other => panic!("{other:?}"),
    };
    host.repairs.taken().into_iter().map(run).collect()
}

fn outcomes(answer: &Value) -> Vec<&str> {
    let runs = answer["runs"].as_array().unwrap();
    runs.iter().map(|run| run["outcome"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn runs_that_match_are_redriven_the_newest_first_and_once_each() {
    let host = host().await;
    let first = timed_out(&host).await;
    let dead = |item| ("each", item, StepState::Dead, timeout());
    let second = failed(&host, &[dead(1), dead(2)]).await;
    let other = StepError::new(ErrorClass::Auth, "http-401", "no");
    failed(&host, &[("pay", 0, StepState::Dead, other)]).await;

    let body = json!({"filter": {"class": "transient"}, "forget_calls": true, "reason": "fixed"});
    let answer = redrive(&host, body).await;
    assert_eq!(
        answer,
        json!({
            "dry_run": false, "redriven": 2, "refused": 0, "more": false, "stopped": null,
            "runs": [
                {"run": second, "workflow": "flow", "outcome": "redriven", "more_steps": false,
                 "steps": [{"node": "each", "item": 1}, {"node": "each", "item": 2}]},
                {"run": first, "workflow": "flow", "outcome": "redriven", "more_steps": false,
                 "steps": [{"node": "ask", "item": 0}]},
            ],
        })
    );
    let taken = host.repairs.taken();
    assert_eq!(taken.len(), 2);
    for asked in taken {
        let Asked::Redrive(_, redrive, by) = asked else { panic!("{asked:?}") };
        assert!(redrive.forget_calls && !redrive.repeat_unknown && redrive.step.is_none());
        assert!(by.actor.0.starts_with("token:tok_"), "{by:?}");
        assert_eq!(by.reason.as_deref(), Some("fixed"));
    }
    let rest = redrive(&host, json!({"filter": {"class": "transient"}})).await;
    assert_eq!(rest["runs"], json!([]), "what was redriven matches no more");
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_does_nothing() {
    let host = host().await;
    let fine = timed_out(&host).await;
    let lost = StepError::new(ErrorClass::UnknownOutcome, "worker-lost", "who knows");
    let unknown = failed(
        &host,
        &[("ask", 0, StepState::Dead, timeout()), ("pay", 0, StepState::Unknown, lost)],
    )
    .await;
    let body = json!({"dry_run": true, "filter": {"node": "ask"}, "rate": 1, "canary": 1});
    let answer = redrive(&host, body).await;
    assert_eq!((&answer["redriven"], &answer["refused"]), (&json!(1), &json!(1)));
    assert_eq!(outcomes(&answer), ["refused", "possible"]);
    assert_eq!(answer["runs"][0]["run"], json!(unknown));
    assert_eq!(answer["runs"][0]["problem"]["code"], "outcome-unknown");
    assert_eq!(answer["runs"][1]["run"], json!(fine));
    assert_eq!(answer["runs"][1]["steps"], json!([{"node": "ask", "item": 0}]));

    let answer = redrive(&host, json!({"dry_run": true, "repeat_unknown": true})).await;
    assert_eq!(outcomes(&answer), ["possible", "possible"]);
    assert_eq!(answer["runs"][0]["steps"].as_array().unwrap().len(), 2, "the whole run");
    assert_eq!(host.repairs.taken(), []);
}

#[tokio::test]
async fn a_run_that_cannot_be_redriven_stops_no_other() {
    let host = host().await;
    let (old, new) = (timed_out(&host).await, timed_out(&host).await);
    host.repairs.refuse(new, move || RepairError::Busy(new));
    let answer = redrive(&host, json!({})).await;
    assert_eq!(outcomes(&answer), ["refused", "redriven"]);
    assert_eq!(answer["runs"][0]["problem"]["code"], "run-busy");
    assert_eq!(asked(&host), [new, old]);
}

#[tokio::test]
async fn a_store_that_takes_no_more_stops_the_rest() {
    let host = host().await;
    let (_old, new) = (timed_out(&host).await, timed_out(&host).await);
    host.repairs.refuse(new, || RepairError::Store(StoreError::Full));
    let answer = redrive(&host, json!({})).await;
    assert_eq!(outcomes(&answer), ["not-tried", "not-tried"]);
    assert_eq!(answer["stopped"]["code"], "disk-full");
    assert_eq!(asked(&host), [new]);
}

#[tokio::test]
async fn the_others_follow_only_if_the_canaries_come_to_a_good_end() {
    let host = host().await;
    for _ in 0..3 {
        timed_out(&host).await;
    }
    host.repairs.ends.lock().unwrap().extend([RunState::Succeeded, RunState::Failed]);
    let answer = redrive(&host, json!({"canary": 2})).await;
    assert_eq!(outcomes(&answer), ["redriven", "redriven", "not-tried"]);
    assert_eq!(answer["stopped"]["code"], "canary-failed");
    assert_eq!(
        (&answer["runs"][0]["ended"], &answer["runs"][1]["ended"]),
        (&json!("succeeded"), &json!("failed"))
    );

    host.repairs.taken();
    host.repairs.ends.lock().unwrap().push_back(RunState::Succeeded);
    timed_out(&host).await;
    let answer = redrive(&host, json!({"canary": 1})).await;
    assert_eq!((outcomes(&answer), &answer["stopped"]), (vec!["redriven"; 2], &json!(null)));
    assert_eq!(answer["runs"][1].get("ended"), None, "only a canary is waited for");
}

#[tokio::test]
async fn a_canary_that_does_not_end_stops_the_rest() {
    let settings = Settings { max_wait: Duration::from_millis(30), ..Settings::default() };
    let host = Host::with(settings).await;
    apply(&host, "flow").await;
    let (_old, new) = (timed_out(&host).await, timed_out(&host).await);
    let answer = redrive(&host, json!({"canary": 1})).await;
    assert_eq!(outcomes(&answer), ["redriven", "not-tried"]);
    assert_eq!(answer["stopped"]["code"], "canary-not-ended");
    assert!(answer["stopped"]["message"].as_str().unwrap().contains(&new.to_string()));
}

#[tokio::test]
async fn the_limit_holds_and_says_that_there_are_more() {
    let host = host().await;
    let runs = [timed_out(&host).await, timed_out(&host).await, timed_out(&host).await];
    let answer = redrive(&host, json!({"limit": 2, "rate": 1000})).await;
    assert_eq!((answer["runs"].as_array().unwrap().len(), &answer["more"]), (2, &json!(true)));
    let answer = redrive(&host, json!({"limit": 2, "rate": 1000})).await;
    assert_eq!((outcomes(&answer), &answer["more"]), (vec!["redriven"], &json!(false)));
    assert_eq!(asked(&host), [runs[2], runs[1], runs[0]]);
}

#[tokio::test]
async fn it_ends_with_the_time_of_its_answer_and_with_the_process() {
    let settings = Settings { answer_timeout: Duration::from_secs(5), ..Settings::default() };
    let host = Host::with(settings).await;
    apply(&host, "flow").await;
    timed_out(&host).await;
    let answer = redrive(&host, json!({})).await;
    assert_eq!(outcomes(&answer), ["not-tried"], "nothing is begun that has no time");
    assert_eq!(answer["stopped"]["code"], "time-over");

    let host = crate::runs::scene::host().await;
    timed_out(&host).await;
    host.stopping.cancel();
    let answer = redrive(&host, json!({})).await;
    assert_eq!(
        (outcomes(&answer), &answer["stopped"]["code"]),
        (vec!["not-tried"], &json!("stopping"))
    );
    assert_eq!(asked(&host), []);
}

#[tokio::test]
async fn a_run_with_more_letters_than_a_page_is_one_run() {
    let host = host().await;
    let old = timed_out(&host).await;
    let dead: Vec<_> = (1..=450).map(|item| ("each", item, StepState::Dead, timeout())).collect();
    let new = failed(&host, &dead).await;
    let answer = redrive(&host, json!({"dry_run": true})).await;
    let runs = answer["runs"].as_array().unwrap();
    assert_eq!(
        runs.iter().map(|run| run["run"].clone()).collect::<Vec<_>>(),
        [json!(new), json!(old)]
    );
    assert_eq!(
        (runs[0]["steps"].as_array().unwrap().len(), &runs[0]["more_steps"]),
        (100, &json!(true))
    );
}

#[tokio::test]
async fn a_wrong_form_is_refused() {
    let host = host().await;
    for (body, pointer) in [
        (json!({"limit": 0}), "/limit"),
        (json!({"limit": 1001}), "/limit"),
        (json!({"rate": 0}), "/rate"),
        (json!({"rate": 1001}), "/rate"),
        (json!({"canary": 11, "limit": 10}), "/canary"),
        (json!({"filter": {"class": "bad-luck"}}), "/filter/class"),
        (json!({"filter": {"nod": "x"}}), "/filter/nod"),
        (json!({"all": true}), "/all"),
        (json!({"reason": "x".repeat(2_001)}), "/reason"),
        (json!(null), ""),
    ] {
        let refused = host.call(Call::new("POST", PATH).json(&body)).await;
        assert_eq!(refused.problem(422, "invalid-body")["pointer"], pointer, "{body}");
    }
}
