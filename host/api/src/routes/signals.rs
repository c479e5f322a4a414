//! What lets a `callback` or `approval` node go on, whoever sends it: which of the two it is, and what
//! a decision looks like.

use serde::Deserialize;
use serde_json::json;
use tombolo_core::audit::Actor;
use tombolo_core::json::Json;
use tombolo_core::ports::store::{RunView, StoreError};
use tombolo_core::workflow::Builtin;
use utoipa::ToSchema;

use crate::app::App;
use crate::extract::{invalid, read};
use crate::problem::Problem;

/// Longest name of who decides, in bytes.
const MAX_NAME_BYTES: usize = 200;
/// Longest reason of a decision, in bytes.
const MAX_REASON_BYTES: usize = 2_000;
/// How the name of a token begins. Nobody else calls themselves that.
const TOKEN: &str = "token:";

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    pub decision: Verdict,
    /// Who decides; at most 200 bytes. Not sent with a token, which says it.
    #[serde(default)]
    pub by: Option<String>,
    /// At most 2,000 bytes.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Yes.
    Approved,
    /// No.
    Rejected,
}

impl Verdict {
    /// The port that the node fires.
    pub fn name(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

impl Decision {
    /// Reads a decision of somebody who knows the address.
    pub fn of_anybody(body: &Json) -> Result<Self, Problem> {
        read::<Self>(body)?.checked()
    }

    /// Reads a decision of the owner of a token.
    pub fn of_actor(body: &Json, actor: &Actor) -> Result<Self, Problem> {
        let decision = read::<Self>(body)?;
        if decision.by.is_some() {
            return Err(invalid("/by", "the token says who decides"));
        }
        Ok(Self { by: Some(actor.0.clone()), ..decision.checked()? })
    }

    /// The same within its bounds. A name or reason of nothing but spaces is none.
    pub fn checked(self) -> Result<Self, Problem> {
        let by = text("/by", self.by, MAX_NAME_BYTES)?;
        if by.as_ref().is_some_and(|name| name.starts_with(TOKEN)) {
            return Err(invalid("/by", &format!("`{TOKEN}` begins the names of tokens only")));
        }
        Ok(Self { by, reason: text("/reason", self.reason, MAX_REASON_BYTES)?, ..self })
    }

    /// What the node gives.
    pub fn body(&self) -> Json {
        json!({ "decision": self.decision.name(), "by": self.by, "reason": self.reason }).into()
    }
}

fn text(pointer: &str, given: Option<String>, most: usize) -> Result<Option<String>, Problem> {
    let text = given.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    match text {
        Some(text) if text.len() > most => {
            Err(invalid(pointer, &format!("it has more than {most} bytes")))
        }
        text => Ok(text),
    }
}

/// Which built-in the node is, if it waits for somebody. None if there is no such node, too.
pub(super) async fn asked(
    app: &App,
    view: &RunView,
    node: &str,
) -> Result<Option<Builtin>, StoreError> {
    let (run, store) = (&view.run, &app.ports.store);
    let version = store.workflow_version(run.tenant, run.workflow, run.version).await?;
    let uses = version.and_then(|version| {
        let uses = &version.definition.value()["nodes"][node]["use"];
        uses.as_str().map(str::to_owned)
    });
    let builtin = Builtin::ALL.into_iter().find(|builtin| Some(builtin.name()) == uses.as_deref());
    Ok(builtin.filter(|builtin| builtin.has_address()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn anybody(body: Value) -> Result<Decision, String> {
        let read = Decision::of_anybody(&body.into());
        read.map_err(|problem| problem.detail().to_owned())
    }

    #[test]
    fn a_decision_is_read_strictly() {
        let full = json!({"decision": "approved", "by": " Ada ", "reason": "  "});
        let expected = json!({"decision": "approved", "by": "Ada", "reason": null});
        assert_eq!(*anybody(full).unwrap().body().value(), expected);
        for (wrong, word) in [
            (json!({}), "decision"),
            (json!({"decision": "yes"}), "/decision"),
            (json!({"decision": "approved", "why": "x"}), "why"),
            (json!(["approved"]), "object"),
            (json!({"decision": "approved", "by": "x".repeat(201)}), "200"),
            (json!({"decision": "approved", "reason": "x".repeat(2_001)}), "2000"),
            (json!({"decision": "approved", "by": "token:tok_1"}), "token:"),
        ] {
            let refused = anybody(wrong.clone()).unwrap_err();
            assert!(refused.contains(word), "{wrong}: {refused}");
        }
    }

    #[test]
    fn a_token_says_who_decides() {
        let ada = Actor("token:tok_1".to_owned());
        let decide = |body: Value| Decision::of_actor(&body.into(), &ada);
        let decided = decide(json!({"decision": "rejected"})).unwrap();
        assert_eq!(decided.by.as_deref(), Some("token:tok_1"));
        assert!(decide(json!({"decision": "rejected", "by": "Bob"})).is_err());
    }
}
