//! Projects.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tombolo_sdk::{Effect, Operation, http};

use crate::call::{send, with_data};

/// A new project. Its output has at least `gid`, `name` and `permalink_url`.
pub fn create() -> Operation {
    Operation::new("create-project", "Creates a project", Effect::Unsafe, |project: Project| {
        let request = with_data(http::post("/projects"), json!(project))?;
        send(request, &project.opt_fields)
    })
    .with_connection()
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Project {
    name: String,
    /// The workspace's gid; either this or `team` is needed.
    workspace: Option<String>,
    /// The team's gid, in an organisation.
    team: Option<String>,
    notes: Option<String>,
    /// The owner's gid or address.
    owner: Option<String>,
    color: Option<String>,
    /// `list`, `board`, `calendar` or `timeline`.
    default_view: Option<String>,
    /// `YYYY-MM-DD`.
    start_on: Option<String>,
    /// `YYYY-MM-DD`.
    due_on: Option<String>,
    /// `public_to_workspace`, `private_to_team` or `private`.
    privacy_setting: Option<String>,
    /// Values by the custom field's gid.
    custom_fields: Option<Map<String, Value>>,
    /// Fields to bring; Asana's own choice if there are none.
    #[serde(default, skip_serializing)]
    opt_fields: Vec<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tombolo_sdk::ErrorClass;
    use tombolo_sdk::http::SendFailure;
    use tombolo_sdk::testing::{Context, Upstream, invoke};

    use crate::plugin;

    fn upstream() -> Upstream {
        Upstream::new().context(Context {
            base_url: Some("https://app.asana.com/api/1.0".to_owned()),
            ..Context::default()
        })
    }

    #[test]
    fn a_project_is_created_and_comes_flat() {
        let data = json!({"gid": "12", "resource_type": "project", "name": "Onboarding: Ada",
                          "permalink_url": "https://app.asana.com/0/12"});
        let session = upstream()
            .on("POST", "/api/1.0/projects?opt_fields=name%2Cpermalink_url")
            .respond(201, json!({ "data": data }))
            .install();
        let params = json!({"name": "Onboarding: Ada", "workspace": "1", "notes": "won",
                            "opt_fields": ["name", "permalink_url"]});
        let called = session.invoke(&plugin(), "create-project", params).expect("creates");
        assert_eq!(called.output, data);
        assert_eq!(
            session.requests()[0].json(),
            json!({"data": {"name": "Onboarding: Ada", "workspace": "1", "notes": "won"}})
        );
    }

    #[test]
    fn a_misspelt_parameter_is_refused() {
        let params = json!({"name": "x", "worksapce": "1"});
        let error = invoke(&plugin(), "create-project", params).expect_err("is misspelt");
        assert_eq!(error.code, "invalid-params");
        assert!(error.message.contains("worksapce"));
    }

    #[test]
    fn asanas_errors_are_told_in_its_words() {
        let body = json!({"errors": [
            {"message": "workspace: Missing input", "help": "For more information .."}
        ]});
        let session =
            upstream().on("POST", "/api/1.0/projects").respond(400, body.clone()).install();
        let error = session
            .invoke(&plugin(), "create-project", json!({"name": "x"}))
            .expect_err("needs a workspace");
        assert_eq!((error.class, &*error.code), (ErrorClass::InvalidInput, "http-400"));
        assert_eq!(error.message, "Asana (400): workspace: Missing input");
        let details = error.details.expect("has details");
        assert_eq!(details["errors"][0]["message"], "workspace: Missing input");
    }

    #[test]
    fn a_creation_whose_answer_is_lost_is_unknown() {
        let session = upstream()
            .on("POST", "/api/1.0/projects")
            .fail(SendFailure::AfterSend("connection closed".to_owned()))
            .install();
        let error = session
            .invoke(&plugin(), "create-project", json!({"name": "x"}))
            .expect_err("no answer");
        assert_eq!(error.class, ErrorClass::UnknownOutcome);
    }
}
