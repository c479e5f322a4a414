//! Parameters against the operation's schema, as far as expressions allow.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Compiler;
use crate::descriptor::Operation;
use crate::workflow::parameters::Parameters;
use crate::workflow::schema::explain;

impl Compiler<'_> {
    /// Checks `with` against the operation's schema. What an expression will give is not known, so
    /// whatever depends on it is left to the run.
    pub(super) fn check_params(
        &mut self,
        operation: &Operation,
        with: &Map<String, Value>,
        pointer: &str,
    ) {
        self.check_schema(&operation.params, with, pointer);
    }

    pub(super) fn check_schema(
        &mut self,
        schema: &Value,
        with: &Map<String, Value>,
        pointer: &str,
    ) {
        // Descriptors are checked at upload; one that is damaged is reported there, not here.
        let Ok(validator) = jsonschema::draft202012::new(schema) else {
            return;
        };
        let with = Value::Object(with.clone());
        let open = expression_pointers(&with);
        let names: BTreeSet<String> = schema
            .get("properties")
            .and_then(Value::as_object)
            .map(|properties| properties.keys().cloned().collect())
            .unwrap_or_default();
        for error in validator.iter_errors(&with) {
            let at = error.instance_path().to_string();
            let depends = open.iter().any(|expression| {
                at.starts_with(expression.as_str())
                    || (combines(&error) && expression.starts_with(&at))
            });
            if !depends {
                let found = explain(&error, &names);
                self.issues.extend(found.into_iter().map(|mut issue| {
                    issue.pointer = format!("{pointer}{}", issue.pointer);
                    issue
                }));
            }
        }
    }
}

/// Pointers of the strings that hold expressions.
fn expression_pointers(with: &Value) -> Vec<String> {
    Parameters::prepare(with)
        .map(|prepared| prepared.expressions().iter().map(|e| e.pointer.clone()).collect())
        .unwrap_or_default()
}

/// True for errors about a value that come from values inside it.
fn combines(error: &jsonschema::ValidationError<'_>) -> bool {
    use jsonschema::error::ValidationErrorKind as K;
    matches!(
        error.kind(),
        K::AnyOf { .. }
            | K::OneOfNotValid { .. }
            | K::OneOfMultipleValid { .. }
            | K::Not { .. }
            | K::Enum { .. }
            | K::Constant { .. }
            | K::UniqueItems
            | K::Contains
    )
}
