//! `graphql`: a query or mutation. GraphQL answers 200 also to what failed, so its errors are looked
//! for in the body.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tombolo_sdk::http::Method;
use tombolo_sdk::{Effect, ErrorClass, NodeError, Operation};

use crate::target::Target;

/// How many errors go into the details.
const MAX_ERRORS: usize = 20;

/// One query or mutation.
pub fn graphql() -> Operation {
    Operation::new("graphql", "Sends one GraphQL query or mutation", Effect::Unsafe, run)
        .with_error(
            "graphql-errors",
            ErrorClass::Permanent,
            "The answer has errors; the details list them",
        )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Query {
    /// A path behind the connection's base URL, with a `/` in front; or else `url`.
    path: Option<String>,
    /// An absolute URL; or else `path`.
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// GraphQL text.
    document: String,
    #[serde(default)]
    variables: Map<String, Value>,
    /// Which operation of the document to run.
    operation_name: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    query: &'a str,
    variables: &'a Map<String, Value>,
    #[serde(rename = "operationName", skip_serializing_if = "Option::is_none")]
    operation_name: Option<&'a str>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Answer {
    #[serde(default)]
    data: Value,
    #[serde(default, skip_serializing)]
    errors: Vec<Value>,
}

fn run(params: Query) -> Result<Answer, NodeError> {
    let body = Body {
        query: &params.document,
        variables: &params.variables,
        operation_name: params.operation_name.as_deref(),
    };
    let target =
        Target { path: params.path, url: params.url, query: Map::new(), headers: params.headers };
    let request = target.request(Method::POST)?.json(&body)?;
    let answer: Answer = request.send()?.json()?;
    match answer.errors.first() {
        None => Ok(answer),
        Some(first) => {
            let reason = first["message"].as_str().unwrap_or("no message");
            let shown = answer.errors.len().min(MAX_ERRORS);
            Err(NodeError::permanent(
                "graphql-errors",
                format!("the GraphQL server reports: {reason}"),
            )
            .with_details(json!({ "errors": answer.errors[..shown], "data": answer.data })))
        }
    }
}

#[cfg(test)]
mod tests {
    use tombolo_sdk::testing::Upstream;

    use super::*;
    use crate::plugin;

    #[test]
    fn data_comes_out() {
        let session = Upstream::new()
            .on("POST", "/graphql")
            .respond(200, json!({"data": {"deal": {"id": "7"}}, "extensions": {}}))
            .install();
        let params = json!({"path": "/graphql", "document": "query($id: ID!) { deal(id: $id) { id } }",
                            "variables": {"id": "7"}});
        let called = session.invoke(&plugin(), "graphql", params).expect("answers");
        assert_eq!(called.output, json!({"data": {"deal": {"id": "7"}}}));
        assert_eq!(
            session.requests()[0].json(),
            json!({"query": "query($id: ID!) { deal(id: $id) { id } }", "variables": {"id": "7"}})
        );
    }

    #[test]
    fn errors_in_the_body_are_an_error() {
        let session = Upstream::new()
            .on("POST", "/graphql")
            .respond(200, json!({"data": null, "errors": [{"message": "no such field"}]}))
            .install();
        let params = json!({"path": "/graphql", "document": "{ nope }"});
        let error = session.invoke(&plugin(), "graphql", params).expect_err("has errors");
        assert_eq!(error.class, ErrorClass::Permanent);
        assert_eq!(error.code, "graphql-errors");
        assert_eq!(error.message, "the GraphQL server reports: no such field");
        assert_eq!(
            error.details.as_deref(),
            Some(&json!({"errors": [{"message": "no such field"}], "data": null}))
        );
    }
}
