//! `aggregate`: groups of items, and one value out of each group's fields.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Number, Value, json};
use tombolo_sdk::{Effect, ErrorClass, NodeError, Operation};

use crate::{field, order};

/// One item per group: `{"items": [..], "group_by": ["owner"], "fields": {"total": {"sum":
/// "amount"}}}` gives `[{"owner": "a", "total": 5}, ..]`.
pub fn aggregate() -> Operation {
    Operation::new(
        "aggregate",
        "Groups items and computes fields of every group",
        Effect::Pure,
        run,
    )
    .with_error(
        "not-a-number",
        ErrorClass::InvalidInput,
        "A field to be added up is no number",
    )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Aggregate {
    items: Vec<Value>,
    /// Dotted paths of the fields that make a group; none for one group of all items.
    #[serde(default)]
    group_by: Vec<String>,
    /// The fields to compute, by their new name.
    #[schemars(with = "HashMap<String, Compute>")]
    fields: ComputedFields,
}

/// In the order of the file.
type ComputedFields = Map<String, Value>;

/// What to compute of a group. The text is the dotted path of a field; null values are left out.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Compute {
    /// How many items have the field; `"*"` counts all.
    Count(String),
    /// The sum of numbers.
    Sum(String),
    /// The average of numbers; null for none.
    Average(String),
    /// The least value; null for none.
    Min(String),
    /// The greatest value; null for none.
    Max(String),
    /// The first value; null for none.
    First(String),
    /// The last value; null for none.
    Last(String),
    /// All values.
    List(String),
}

fn run(params: Aggregate) -> Result<Vec<Value>, NodeError> {
    let fields = computed(&params.fields)?;
    groups(&params).into_iter().map(|group| summarise(&group, &params.group_by, &fields)).collect()
}

fn computed(fields: &ComputedFields) -> Result<Vec<(&String, Compute)>, NodeError> {
    fields
        .iter()
        .map(|(name, value)| {
            let compute = Compute::deserialize(value).map_err(|error| {
                NodeError::invalid_input("invalid-params", format!("`fields.{name}`: {error}"))
                    .with_details(json!({ "pointer": format!("/fields/{name}") }))
            })?;
            Ok((name, compute))
        })
        .collect()
}

/// In the order in which the groups first appear.
fn groups(params: &Aggregate) -> Vec<Vec<&Value>> {
    if params.group_by.is_empty() {
        return vec![params.items.iter().collect()];
    }
    let mut groups: Vec<Vec<&Value>> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for item in &params.items {
        let at = *known.entry(field::key(item, &params.group_by)).or_insert(groups.len());
        if at == groups.len() {
            groups.push(Vec::new());
        }
        groups[at].push(item);
    }
    groups
}

fn summarise(
    group: &[&Value],
    group_by: &[String],
    fields: &[(&String, Compute)],
) -> Result<Value, NodeError> {
    let mut summary = Map::new();
    for path in group_by {
        let value = group.first().map_or(&Value::Null, |item| field::get(item, path));
        summary.insert(field::last_name(path).to_owned(), value.clone());
    }
    for (name, compute) in fields {
        summary.insert((*name).clone(), compute.of(group)?);
    }
    Ok(Value::Object(summary))
}

impl Compute {
    fn of(&self, group: &[&Value]) -> Result<Value, NodeError> {
        let values = |path: &str| -> Vec<&Value> {
            let values = group.iter().map(|item| field::get(item, path));
            values.filter(|value| !value.is_null()).collect()
        };
        let or_null = |value: Option<&Value>| value.cloned().unwrap_or(Value::Null);
        Ok(match self {
            Self::Count(path) if path == "*" => Value::from(group.len()),
            Self::Count(path) => Value::from(values(path).len()),
            Self::Sum(path) => sum(&values(path), path)?,
            Self::Average(path) => average(&values(path), path)?,
            Self::Min(path) => {
                or_null(values(path).into_iter().min_by(|left, right| order::compare(left, right)))
            }
            Self::Max(path) => {
                or_null(values(path).into_iter().max_by(|left, right| order::compare(left, right)))
            }
            Self::First(path) => or_null(values(path).first().copied()),
            Self::Last(path) => or_null(values(path).last().copied()),
            Self::List(path) => values(path).into_iter().cloned().collect(),
        })
    }
}

