//! Why the server did not do what was asked: its problem documents (RFC 9457), or no answer at all.

use serde::Deserialize;
use serde_json::Value;
use tombolo_core::workflow::Issue;

use super::terminal::harmless;

/// Why a request has no good answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nobody listens there.
    #[error("no Tombolo at {url}; start one with `tombolo serve`, or name another with --url")]
    NoServer {
        /// The base address.
        url: String,
    },
    /// The connection broke, or time ran out.
    #[error("{url} did not answer: {reason}")]
    NoAnswer {
        /// The base address.
        url: String,
        /// What the HTTP client says.
        reason: String,
    },
    /// The answer is not one of Tombolo's.
    #[error(
        "{url} answered {status}, and not as a Tombolo does: {reason}; is this the right --url?"
    )]
    NotTombolo {
        /// What was asked.
        url: String,
        /// The answer's status.
        status: u16,
        /// What is odd about it.
        reason: String,
    },
    /// The server says what is wrong.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The same, because no token was sent.
    #[error(
        "{0}\n  help: no token was sent; give one with --token or TOMBOLO_TOKEN (`tombolo token create` makes one), \
         or type the command where the server's configuration is"
    )]
    NoToken(Box<Problem>),
}

impl Failure {
    /// The server's document, if there is one.
    pub(super) fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) | Self::NoToken(problem) => Some(problem),
            Self::NoServer { .. } | Self::NoAnswer { .. } | Self::NotTombolo { .. } => None,
        }
    }
}

/// A problem document.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    /// As it came.
    pub(super) document: Value,
    /// What people read of it.
    fields: Fields,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Fields {
    title: Option<String>,
    status: Option<u16>,
    detail: Option<String>,
    pointer: Option<String>,
    suggestion: Option<String>,
    correlation_id: Option<String>,
    issues: Vec<Issue>,
}

impl Problem {
    /// Reads a document; None if the JSON is something else.
    pub(super) fn parse(document: Value) -> Option<Self> {
        let fields: Fields = serde_json::from_value(document.clone()).ok()?;
        let known = fields.title.is_some() || fields.detail.is_some();
        known.then_some(Self { document, fields })
    }

    /// What is wrong with a workflow file, if that is what this is about.
    pub(super) fn issues(&self) -> &[Issue] {
        &self.fields.issues
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fields = &self.fields;
        let title = fields.title.as_deref().unwrap_or("the server refused");
        write!(f, "{}", harmless(title))?;
        if let Some(status) = fields.status {
            write!(f, " ({status})")?;
        }
        let mut line = |name: &str, text: &str| write!(f, "\n  {name}{}", harmless(text));
        if let Some(detail) = fields.detail.as_ref().filter(|_| fields.issues.is_empty()) {
            line("", detail)?;
        }
        if let Some(pointer) = fields.pointer.as_deref().filter(|pointer| !pointer.is_empty()) {
            line("at ", pointer)?;
        }
        if let Some(suggestion) = &fields.suggestion {
            line("help: ", suggestion)?;
        }
        if let Some(id) = fields.correlation_id.as_ref().filter(|_| fields.status >= Some(500)) {
            line("the server's log says more: correlation id ", id)?;
        }
        for issue in &fields.issues {
            line("", &issue.to_string())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Problem;
    use serde_json::json;

    #[test]
    fn says_title_detail_place_and_what_to_do() {
        let problem = Problem::parse(json!({
            "type": "https://tombolo.dev/problems/unknown-connection", "title": "Unknown connection",
            "status": 422, "detail": "there is no connection `hubspt`",
            "pointer": "/nodes/deal/connection", "suggestion": "did you mean `hubspot`?",
        }))
        .unwrap();
        assert_eq!(
            problem.to_string(),
            "Unknown connection (422)\n  there is no connection `hubspt`\n  at /nodes/deal/connection\n  \
             help: did you mean `hubspot`?"
        );
    }

    #[test]
    fn a_fault_of_the_server_names_what_to_look_for_in_its_log() {
        let say = |status: u16| {
            let document = json!({"title": "Oops", "status": status, "correlation_id": "abc"});
            Problem::parse(document).unwrap().to_string()
        };
        assert_eq!(say(500), "Oops (500)\n  the server's log says more: correlation id abc");
        assert_eq!(say(404), "Oops (404)");
    }

    #[test]
    fn other_json_is_no_problem_document() {
        assert!(Problem::parse(json!({"error": "nope"})).is_none());
        assert!(Problem::parse(json!([1])).is_none());
        assert!(Problem::parse(json!({"title": "Gone"})).is_some());
    }
}
