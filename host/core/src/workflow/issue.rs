//! What is wrong with a workflow file: where, what, and what to write instead.

use serde::{Deserialize, Serialize};

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{pointer}: {message}{}", suggestion.as_deref().map(|text| format!("; {text}")).unwrap_or_default())]
pub struct Issue {
    /// JSON pointer (RFC 6901) into the file.
    pub pointer: String,
    /// Stable and kebab-case, for programs.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// What to write instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl Issue {
    /// Without a suggestion.
    pub fn new(pointer: impl Into<String>, code: &str, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            code: code.to_owned(),
            message: message.into(),
            suggestion: None,
        }
    }

    /// The same with what to write instead.
    #[must_use]
    pub fn suggest(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }
}

/// Names farther apart than this are no typing error: the share of letters they have in common.
const SIMILAR: f64 = 0.7;

/// "did you mean ..?", if one of the names is close to what was written.
pub(crate) fn did_you_mean<'a>(
    written: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    names
        .into_iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(written, name), name))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn suggests_the_closest_name_or_none() {
        let names = ["deal", "tier", "project"];
        assert_eq!(did_you_mean("dael", names), Some("did you mean `deal`?".to_owned()));
        assert_eq!(did_you_mean("invoice", names), None);
    }
}
