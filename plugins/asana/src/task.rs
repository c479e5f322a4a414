//! Asana's tasks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tombolo_sdk::{Effect, ErrorClass, NodeError, Operation, http};

use crate::call::{send, with_data};

/// A new task, with an external id if the node names one. Asana keeps external ids per app, so that
/// they need an app's OAuth token.
pub fn create() -> Operation {
    Operation::new(
        "create-task",
        "Creates a task (with `external_id` only with the token of an OAuth app)",
        Effect::Unsafe,
        |task: Task| {
            let mut data = json!(task);
            if let Some(id) = &task.external_id {
                data["external"] = json!({ "gid": id, "data": task.external_data });
            }
            send(with_data(http::post("/tasks"), data)?, &task.opt_fields)
        },
    )
    .with_connection()
}

/// The task that was created with this external id, by the same app.
pub fn find() -> Operation {
    Operation::new(
        "find-task-by-external-id",
        "Finds the task that has an external id (only with the token of an OAuth app)",
        Effect::Read,
        |params: Find| {
            let id = http::segment("external_id", &params.external_id)?;
            let path = format!("/tasks/external:{id}");
            send(http::get(path), &params.opt_fields).map_err(|error| match error.class {
                ErrorClass::NotFound => NodeError { code: "task-not-found".into(), ..error },
                _ => error,
            })
        },
    )
    .with_connection()
    .with_error("task-not-found", ErrorClass::NotFound, "No task has this external id")
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Task {
    name: String,
    /// The workspace's gid; this, `projects` or `parent` is needed.
    workspace: Option<String>,
    /// The projects' gids.
    projects: Option<Vec<String>>,
    /// The gid of the task that it is a part of.
    parent: Option<String>,
    /// A gid, an address, or `me`.
    assignee: Option<String>,
    notes: Option<String>,
    /// `YYYY-MM-DD`.
    start_on: Option<String>,
    /// `YYYY-MM-DD`; or else `due_at`.
    due_on: Option<String>,
    /// RFC 3339; or else `due_on`.
    due_at: Option<String>,
    /// The followers' gids or addresses.
    followers: Option<Vec<String>>,
    /// The tags' gids.
    tags: Option<Vec<String>>,
    /// Values by the custom field's gid.
    custom_fields: Option<Map<String, Value>>,
    /// An id of another system, unique in it; to find the task by. Asana takes it only with the token
    /// of an OAuth app, not with a personal access token.
    #[serde(skip_serializing)]
    external_id: Option<String>,
    /// Text to keep with the external id.
    #[serde(skip_serializing)]
    external_data: Option<String>,
    /// Fields to bring; Asana's own choice if there are none.
    #[serde(default, skip_serializing)]
    opt_fields: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Find {
    /// The id that the task was created with.
    external_id: String,
    /// Fields to bring; Asana's own choice if there are none.
    #[serde(default)]
    opt_fields: Vec<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tombolo_sdk::ErrorClass;
    use tombolo_sdk::testing::Upstream;

    use crate::plugin;

    #[test]
    fn a_task_carries_its_external_id() {
        let session = Upstream::new()
            .on("POST", "/tasks")
            .respond(201, json!({"data": {"gid": "5", "name": "Call Ada"}}))
            .install();
        let params = json!({"name": "Call Ada", "projects": ["12"], "external_id": "deal-7"});
        let called = session.invoke(&plugin(), "create-task", params).expect("creates");
        assert_eq!(called.output["gid"], "5");
        assert_eq!(
            session.requests()[0].json(),
            json!({"data": {"name": "Call Ada", "projects": ["12"],
                            "external": {"gid": "deal-7", "data": null}}})
        );
    }

    #[test]
    fn a_task_is_found_by_its_external_id() {
        let session = Upstream::new()
            .on("GET", "/tasks/external:deal%2F7")
            .respond(200, json!({"data": {"gid": "5", "name": "Call Ada"}}))
            .install();
        let params = json!({"external_id": "deal/7"});
        let called = session.invoke(&plugin(), "find-task-by-external-id", params);
        assert_eq!(called.expect("is there").output["name"], "Call Ada");
    }

    #[test]
    fn an_empty_external_id_is_refused_and_nothing_is_sent() {
        let session = Upstream::new().install();
        let params = json!({"external_id": ""});
        let error =
            session.invoke(&plugin(), "find-task-by-external-id", params).expect_err("has no id");
        assert_eq!((error.class, &*error.code), (ErrorClass::InvalidInput, "invalid-params"));
        assert!(session.requests().is_empty());
    }

    #[test]
    fn what_needs_an_app_says_so() {
        let descriptor = plugin().descriptor();
        for operation in descriptor["operations"].as_array().expect("has operations") {
            let summary = operation["summary"].as_str().expect("has a summary");
            let needs = operation["params"].to_string().contains("external_id");
            assert_eq!(summary.contains("OAuth app"), needs, "{}", operation["name"]);
        }
    }

    #[test]
    fn a_task_that_is_not_there_has_its_own_code() {
        let session = Upstream::new()
            .on("GET", "/tasks/external:7")
            .respond(404, json!({"errors": [{"message": "task: Unknown object: external:7"}]}))
            .install();
        let error = session
            .invoke(&plugin(), "find-task-by-external-id", json!({"external_id": "7"}))
            .expect_err("is not there");
        assert_eq!((error.class, &*error.code), (ErrorClass::NotFound, "task-not-found"));
        assert_eq!(error.message, "Asana (404): task: Unknown object: external:7");
    }
}
