//! The server's HTTP API, as far as a benchmark needs it: to prepare, and to count runs.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::connection::Connection;

/// The API of one server.
#[derive(Debug, Clone)]
pub struct Api {
    address: SocketAddr,
    authorization: String,
}

impl Api {
    /// The API at an address.
    pub fn new(address: SocketAddr, token: &str) -> Self {
        Self { address, authorization: format!("Bearer {token}") }
    }

    /// Uploads a component.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn add_plugin(&self, component: Vec<u8>) -> anyhow::Result<()> {
        let (method, path) = (Method::POST, "/api/v1/plugins");
        self.send(method, path, "application/wasm", component.into()).await.map(|_| ())
    }

    /// Puts JSON.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn put(&self, path: &str, value: &Value) -> anyhow::Result<()> {
        let body = value.to_string().into();
        self.send(Method::PUT, path, "application/json", body).await.map(|_| ())
    }

    /// Gets JSON.
    ///
    /// # Errors
    /// If the answer is none, or not what is expected.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let body = self.send(Method::GET, path, "application/json", Bytes::new()).await?;
        serde_json::from_slice(&body).with_context(|| format!("the answer to {path}"))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content: &str,
        body: Bytes,
    ) -> anyhow::Result<Bytes> {
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::CONTENT_TYPE, content)
            .body(Full::new(body))?;
        let mut connection = Connection::open(self.address).await?;
        let (status, body) = connection.send(request).await?;
        let fine = matches!(status, StatusCode::OK | StatusCode::CREATED);
        let text = String::from_utf8_lossy(&body);
        ensure!(fine, "{method} {path} is answered {status}: {text}");
        Ok(body)
    }
}
