//! `request` and `get`: one call, its answer as a value.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tombolo_sdk::http::{Method, Request, Response};
use tombolo_sdk::{Effect, NodeError, Operation};

use crate::target::{Target, invalid};

/// Any method and body.
pub fn request() -> Operation {
    Operation::new("request", "Sends one HTTP request", Effect::Unsafe, |call: Call| {
        let method = call.method.to_ascii_uppercase().parse().map_err(|_| {
            let message = format!("`method`: `{}` is no HTTP method", call.method);
            invalid("/method", message)
        })?;
        let target =
            Target { path: call.path, url: call.url, query: call.query, headers: call.headers };
        let body = Body { json: call.json, text: call.text, form: call.form };
        let request = body.set(target.request(method)?)?;
        answer(request.send_any()?, &call.expect)
    })
}

/// A call that changes nothing.
pub fn get() -> Operation {
    Operation::new("get", "Sends one GET request", Effect::Read, |get: Get| {
        let target =
            Target { path: get.path, url: get.url, query: get.query, headers: get.headers };
        answer(target.request(Method::GET)?.send_any()?, &get.expect)
    })
}

// The fields of a target are repeated in every operation's parameters: serde's `flatten` would lose
// the place of a wrong one.

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Call {
    /// `GET`, `POST`, ..
    method: String,
    /// A path behind the connection's base URL, with a `/` in front; or else `url`.
    path: Option<String>,
    /// An absolute URL; or else `path`.
    url: Option<String>,
    /// Query parameters; the items of a list are repeated.
    #[serde(default)]
    query: Map<String, Value>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// A JSON body.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Value")]
    json: Option<Value>,
    /// A text body, `text/plain` if no header says otherwise.
    text: Option<String>,
    /// A form body.
    form: Option<BTreeMap<String, String>>,
    /// Statuses that are no error; every 2xx if there are none.
    #[serde(default)]
    expect: Vec<u16>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Get {
    /// A path behind the connection's base URL, with a `/` in front; or else `url`.
    path: Option<String>,
    /// An absolute URL; or else `path`.
    url: Option<String>,
    /// Query parameters; the items of a list are repeated.
    #[serde(default)]
    query: Map<String, Value>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Statuses that are no error; every 2xx if there are none.
    #[serde(default)]
    expect: Vec<u16>,
}

/// At most one of them.
struct Body {
    json: Option<Value>,
    text: Option<String>,
    form: Option<BTreeMap<String, String>>,
}

/// The answer.
#[derive(Serialize, JsonSchema)]
struct Answer {
    status: u16,
    /// By name in lower case; repeated ones joined by a comma.
    headers: BTreeMap<String, String>,
    /// The value if the answer is JSON, null if it is empty, else its text.
    body: Value,
}

/// Tells `"json": null` from no body.
fn present<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(reader).map(Some)
}

