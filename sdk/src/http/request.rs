//! Building and sending one request.

use std::fmt::Display;

use ::http::Method;
use serde::Serialize;

use super::response::Response;
use crate::context;
use crate::error::NodeError;

/// A request that is being built.
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    method: Method,
    target: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// A request as it is handed to the transport. The URL is absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// Absolute, with the query.
    pub url: ::http::Uri,
    /// In the order they were added.
    pub headers: Vec<(String, String)>,
    /// None for a request without a body.
    pub body: Option<Vec<u8>>,
}

impl Request {
    /// A request. A target that starts with `/` is joined to the base URL of the node's connection;
    /// any other has to be an absolute `http` or `https` URL.
    pub fn new(method: Method, target: impl Into<String>) -> Self {
        Self { method, target: target.into(), query: Vec::new(), headers: Vec::new(), body: None }
    }

    /// Adds a query parameter, encoded.
    pub fn query(mut self, name: impl Into<String>, value: impl Display) -> Self {
        self.query.push((name.into(), value.to_string()));
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets a JSON body and its content type.
    pub fn json(self, body: &impl Serialize) -> Result<Self, NodeError> {
        let body = serde_json::to_vec(body).map_err(|error| {
            NodeError::invalid_input(
                "body-not-json",
                format!("the request body cannot be written as JSON: {error}"),
            )
        })?;
        Ok(self.body("application/json", body))
    }

    /// Sets a form body (`application/x-www-form-urlencoded`).
    pub fn form<'a>(self, fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body("application/x-www-form-urlencoded", body)
    }

    /// Sets a body; a content type that was set as a header before stays.
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        if !self.has_header("content-type") {
            self = self.header("content-type", content_type);
        }
        self
    }

    /// Sends; any status but 2xx is an error, see [`Response::into_error`].
    pub fn send(self) -> Result<Response, NodeError> {
        let response = self.send_any()?;
        if response.is_success() { Ok(response) } else { Err(response.into_error()) }
    }

    /// Sends, and hands back the response whatever its status.
    pub fn send_any(mut self) -> Result<Response, NodeError> {
        if !self.has_header("accept") {
            self = self.header("accept", "application/json");
        }
        let url = self.url()?;
        let place = place(&url);
        let outgoing =
            Outgoing { method: self.method, url, headers: self.headers, body: self.body };
        match send(&outgoing) {
            Ok(incoming) => Ok(Response::new(outgoing.method, place, incoming)),
            Err(failure) => Err(failure.into_error(&outgoing.method, &place)),
        }
    }

    fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name))
    }

    fn url(&self) -> Result<::http::Uri, NodeError> {
        let mut url = if self.target.starts_with('/') {
            let base = context::base_url().ok_or_else(|| {
                NodeError::invalid_input(
                    "no-connection",
                    format!(
                        "`{}` needs a base URL; name a connection in the node's `connection`",
                        self.target
                    ),
                )
            })?;
            base + &self.target
        } else {
            self.target.clone()
        };
        if let Some(fragment) = url.find('#') {
            url.truncate(fragment);
        }
        if !self.query.is_empty() {
            let query =
                form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish();
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&query);
        }
        parse(&url)
    }
}

fn parse(url: &str) -> Result<::http::Uri, NodeError> {
    let invalid = |reason: &str| {
        let shown = url.split('?').next().unwrap_or_default();
        NodeError::invalid_input("invalid-url", format!("`{shown}` is no URL: {reason}"))
    };
    let parsed: ::http::Uri =
        url.parse().map_err(|error: ::http::uri::InvalidUri| invalid(&error.to_string()))?;
    if parsed.authority().is_none() || !matches!(parsed.scheme_str(), Some("http" | "https")) {
        return Err(invalid("write a path that starts with `/`, or an absolute http or https URL"));
    }
    Ok(parsed)
}