/// Exact as long as all are integers and the sum fits 64 bits.
fn sum(values: &[&Value], path: &str) -> Result<Value, NodeError> {
    let integers: Option<i64> =
        values.iter().try_fold(0_i64, |sum, value| sum.checked_add(value.as_i64()?));
    match integers {
        Some(sum) => Ok(Value::from(sum)),
        None => Ok(number(float_sum(values, path)?)),
    }
}

fn average(values: &[&Value], path: &str) -> Result<Value, NodeError> {
    let sum = float_sum(values, path)?;
    Ok(match values.len() {
        0 => Value::Null,
        count => number(sum / count as f64),
    })
}

fn float_sum(values: &[&Value], path: &str) -> Result<f64, NodeError> {
    values.iter().try_fold(0.0, |sum, value| match value.as_f64() {
        Some(number) => Ok(sum + number),
        None => Err(NodeError::invalid_input(
            "not-a-number",
            format!("`{path}` has to be a number to be added up, one is {value}"),
        )),
    })
}

fn number(float: f64) -> Value {
    Number::from_f64(float).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tombolo_sdk::NodeError;
    use tombolo_sdk::testing::invoke;

    use super::Value;
    use crate::plugin;

    fn run(params: Value) -> Result<Value, NodeError> {
        invoke(&plugin(), "aggregate", params).map(|called| called.output)
    }

    #[test]
    fn groups_come_in_their_first_order_with_their_fields() {
        let items = json!([
            {"owner": {"id": 2}, "amount": 10, "name": "x"},
            {"owner": {"id": 1}, "amount": 1.5},
            {"owner": {"id": 2}, "amount": 5, "name": "y"}
        ]);
        let fields = json!({
            "total": {"sum": "amount"}, "mean": {"average": "amount"}, "n": {"count": "*"},
            "named": {"count": "name"}, "least": {"min": "amount"}, "most": {"max": "amount"},
            "first": {"first": "name"}, "last": {"last": "name"}, "names": {"list": "name"}
        });
        assert_eq!(
            run(json!({"items": items, "group_by": ["owner.id"], "fields": fields})),
            Ok(json!([
                {"id": 2, "total": 15, "mean": 7.5, "n": 2, "named": 2, "least": 5, "most": 10,
                 "first": "x", "last": "y", "names": ["x", "y"]},
                {"id": 1, "total": 1.5, "mean": 1.5, "n": 1, "named": 0, "least": 1.5,
                 "most": 1.5, "first": null, "last": null, "names": []}
            ]))
        );
    }

    #[test]
    fn without_groups_all_items_are_one() {
        let fields = json!({"n": {"count": "*"}, "total": {"sum": "a"}, "mean": {"average": "a"}});
        assert_eq!(
            run(json!({"items": [], "fields": fields})),
            Ok(json!([{"n": 0, "total": 0, "mean": null}]))
        );
    }

    #[test]
    fn text_is_not_added_up() {
        let error = run(json!({"items": [{"a": "1"}], "fields": {"t": {"sum": "a"}}}))
            .expect_err("is text");
        assert_eq!(error.code, "not-a-number");
    }

    #[test]
    fn an_unknown_computation_names_its_place() {
        let error = run(json!({"items": [], "fields": {"t": {"median": "a"}}}))
            .expect_err("no such computation");
        assert_eq!(error.code, "invalid-params");
        assert_eq!(error.details.as_deref(), Some(&json!({"pointer": "/fields/t"})));
    }
}
