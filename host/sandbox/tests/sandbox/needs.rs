//! An expression that is given only what it needs of the scope answers as if it had all of it. Held
//! against the evaluator itself, on expressions put together at random.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};
use tombolo_core::id::{TenantId, WorkflowId};
use tombolo_core::ports::sandbox::{Evaluation, Sandbox};
use tombolo_core::workflow::Needs;
use uuid::Uuid;

use crate::support::{Lab, NOW, settings};

/// What expressions are made of: whatever reads its input whole, a part of it, or nothing.
const ATOMS: [&str; 22] = [
    ".",
    ".trigger",
    ".trigger.n",
    ".trigger.list[]",
    ".trigger.list[0]",
    ".steps",
    ".steps.a",
    ".steps.a.n",
    ".steps[\"b\"]",
    ".\"steps\".\"b\"",
    ".item",
    ".item?",
    ".event.source",
    ".missing.too",
    "keys",
    "length",
    "tojson",
    "1",
    "\"text\"",
    "\"\\(.steps.a.n)\"",
    "null",
    "not",
];

const OPERATORS: [&str; 10] =
    [" + ", " == ", " // ", ", ", " and ", " or ", " | ", "|", " - ", ">"];

fn scope() -> Value {
    json!({
        "trigger": {"n": 3, "list": [1, 2]},
        "event": {"source": "hook:x"},
        "run": {"id": "run_1"},
        "item": {"n": 5},
        "errors": {},
        "steps": {"a": {"n": 1}, "b": [1, 2, 3]},
    })
}

/// The scope without what is not needed.
fn needed(needs: &Needs) -> Value {
    let Value::Object(fields) = scope() else { unreachable!("the scope is an object") };
    let fields = fields.into_iter().filter(|(name, _)| needs.field(name));
    let cut = fields.map(|(name, value)| match (name.as_str(), value) {
        ("steps", Value::Object(steps)) => {
            let steps = steps.into_iter().filter(|(step, _)| needs.member("steps", step));
            (name, Value::Object(steps.collect()))
        }
        (_, value) => (name, value),
    });
    Value::Object(cut.collect::<Map<_, _>>())
}

fn expression(rng: &mut StdRng, depth: u32) -> String {
    let inner = |rng: &mut StdRng| expression(rng, depth - 1);
    if depth == 0 {
        return (*ATOMS.choose(rng).unwrap()).to_owned();
    }
    match rng.random_range(0..9) {
        0..=3 => {
            let (left, right) = (inner(rng), inner(rng));
            format!("{left}{}{right}", OPERATORS.choose(rng).unwrap())
        }
        4 => format!("({})", inner(rng)),
        5 => format!("[{}]", inner(rng)),
        6 => format!("{{a: {}, b: {}}}", inner(rng), inner(rng)),
        7 => format!("if {} then {} else {} end", inner(rng), inner(rng), inner(rng)),
        _ => format!("{} as $x | {}", inner(rng), inner(rng)),
    }
}

async fn answer(lab: &Lab, scope: &Value, text: &str) -> Result<Value, String> {
    let evaluation = Evaluation {
        tenant: TenantId(Uuid::from_u128(1)),
        workflow: WorkflowId(Uuid::from_u128(1)),
        version: 1,
        scope: scope.to_string(),
        expressions: vec![text.to_owned()],
        now: NOW,
    };
    let values = lab.sandbox.evaluate(evaluation).await;
    values.map(|values| values[0].value().clone()).map_err(|error| error.code)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_is_not_missed() {
    let lab = Lab::new(settings());
    let mut rng = StdRng::seed_from_u64(7);
    let (mut cut, mut answered) = (0, 0);
    for number in 0..3_000 {
        let text = expression(&mut rng, 1 + number % 3);
        let needs = Needs::of([text.as_str()]);
        if needs == Needs::Everything {
            continue;
        }
        cut += 1;
        let whole = answer(&lab, &scope(), &text).await;
        answered += u32::from(whole.is_ok());
        assert_eq!(answer(&lab, &needed(&needs), &text).await, whole, "{text} with {needs:?}");
    }
    assert!(cut > 500 && answered > 200, "{cut} were cut, {answered} of them had a value");
}