/// The URL without its query, which may hold secrets, for messages.
fn place(url: &::http::Uri) -> String {
    let scheme = url.scheme_str().unwrap_or_default();
    let host = url.host().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{host}{port}{}", url.path())
}

#[cfg(target_family = "wasm")]
fn send(outgoing: &Outgoing) -> Result<super::Incoming, super::SendFailure> {
    use super::Transport as _;
    super::wasi::Wasi.send(outgoing)
}

#[cfg(not(target_family = "wasm"))]
fn send(outgoing: &Outgoing) -> Result<super::Incoming, super::SendFailure> {
    use super::Transport as _;
    crate::testing::current_upstream().send(outgoing)
}

#[cfg(test)]
mod tests {
    use crate::error::{ErrorClass, NodeError};
    use crate::http;
    use crate::testing::{Context, Reply, Session, Upstream};

    fn at(base_url: Option<&str>) -> Upstream {
        Upstream::new()
            .context(Context { base_url: base_url.map(str::to_owned), ..Context::default() })
    }

    fn sent(session: &Session) -> String {
        session.requests().last().map(|request| request.url.clone()).unwrap_or_default()
    }

    #[test]
    fn a_path_is_joined_to_the_connection_with_its_query_encoded() {
        let session = at(Some("https://app.test:8443/api/1.0"))
            .on("GET", "/api/1.0/projects")
            .reply(Reply::text(200, ""))
            .install();
        http::get("/projects?a=1#top")
            .query("name", "Müller & Co")
            .query("limit", 5)
            .send()
            .expect("answers");
        assert_eq!(
            sent(&session),
            "https://app.test:8443/api/1.0/projects?a=1&name=M%C3%BCller+%26+Co&limit=5"
        );
    }

    #[test]
    fn an_absolute_url_needs_no_connection() {
        let session = at(None).on("GET", "/a").reply(Reply::text(200, "")).install();
        http::get("http://other.test/a").send().expect("answers");
        assert_eq!(sent(&session), "http://other.test/a");
    }

    #[test]
    fn what_is_no_target_is_refused_and_nothing_is_sent() {
        let _session = at(None).install();
        let code = |target: &str| -> Result<(), NodeError> {
            http::get(target).query("token", "secret").send().map(drop)
        };
        let refused = |target: &str| {
            let error = code(target).expect_err(target);
            assert_eq!(error.class, ErrorClass::InvalidInput, "{target}");
            assert!(!error.message.contains("secret"), "{target}");
            error.code
        };
        assert_eq!(refused("/deals"), "no-connection");
        assert_eq!(refused("deals"), "invalid-url");
        assert_eq!(refused("ftp://x.test/a"), "invalid-url");
        assert_eq!(refused("https:///a"), "invalid-url");
        assert_eq!(refused("https://x.test/a b"), "invalid-url");
    }

    #[test]
    fn json_is_asked_for_unless_something_else_is() {
        let session = at(Some("https://x.test"))
            .on("GET", "/a")
            .reply(Reply::text(200, ""))
            .on("GET", "/b")
            .reply(Reply::text(200, ""))
            .install();
        http::get("/a").send().expect("answers");
        http::get("/b").header("Accept", "text/csv").send().expect("answers");
        let requests = session.requests();
        assert_eq!(requests[0].header("accept"), Some("application/json"));
        assert_eq!(requests[1].headers, [("Accept".to_owned(), "text/csv".to_owned())]);
    }

    #[test]
    #[should_panic(expected = "unexpected request GET https://x.test/b; expected: GET /a")]
    fn an_unexpected_request_fails_the_test() {
        let _session =
            at(Some("https://x.test")).on("GET", "/a").reply(Reply::text(200, "")).install();
        let _ = http::get("/b").send();
    }

    #[test]
    #[should_panic(expected = "never came: GET /a")]
    fn a_request_that_never_comes_fails_the_test() {
        let _session =
            at(Some("https://x.test")).on("GET", "/a").reply(Reply::text(200, "")).install();
    }
}
