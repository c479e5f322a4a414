//! Reads an operation's parameters into its Rust type. Never guesses: what does not fit is refused
//! with its place.

use serde::Deserialize;
use serde_json::json;
use serde_path_to_error::{Path, Segment};

use crate::error::NodeError;

/// Reads JSON text; a value that does not fit is `invalid-params` with the JSON pointer of the place.
///
/// # Errors
/// If it does not fit, or is not JSON.
pub fn parse<'a, P: Deserialize<'a>>(text: &'a str) -> Result<P, NodeError> {
    // Keeping track of the place costs as much as reading: only what does not fit is read again.
    serde_json::from_str(text).or_else(|_| parse_with_place(text))
}

fn parse_with_place<'a, P: Deserialize<'a>>(text: &'a str) -> Result<P, NodeError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let params = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        let place = if pointer.is_empty() {
            "the parameters".to_owned()
        } else {
            format!("`{}`", error.path())
        };
        let reason = error.inner().to_string();
        NodeError::invalid_input("invalid-params", format!("{place}: {}", without_place(&reason)))
            .with_details(json!({ "pointer": pointer }))
    })?;
    reader.end().map_err(|error| {
        NodeError::invalid_input("invalid-params", format!("the parameters: {error}"))
    })?;
    Ok(params)
}

/// serde_json appends a line and column, which mean nothing to who wrote the workflow.
fn without_place(reason: &str) -> &str {
    reason.rfind(" at line ").map_or(reason, |end| &reason[..end])
}

fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Seq { index } => {
                pointer.push('/');
                pointer.push_str(&index.to_string());
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorClass;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Query {
        limits: Vec<u32>,
    }

    fn refused(text: &str) -> (String, String) {
        let error = parse::<Query>(text).expect_err("must be refused");
        assert_eq!(error.class, ErrorClass::InvalidInput);
        assert_eq!(error.code, "invalid-params");
        let pointer =
            error.details.map(|details| details["pointer"].as_str().unwrap_or_default().to_owned());
        (error.message, pointer.unwrap_or_default())
    }

    #[test]
    fn fitting_parameters_are_read() {
        let query: Query = parse(r#"{"limits":[1,2]}"#).expect("fits");
        assert_eq!(query.limits, [1, 2]);
    }

    #[test]
    fn a_wrong_type_names_its_place() {
        assert_eq!(
            refused(r#"{"limits":[1,"two"]}"#),
            (
                "`limits[1]`: invalid type: string \"two\", expected u32".to_owned(),
                "/limits/1".to_owned()
            )
        );
    }

    #[test]
    fn a_missing_and_an_unknown_field_are_named() {
        assert_eq!(refused("{}").0, "the parameters: missing field `limits`");
        assert_eq!(
            refused(r#"{"limit":[]}"#),
            ("`limit`: unknown field `limit`, expected `limits`".to_owned(), "/limit".to_owned())
        );
    }

    #[test]
    fn text_after_the_value_is_refused() {
        assert!(refused(r#"{"limits":[]} {}"#).0.contains("trailing"));
    }
}
