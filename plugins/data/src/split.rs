//! `split` and `batch`: one item into many, many items into lists.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tombolo_sdk::{Effect, ErrorClass, NodeError, Operation};

use crate::field;

/// An item for every element of a field: orders with lines become lines with their order's number.
pub fn split() -> Operation {
    Operation::new(
        "split",
        "Makes an item of every element of a list field",
        Effect::Pure,
        run_split,
    )
    .with_error("not-a-list", ErrorClass::InvalidInput, "The field of an item is no list")
}

/// Lists of at most `size` items: `{"items": [1, 2, 3], "size": 2}` gives `[[1, 2], [3]]`.
pub fn batch() -> Operation {
    Operation::new(
        "batch",
        "Cuts a list into lists of at most `size` items",
        Effect::Pure,
        |params: Batch| -> Result<Vec<Vec<Value>>, NodeError> {
            let size = params.size.get();
            Ok(params.items.chunks(size).map(<[Value]>::to_vec).collect())
        },
    )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Split {
    items: Vec<Value>,
    /// Dotted path of the list. An item without it gives no items.
    field: String,
    /// Dotted paths of fields that go along with every element. With none, the elements are the
    /// items.
    #[serde(default)]
    include: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Batch {
    items: Vec<Value>,
    /// How many items a list has at most.
    size: std::num::NonZeroUsize,
}

fn run_split(params: Split) -> Result<Vec<Value>, NodeError> {
    let mut split = Vec::new();
    for (index, item) in params.items.iter().enumerate() {
        match field::get(item, &params.field) {
            Value::Null => {}
            Value::Array(elements) => {
                let made = elements.iter().map(|element| make(item, element, &params));
                split.extend(made);
            }
            _ => return Err(not_a_list(index, &params.field)),
        }
    }
    Ok(split)
}

fn make(item: &Value, element: &Value, params: &Split) -> Value {
    if params.include.is_empty() {
        return element.clone();
    }
    let mut made = Map::new();
    for path in &params.include {
        let name = field::last_name(path).to_owned();
        made.insert(name, field::get(item, path).clone());
    }
    made.insert(field::last_name(&params.field).to_owned(), element.clone());
    Value::Object(made)
}

fn not_a_list(index: usize, field: &str) -> NodeError {
    NodeError::invalid_input("not-a-list", format!("item {index}: `{field}` is no list"))
        .with_details(json!({ "item": index, "field": field }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tombolo_sdk::testing::invoke;

    use crate::plugin;

    #[test]
    fn every_element_becomes_an_item() {
        let items = json!([
            {"order": {"id": 7}, "lines": [{"sku": "a"}, {"sku": "b"}]},
            {"order": {"id": 8}, "lines": []},
            {"order": {"id": 9}}
        ]);
        let run = |params| invoke(&plugin(), "split", params).map(|called| called.output);
        assert_eq!(
            run(json!({"items": items, "field": "lines"})),
            Ok(json!([{"sku": "a"}, {"sku": "b"}]))
        );
        assert_eq!(
            run(json!({"items": items, "field": "lines", "include": ["order.id"]})),
            Ok(json!([{"id": 7, "lines": {"sku": "a"}}, {"id": 7, "lines": {"sku": "b"}}]))
        );
    }

    #[test]
    fn a_field_that_is_no_list_names_the_item() {
        let error =
            invoke(&plugin(), "split", json!({"items": [{"l": []}, {"l": 3}], "field": "l"}))
                .expect_err("3 is no list");
        assert_eq!(error.code, "not-a-list");
        assert_eq!(error.details.as_deref(), Some(&json!({"item": 1, "field": "l"})));
    }

    #[test]
    fn a_batch_is_full_but_the_last() {
        let run = |params| invoke(&plugin(), "batch", params).map(|called| called.output);
        assert_eq!(run(json!({"items": [1, 2, 3], "size": 2})), Ok(json!([[1, 2], [3]])));
        assert_eq!(run(json!({"items": [], "size": 2})), Ok(json!([])));
        let error = run(json!({"items": [], "size": 0})).expect_err("no size");
        assert_eq!(error.code, "invalid-params");
    }
}
