//! One way to call a stand-in, for all tests here.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
pub use tombolo_tests::http_client as client;

/// Calls of one stand-in with one token.
pub struct Caller {
    base_url: String,
    token: &'static str,
}

impl Caller {
    pub fn new(base_url: String, token: &'static str) -> Self {
        Self { base_url, token }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        client().request(method, format!("{}{path}", self.base_url)).bearer_auth(self.token)
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::POST, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::PATCH, path).json(body)).await
    }
}

/// Status and JSON body.
pub async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    (status, response.json().await.unwrap())
}
