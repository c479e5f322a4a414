//! The HTTP client of the API: addresses, the token, bounds, and what an answer means.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;
use tombolo_core::secret::Secret;

use super::Usage;
use super::problem::{Failure, Problem};

/// Until the connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Until the answer is complete. Adding a plugin compiles it, which is the longest.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(180);

/// How long a stream of events may be silent before it is opened anew.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// Largest answer that is read; bytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024 * 1024;

/// How much of a foreign answer is shown.
const SHOWN: usize = 120;

/// Speaks to one server.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<Secret>,
}

impl Client {
    /// A client for the server at `url`.
    pub(super) fn new(url: &str, token: Option<Secret>) -> anyhow::Result<Self> {
        let base = parse_base(url)?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tombolo/", env!("CARGO_PKG_VERSION")));
        // Roots of trust are read only where they are needed: reading them takes longer than a
        // command on the same machine.
        let http = match base.scheme() {
            "https" => http.tls_backend_preconfigured(tls()?).build()?,
            _ => http.tls_backend_preconfigured(no_tls()?).build()?,
        };
        Ok(Self { http, base, token })
    }

    /// The address below `/api/v1` of these parts, each of them escaped.
    pub(super) fn address(&self, parts: &[&str]) -> Url {
        let mut url = self.base.clone();
        // A base address was checked to have a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(parts);
        }
        url
    }

    /// A request; send it with [`Client::answer`].
    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url).header(ACCEPT, "application/json");
        match &self.token {
            Some(token) => request.bearer_auth(String::from_utf8_lossy(token.reveal())),
            None => request,
        }
    }

    /// Sends a request and reads the JSON of a good answer.
    pub(super) async fn answer(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let response = self.send(request.timeout(ANSWER_TIMEOUT)).await?;
        let (url, status) = (response.url().to_string(), response.status());
        let body = self.body(response).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|_| not_tombolo(url, status, &body))
    }

    /// `GET` below `/api/v1`.
    pub(super) async fn get(&self, parts: &[&str]) -> Result<Value, Failure> {
        self.answer(self.request(Method::GET, self.address(parts))).await
    }

    /// `POST` of a JSON body below `/api/v1`.
    pub(super) async fn post(&self, parts: &[&str], body: &Value) -> Result<Value, Failure> {
        self.answer(self.request(Method::POST, self.address(parts)).json(body)).await
    }

    /// `GET` below `/api/v1` with those parameters that are there.
    pub(super) async fn query(
        &self,
        parts: &[&str],
        parameters: &[(&str, Option<String>)],
    ) -> Result<Value, Failure> {
        let mut url = self.address(parts);
        for (name, value) in parameters {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        self.answer(self.request(Method::GET, url)).await
    }

    /// Opens a stream of server-sent events.
    pub(super) async fn events(&self, parts: &[&str]) -> Result<Response, Failure> {
        let request =
            self.request(Method::GET, self.address(parts)).header(ACCEPT, "text/event-stream");
        let response = self.send(request).await?;
        match response.headers().get(CONTENT_TYPE).map(|kind| kind.as_bytes()) {
            Some(kind) if kind.starts_with(b"text/event-stream") => Ok(response),
            _ => {
                Err(not_tombolo(response.url().to_string(), response.status(), b"no event stream"))
            }
        }
    }

    /// The next piece of a stream; None at its end, or when it was silent for too long.
    pub(super) async fn chunk(&self, response: &mut Response) -> Option<Vec<u8>> {
        let chunk = tokio::time::timeout(SILENCE_TIMEOUT, response.chunk()).await;
        chunk.ok()?.ok()?.map(|bytes| bytes.to_vec())
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|error| self.no_answer(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let url = response.url().to_string();
        let body = self.body(response).await?;
        let document = serde_json::from_slice(&body).ok().and_then(Problem::parse);
        Err(match document.map(Box::new) {
            Some(problem) if status == StatusCode::UNAUTHORIZED && self.token.is_none() => {
                Failure::NoToken(problem)
            }
            Some(problem) => Failure::Problem(problem),
            None => not_tombolo(url, status, &body),
        })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.no_answer(&error))? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                let reason = format!("its answer is larger than {MAX_ANSWER_BYTES} bytes");
                return Err(Failure::NoAnswer { url: self.shown(), reason });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn no_answer(&self, error: &reqwest::Error) -> Failure {
        if error.is_connect() && refused(error) {
            return Failure::NoServer { url: self.shown() };
        }
        Failure::NoAnswer { url: self.shown(), reason: root_cause(error) }
    }

    fn shown(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }
}

fn parse_base(url: &str) -> anyhow::Result<Url> {
    let wrong =
        |reason: &str| Usage(format!("--url `{url}` {reason}, such as http://127.0.0.1:8686"));
    let base = Url::parse(url).map_err(|_| wrong("is not an address"))?;
    if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
        return Err(wrong("is not an http or https address").into());
    }
    if !base.username().is_empty() || base.password().is_some() {
        // Without the address: it holds a secret.
        return Err(
            Usage("--url holds a user or password; a token goes into --token".into()).into()
        );
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(wrong("should be the address of the server only").into());
    }
    Ok(base)
}

fn tls() -> anyhow::Result<rustls::ClientConfig> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = rustls::RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    anyhow::ensure!(added > 0, "this system has no certificate authorities, which https needs");
    configure(roots)
}

fn no_tls() -> anyhow::Result<rustls::ClientConfig> {
    configure(rustls::RootCertStore::empty())
}

fn configure(roots: rustls::RootCertStore) -> anyhow::Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn not_tombolo(url: String, status: StatusCode, body: &[u8]) -> Failure {
    let start = super::terminal::one_line(&String::from_utf8_lossy(body), SHOWN);
    let reason = if start.is_empty() { "nothing".to_owned() } else { format!("`{start}`") };
    Failure::NotTombolo { url, status: status.as_u16(), reason }
}

fn causes<'a>(
    error: &'a reqwest::Error,
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(std::error::Error::source(error), |error| error.source())
}

fn refused(error: &reqwest::Error) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::ConnectionRefused)
}

/// The innermost cause: the outer ones only repeat that it was a request.
fn root_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the time ran out".to_owned();
    }
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}
