//! The JSON Schema of the workflow file, generated from its types, and what it says of a file.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::definition::Definition;
use super::issue::{Issue, did_you_mean};
use crate::json::push_pointer;

/// The schema, as published.
pub fn definition_schema() -> Value {
    schemars::schema_for!(Definition).to_value()
}

static SCHEMA: LazyLock<(Validator, BTreeSet<String>)> = LazyLock::new(|| {
    let schema = definition_schema();
    let mut names = BTreeSet::new();
    property_names(&schema, &mut names);
    #[expect(clippy::expect_used, reason = "generated from our own types; a test compiles it")]
    let validator = jsonschema::draft202012::new(&schema).expect("our own schema is a schema");
    (validator, names)
});

/// Everything in `file` that breaks the schema.
pub fn schema_issues(file: &Value) -> Vec<Issue> {
    let (validator, names) = &*SCHEMA;
    validator.iter_errors(file).flat_map(|error| explain(&error, names)).collect()
}

/// Turns a validator's error into issues that name the place and what to write. Of several
/// alternatives the one that was meant is explained: the one whose shape fits.
pub(super) fn explain(error: &ValidationError<'_>, names: &BTreeSet<String>) -> Vec<Issue> {
    let pointer = error.instance_path().to_string();
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected
            .iter()
            .map(|key| {
                Issue::new(
                    push_pointer(&pointer, key),
                    "unknown-key",
                    format!("`{key}` is not known here"),
                )
                .suggest(did_you_mean(key, names.iter().map(String::as_str)))
            })
            .collect(),
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![Issue::new(pointer, "missing-key", format!("`{name}` is missing"))]
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            match meant(context, &pointer) {
                Some(errors) => errors.iter().flat_map(|inner| explain(inner, names)).collect(),
                // Of another kind than every alternative: say what the first one is.
                None => vec![Issue::new(
                    pointer,
                    "wrong-type",
                    context.first().and_then(|errors| errors.first()).unwrap_or(error).to_string(),
                )],
            }
        }
        ValidationErrorKind::Type { .. } => {
            vec![Issue::new(pointer, "wrong-type", error.to_string())]
        }
        ValidationErrorKind::Enum { options } => {
            let known = options.as_array().into_iter().flatten().filter_map(Value::as_str);
            let written = error.instance().as_str().unwrap_or_default();
            vec![
                Issue::new(pointer, "wrong-value", error.to_string())
                    .suggest(did_you_mean(written, known)),
            ]
        }
        _ => vec![Issue::new(pointer, "wrong-value", error.to_string())],
    }
}

/// The alternative whose shape fits: it has no error about the value as a whole.
fn meant<'e>(
    alternatives: &'e [Vec<ValidationError<'static>>],
    pointer: &str,
) -> Option<&'e [ValidationError<'static>]> {
    alternatives
        .iter()
        .filter(|errors| !errors.iter().any(|error| misses_shape(error, pointer)))
        .min_by_key(|errors| {
            let missing = errors
                .iter()
                .filter(|error| matches!(error.kind(), ValidationErrorKind::Required { .. }))
                .count();
            (missing, errors.len())
        })
        .map(Vec::as_slice)
}

/// True if the value at `pointer` is of another kind altogether.
fn misses_shape(error: &ValidationError<'_>, pointer: &str) -> bool {
    use ValidationErrorKind as K;
    if error.instance_path().to_string() != pointer {
        return false;
    }
    match error.kind() {
        K::Type { .. } | K::Enum { .. } | K::Constant { .. } => true,
        K::AnyOf { context } | K::OneOfNotValid { context } => meant(context, pointer).is_none(),
        _ => false,
    }
}

/// Every key that stands under `properties` anywhere in a schema.
fn property_names(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Object(properties)) = fields.get("properties") {
                names.extend(properties.keys().cloned());
            }
            fields.values().for_each(|inner| property_names(inner, names));
        }
        Value::Array(items) => items.iter().for_each(|inner| property_names(inner, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn issues(file: Value) -> Vec<(String, String)> {
        schema_issues(&file).into_iter().map(|issue| (issue.pointer, issue.code)).collect()
    }

    #[test]
    fn accepts_the_smallest_workflow() {
        assert_eq!(issues(json!({"name": "a", "nodes": {"n": {"use": "set"}}})), []);
    }

    #[test]
    fn names_unknown_keys_and_what_was_meant() {
        let found =
            schema_issues(&json!({"name": "a", "nodes": {"n": {"use": "set", "wiht": {}}}}));
        assert_eq!(found[0].pointer, "/nodes/n/wiht");
        assert_eq!(found[0].suggestion.as_deref(), Some("did you mean `with`?"));
    }

    #[test]
    fn finds_several_faults_at_once() {
        let found = issues(
            json!({"name": "Bad Name", "nodes": {"n": {"use": 1, "timeout": "soon"}, "m": {}}}),
        );
        assert!(found.contains(&("/name".into(), "wrong-value".into())), "{found:?}");
        assert!(found.contains(&("/nodes/n/use".into(), "wrong-type".into())), "{found:?}");
        assert!(found.contains(&("/nodes/n/timeout".into(), "wrong-value".into())), "{found:?}");
        assert!(found.contains(&("/nodes/m".into(), "missing-key".into())), "{found:?}");
    }

    #[test]
    fn looks_into_the_alternative_that_was_meant() {
        let found = issues(json!({
            "name": "a",
            "triggers": {"t": {"webhook": {"path": "p", "verify": {"preset": 5, "secrets": ["s"]}}}},
            "nodes": {"n": {"use": "set"}},
        }));
        assert_eq!(found, [("/triggers/t/webhook/verify/preset".into(), "wrong-type".into())]);
    }
}