impl Body {
    fn set(self, request: Request) -> Result<Request, NodeError> {
        match (self.json, self.text, self.form) {
            (None, None, None) => Ok(request),
            (Some(json), None, None) => request.json(&json),
            (None, Some(text), None) => Ok(request.body("text/plain; charset=utf-8", text)),
            (None, None, Some(form)) => {
                Ok(request.form(form.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
            }
            _ => Err(invalid("", "name only one of `json`, `text` and `form`".to_owned())),
        }
    }
}

fn answer(response: Response, expect: &[u16]) -> Result<Answer, NodeError> {
    let expected =
        if expect.is_empty() { response.is_success() } else { expect.contains(&response.status()) };
    if !expected {
        return Err(response.into_error());
    }
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in response.headers() {
        headers
            .entry(name.to_ascii_lowercase())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
    }
    Ok(Answer { status: response.status(), headers, body: body(&response)? })
}

fn body(response: &Response) -> Result<Value, NodeError> {
    let is_json = response
        .header("content-type")
        .and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| {
            let kind = kind.trim().to_ascii_lowercase();
            kind == "application/json" || kind.ends_with("+json")
        });
    match response.bytes() {
        [] => Ok(Value::Null),
        _ if is_json => response.json(),
        _ => Ok(Value::String(response.text())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tombolo_sdk::ErrorClass;
    use tombolo_sdk::http::SendFailure;
    use tombolo_sdk::testing::{Reply, Upstream, invoke};

    use super::*;
    use crate::plugin;

    #[test]
    fn a_json_call_gives_status_headers_and_value() {
        let session = Upstream::new()
            .on("POST", "/things?tag=a&tag=b&n=1")
            .reply(Reply::json(201, &json!({"id": 7})).header("X-Id", "7"))
            .install();
        let params = json!({
            "method": "post", "path": "/things", "query": {"tag": ["a", "b"], "n": 1, "none": null},
            "headers": {"x-trace": "t"}, "json": {"name": "x"}
        });
        let called = session.invoke(&plugin(), "request", params).expect("answers");
        assert_eq!(
            called.output,
            json!({"status": 201, "body": {"id": 7},
                   "headers": {"content-type": "application/json", "x-id": "7"}})
        );
        let request = &session.requests()[0];
        assert_eq!(request.url, "https://upstream.test/things?tag=a&tag=b&n=1");
        assert_eq!(request.json(), json!({"name": "x"}));
        assert_eq!(request.header("Content-Type"), Some("application/json"));
        assert_eq!(request.header("x-trace"), Some("t"));
    }

    #[test]
    fn text_and_empty_answers_are_values_too() {
        let session = Upstream::new()
            .on("GET", "/a")
            .reply(Reply::text(200, "hello").header("content-type", "text/plain"))
            .on("GET", "/b")
            .reply(Reply::text(204, ""))
            .install();
        let body = |path: &str| {
            let called = session.invoke(&plugin(), "get", json!({ "path": path }));
            called.map(|called| called.output["body"].clone())
        };
        assert_eq!(body("/a"), Ok(json!("hello")));
        assert_eq!(body("/b"), Ok(Value::Null));
    }

    #[test]
    fn forms_and_text_are_sent() {
        let session = Upstream::new()
            .on("PUT", "/form")
            .reply(Reply::text(200, ""))
            .on("POST", "/text")
            .reply(Reply::text(200, ""))
            .install();
        let plugin = plugin();
        let form = json!({"method": "PUT", "path": "/form", "form": {"a": "x y", "b": "&"}});
        session.invoke(&plugin, "request", form).expect("answers");
        let text = json!({"method": "POST", "path": "/text", "text": "hi",
                          "headers": {"Content-Type": "text/csv"}});
        session.invoke(&plugin, "request", text).expect("answers");
        let requests = session.requests();
        assert_eq!(requests[0].body, b"a=x+y&b=%26");
        assert_eq!(requests[1].header("content-type"), Some("text/csv"));
    }

    #[test]
    fn only_expected_statuses_are_no_error() {
        let session = Upstream::new()
            .on("GET", "/gone")
            .respond(404, json!({}))
            .on("GET", "/gone")
            .respond(404, json!({"message": "no"}))
            .on("GET", "/moved")
            .reply(Reply::text(302, "").header("location", "/a"))
            .install();
        let plugin = plugin();
        let expected = json!({"path": "/gone", "expect": [200, 404]});
        let called = session.invoke(&plugin, "get", expected).expect("404 is expected");
        assert_eq!(called.output["status"], 404);
        let error = session.invoke(&plugin, "get", json!({"path": "/gone"}));
        assert_eq!(error.map_err(|error| error.class), Err(ErrorClass::NotFound));
        let error = session.invoke(&plugin, "get", json!({"path": "/moved"}));
        assert_eq!(error.map_err(|error| error.class), Err(ErrorClass::Permanent));
    }

    #[test]
    fn a_lost_post_is_unknown() {
        let session = Upstream::new()
            .on("POST", "/a")
            .fail(SendFailure::AfterSend("connection closed".to_owned()))
            .install();
        let params = json!({"method": "POST", "path": "/a"});
        let error = session.invoke(&plugin(), "request", params).expect_err("no response");
        assert_eq!(error.class, ErrorClass::UnknownOutcome);
    }

    #[test]
    fn wrong_parameters_are_refused_before_anything_is_sent() {
        let table = [
            json!({"method": "GET"}),
            json!({"method": "GET", "path": "/a", "url": "https://x.test/a"}),
            json!({"method": "GET", "path": "a"}),
            json!({"method": "G T", "path": "/a"}),
            json!({"method": "POST", "path": "/a", "json": 1, "text": ""}),
            json!({"method": "GET", "path": "/a", "query": {"a": {"b": 1}}}),
            json!({"method": "GET", "path": "/a", "expect": ["200"]}),
            json!({"method": "GET", "path": "/a", "jsn": {}}),
        ];
        for params in table {
            let error = invoke(&plugin(), "request", params.clone()).expect_err("is wrong");
            assert_eq!(error.code, "invalid-params", "{params}");
        }
        let url = json!({"method": "GET", "url": "ftp://x.test/a"});
        let error = invoke(&plugin(), "request", url).expect_err("is wrong");
        assert_eq!(error.code, "invalid-url");
    }
}
