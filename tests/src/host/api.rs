//! The HTTP API, as a test uses it.

use std::path::Path;

use anyhow::{Context, ensure};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Answer, Host, RunView, poll};

impl Host {
    /// A request without a token.
    pub fn anonymous(&self, method: &str, path: &str) -> RequestBuilder {
        // A method that is none is an error of the request, which is told when it is sent.
        let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
        self.http.request(method, format!("{}{path}", self.origin))
    }

    /// A request with the token of the first start.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&self.token)
    }

    /// Sends, and reads the whole answer.
    ///
    /// # Errors
    /// If there is none.
    pub async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Answer> {
        Answer::of(request.send().await?).await
    }

    /// A path below `/api/v1`.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.answer(self.request("GET", &format!("/api/v1{path}"))).await
    }

    /// JSON to a path below `/api/v1`.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.answer(self.request("POST", &format!("/api/v1{path}")).json(body)).await
    }

    /// JSON to a path below `/api/v1`.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.answer(self.request("PUT", &format!("/api/v1{path}")).json(body)).await
    }

    /// Uploads a component.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn upload(&self, component: impl Into<reqwest::Body>) -> anyhow::Result<Answer> {
        let request = self.request("POST", "/api/v1/plugins");
        self.answer(request.header(CONTENT_TYPE, "application/wasm").body(component)).await
    }

    /// Adds the component in this file.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn add_plugin(&self, file: &Path) -> anyhow::Result<()> {
        let answer = self.upload(std::fs::read(file)?).await?;
        ensure!(matches!(answer.status, 200 | 201), "{}: {}", file.display(), answer.text);
        Ok(())
    }

    /// Sets a connection.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn connection(&self, name: &str, form: Value) -> anyhow::Result<()> {
        let answer = self.put(&format!("/connections/{name}"), &form).await?;
        ensure!(matches!(answer.status, 200 | 201), "connection {name}: {}", answer.text);
        Ok(())
    }

    /// Sets a connection with a bearer token.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn bearer(&self, name: &str, base_url: &str, token: &str) -> anyhow::Result<()> {
        let auth = json!({"kind": "bearer", "token": token});
        self.connection(name, json!({"base_url": base_url, "auth": auth})).await
    }

    /// Sets a connection that keeps the secret of a webhook.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn signing(&self, name: &str, secret: &str) -> anyhow::Result<()> {
        self.connection(name, json!({"signing_secret": secret})).await
    }

    /// Makes a workflow file live.
    ///
    /// # Errors
    /// If it is refused, with the issues.
    pub async fn apply(&self, file: &Value) -> anyhow::Result<Value> {
        let name = file["name"].as_str().context("the file has no name")?;
        let answer = self.put(&format!("/workflows/{name}"), file).await?;
        ensure!(matches!(answer.status, 200 | 201), "{name} is refused: {}", answer.text);
        Ok(answer.json())
    }

    /// Starts a run and gives its id.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn start_run(&self, workflow: &str, input: &Value) -> anyhow::Result<String> {
        let answer = self.post(&format!("/workflows/{workflow}/runs"), input).await?;
        Ok(answer.expect(202)?["run"].as_str().context("no run")?.to_owned())
    }

    /// Starts a run and waits for its end.
    ///
    /// # Errors
    /// If it is refused, or does not end.
    pub async fn run_to_end(&self, workflow: &str, input: &Value) -> anyhow::Result<RunView> {
        let run = self.start_run(workflow, input).await?;
        self.ended(&run).await
    }

    /// A run with its steps, as they stand now.
    ///
    /// # Errors
    /// If there is none.
    pub async fn run(&self, id: &str) -> anyhow::Result<RunView> {
        let mut run = self.get(&format!("/runs/{id}")).await?.expect(200)?;
        let mut steps = self.get(&format!("/runs/{id}/steps")).await?.expect(200)?;
        run["steps"] = steps["items"].take();
        Ok(RunView(run))
    }

    /// A run after its end.
    ///
    /// # Errors
    /// If it does not end in time, with its steps.
    pub async fn ended(&self, id: &str) -> anyhow::Result<RunView> {
        self.run_when(id, "its end", RunView::ended).await
    }

    /// A run as soon as it is as wanted.
    ///
    /// # Errors
    /// If that does not happen in time, with its steps.
    pub async fn run_when(
        &self,
        id: &str,
        what: &str,
        wanted: impl Fn(&RunView) -> bool,
    ) -> anyhow::Result<RunView> {
        let found = poll(what, async || {
            let run = self.run(id).await?;
            Ok(wanted(&run).then_some(run))
        })
        .await;
        match found {
            Ok(run) => Ok(run),
            Err(error) => Err(error.context(match self.run(id).await {
                Ok(run) => run.to_string(),
                Err(gone) => gone.to_string(),
            })),
        }
    }

    /// Runs, the newest first; `query` as `state=failed&limit=200`. At most one page.
    ///
    /// # Errors
    /// If the query is refused.
    pub async fn runs(&self, query: &str) -> anyhow::Result<Vec<Value>> {
        let mut page = self.get(&format!("/runs?{query}")).await?.expect(200)?;
        match page["items"].take() {
            Value::Array(items) => Ok(items),
            other => anyhow::bail!("a page of runs holds {other}"),
        }
    }

    /// Runs of all pages, the newest first.
    ///
    /// # Errors
    /// If the query is refused.
    pub async fn all_runs(&self, query: &str) -> anyhow::Result<Vec<Value>> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/runs?limit=200&{query}{cursor}");
            let page = self.get(&path).await?.expect(200)?;
            all.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(all),
            }
        }
    }
}
