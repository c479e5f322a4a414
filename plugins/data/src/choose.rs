//! `limit` and `deduplicate`: fewer items, unchanged and in their order.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tombolo_sdk::{Effect, NodeError, Operation};

use crate::field;

/// Some items of a list: `{"items": [1, 2, 3], "count": 2}` gives `[1, 2]`.
pub fn limit() -> Operation {
    Operation::new(
        "limit",
        "Keeps at most `count` items, from `offset` on",
        Effect::Pure,
        |params: Limit| -> Result<Vec<Value>, NodeError> {
            let items = params.items.into_iter();
            Ok(items.skip(params.offset).take(params.count).collect())
        },
    )
}

/// Every item once: `{"items": [{"id": 1}, {"id": 1}], "by": ["id"]}` gives `[{"id": 1}]`.
pub fn deduplicate() -> Operation {
    Operation::new(
        "deduplicate",
        "Keeps the first of items that are equal, wholly or in some fields",
        Effect::Pure,
        |params: Deduplicate| -> Result<Vec<Value>, NodeError> {
            let mut seen = HashSet::new();
            let items = params.items.into_iter();
            Ok(items.filter(|item| seen.insert(field::key(item, &params.by))).collect())
        },
    )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Limit {
    items: Vec<Value>,
    /// How many to keep at most.
    count: usize,
    /// How many to leave out first.
    #[serde(default)]
    offset: usize,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Deduplicate {
    items: Vec<Value>,
    /// Dotted paths of the fields that tell items apart; none for the whole item.
    #[serde(default)]
    by: Vec<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tombolo_sdk::testing::invoke;

    use crate::plugin;

    #[test]
    fn limit_takes_a_window() {
        let run = |params| invoke(&plugin(), "limit", params).map(|called| called.output);
        assert_eq!(run(json!({"items": [1, 2, 3], "count": 2})), Ok(json!([1, 2])));
        assert_eq!(run(json!({"items": [1, 2, 3], "count": 2, "offset": 2})), Ok(json!([3])));
        assert_eq!(run(json!({"items": [1], "count": 0})), Ok(json!([])));
    }

    #[test]
    fn a_negative_count_is_refused_with_its_place() {
        let error =
            invoke(&plugin(), "limit", json!({"items": [], "count": -1})).expect_err("is negative");
        assert_eq!(error.code, "invalid-params");
        assert_eq!(error.details.as_deref(), Some(&json!({"pointer": "/count"})));
    }

    #[test]
    fn deduplicate_keeps_the_first() {
        let run = |params| invoke(&plugin(), "deduplicate", params).map(|called| called.output);
        let items = json!([{"id": 1, "n": "a"}, {"id": 2, "n": "b"}, {"id": 1, "n": "c"}]);
        assert_eq!(
            run(json!({"items": items, "by": ["id"]})),
            Ok(json!([{"id": 1, "n": "a"}, {"id": 2, "n": "b"}]))
        );
        assert_eq!(run(json!({"items": [1, "1", 1.0, 1]})), Ok(json!([1, "1"])));
    }
}
