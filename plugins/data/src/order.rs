//! `sort`, and the order of JSON values: null, false, true, numbers, texts, lists, objects, as in
//! jq.

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tombolo_sdk::{Effect, NodeError, Operation};

use crate::field;

/// Items in order: `{"items": [3, 1], "by": []}` gives `[1, 3]`.
pub fn sort() -> Operation {
    Operation::new(
        "sort",
        "Orders items, wholly or by some fields; equal items keep their order",
        Effect::Pure,
        run,
    )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sort {
    items: Vec<Value>,
    /// What to order by, the first counting most; none for the whole item.
    #[serde(default)]
    by: Vec<By>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct By {
    /// Dotted path.
    field: String,
    /// The greatest first.
    #[serde(default)]
    descending: bool,
}

fn run(params: Sort) -> Result<Vec<Value>, NodeError> {
    let mut items = params.items;
    if params.by.is_empty() {
        items.sort_by(compare);
    } else {
        items.sort_by(|left, right| compare_by(&params.by, left, right));
    }
    Ok(items)
}

fn compare_by(keys: &[By], left: &Value, right: &Value) -> Ordering {
    keys.iter()
        .map(|by| {
            let order = compare(field::get(left, &by.field), field::get(right, &by.field));
            if by.descending { order.reverse() } else { order }
        })
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Total, and the same for every run.
pub fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Number(left), Value::Number(right)) => compare_numbers(left, right),
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::Array(left), Value::Array(right)) => left
            .iter()
            .zip(right)
            .map(|(left, right)| compare(left, right))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| left.len().cmp(&right.len())),
        (Value::Object(left), Value::Object(right)) => compare_members(sorted(left), sorted(right)),
        _ => rank(left).cmp(&rank(right)),
    }
}

type Members<'a> = Vec<(&'a String, &'a Value)>;

fn sorted(object: &serde_json::Map<String, Value>) -> Members<'_> {
    let mut members: Members<'_> = object.iter().collect();
    members.sort_by_key(|(name, _)| *name);
    members
}

/// As jq: first the names, then the values.
fn compare_members(left: Members<'_>, right: Members<'_>) -> Ordering {
    let names = |members: &Members<'_>| -> Vec<String> {
        members.iter().map(|(name, _)| (*name).clone()).collect()
    };
    names(&left).cmp(&names(&right)).then_with(|| {
        left.iter()
            .zip(&right)
            .map(|((_, left), (_, right))| compare(left, right))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    })
}

fn compare_numbers(left: &serde_json::Number, right: &serde_json::Number) -> Ordering {
    let integer = |number: &serde_json::Number| {
        number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
    };
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => {
            let float = |number: &serde_json::Number| number.as_f64().unwrap_or(f64::NAN);
            float(left).total_cmp(&float(right))
        }
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tombolo_sdk::testing::invoke;

    use super::*;
    use crate::plugin;

    fn sorted(params: Value) -> Value {
        invoke(&plugin(), "sort", params).expect("sorts").output
    }

    #[test]
    fn values_of_all_kinds_have_one_order() {
        assert_eq!(
            sorted(json!({"items": [{}, [2], "b", "a", 10, 9.5, true, null, false, [1, 1]]})),
            json!([null, false, true, 9.5, 10, "a", "b", [1, 1], [2], {}])
        );
    }

    #[test]
    fn several_fields_count_one_after_the_other() {
        let items = json!([
            {"n": "b", "deal": {"amount": 1}},
            {"n": "a", "deal": {"amount": 2}},
            {"n": "c", "deal": {"amount": 2}},
            {"n": "d"}
        ]);
        let by = json!([{"field": "deal.amount", "descending": true}, {"field": "n"}]);
        let names: Vec<Value> = sorted(json!({"items": items, "by": by}))
            .as_array()
            .into_iter()
            .flatten()
            .map(|item| item["n"].clone())
            .collect();
        assert_eq!(names, ["a", "c", "b", "d"]);
    }

    #[test]
    fn large_integers_are_compared_exactly() {
        assert_eq!(
            sorted(json!({"items": [9_007_199_254_740_993_u64, 9_007_199_254_740_992_u64]})),
            json!([9_007_199_254_740_992_u64, 9_007_199_254_740_993_u64])
        );
    }
}
