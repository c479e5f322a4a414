//! Expressions run in the sandbox: their values, their errors, and what is too much.

use serde_json::{Value, json};
use tombolo_core::id::{TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::sandbox::{Evaluation, ExpressionError, Sandbox};
use uuid::Uuid;

use crate::support::{Lab, NOW, settings};

fn evaluation(scope: Value, expressions: &[&str]) -> Evaluation {
    Evaluation {
        tenant: TenantId(Uuid::from_u128(1)),
        workflow: WorkflowId(Uuid::from_u128(1)),
        version: 1,
        scope: scope.to_string(),
        expressions: expressions.iter().map(|text| (*text).to_owned()).collect(),
        now: NOW,
    }
}

async fn values(lab: &Lab, expressions: &[&str]) -> Result<Vec<Value>, ExpressionError> {
    let scope = json!({ "steps": { "deal": { "amount": 12.5, "name": "Käse" } }, "item": null });
    let values = lab.sandbox.evaluate(evaluation(scope, expressions)).await?;
    Ok(values.iter().map(|value| value.value().clone()).collect())
}

async fn error(lab: &Lab, expressions: &[&str]) -> ExpressionError {
    values(lab, expressions).await.expect_err("an error")
}

#[tokio::test(flavor = "multi_thread")]
async fn values_keep_their_types_and_their_order() {
    let lab = Lab::new(settings());
    let values = values(
        &lab,
        &[".steps.deal.amount > 10", "\"Onboarding: \" + .steps.deal.name", ".item", "[1, {a: 2}]"],
    );
    assert_eq!(
        values.await.unwrap(),
        [json!(true), json!("Onboarding: Käse"), json!(null), json!([1, { "a": 2 }])]
    );
    assert_eq!(lab.sandbox.evaluate(evaluation(json!({}), &[])).await.unwrap(), Vec::<Json>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_names_its_expression() {
    let lab = Lab::new(settings());
    let failed = error(&lab, &[".item", ".steps.deal.name | tonumber"]).await;
    assert_eq!(failed.index, 1, "{failed:?}");
    assert!(failed.code.starts_with("expression-"), "{failed:?}");
    assert_ne!(failed.code, "expression-limit");
    assert_eq!(error(&lab, &["empty"]).await.code, "expression-empty");
    assert_eq!(error(&lab, &["1, 2"]).await.code, "expression-many");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_ends_or_grows_without_end_reaches_a_limit() {
    let lab = Lab::new(settings());
    let bombs = [
        "[repeat(1)]",
        "last(repeat(1))",
        "[range(1e9)]",
        "def f: f; f",
        "def f: 1 + f; f",
        "\"x\" * 1073741824",
        "reduce range(40) as $i (\"x\"; . + .) | length",
        "reduce range(1000) as $i (0; [.])",
    ];
    for bomb in bombs {
        let started = std::time::Instant::now();
        let error = error(&lab, &[bomb]).await;
        assert_eq!(error.code, "expression-limit", "{bomb}: {error:?}");
        assert!(started.elapsed().as_secs() < 20, "{bomb} took {:?}", started.elapsed());
    }
    assert_eq!(values(&lab, &["1 + 1"]).await.unwrap(), [json!(2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_expression_that_reached_the_limit_is_found_in_its_batch() {
    let lab = Lab::new(settings());
    let error = error(&lab, &["1", "2", "[range(1e9)]", "3"]).await;
    assert_eq!((error.index, error.code.as_str()), (2, "expression-limit"));
}

#[tokio::test(flavor = "multi_thread")]
async fn syntax_is_checked_without_evaluating() {
    let lab = Lab::new(settings());
    let expressions = [".a", ".a[", "nonsense(1)", "[range(1e9)]"].map(str::to_owned);
    let errors = lab.sandbox.check(expressions.to_vec()).await.unwrap();
    let indices: Vec<_> = errors.iter().map(|error| error.index).collect();
    assert_eq!(indices, [1, 2], "{errors:?}");
    assert!(errors.iter().all(|error| !error.message.is_empty()));
    assert!(lab.sandbox.check(Vec::new()).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluators_instance_does_not_cross_tenants() {
    let lab = Lab::new(settings());
    lab.sandbox.evaluate(evaluation(json!({}), &["1"])).await.unwrap();
    lab.sandbox.evaluate(evaluation(json!({}), &["1"])).await.unwrap();
    assert_eq!(lab.sandbox.warm_instances(), 1, "the same instance for the same workflow");
    let mut other = evaluation(json!({}), &["1"]);
    other.tenant = TenantId(Uuid::from_u128(2));
    lab.sandbox.evaluate(other).await.unwrap();
    assert_eq!(lab.sandbox.warm_instances(), 2, "another for another tenant");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_sees_the_clock_it_is_given() {
    let lab = Lab::new(settings());
    assert_eq!(values(&lab, &["now"]).await.unwrap(), [json!(1_678_886_400)]);
}
