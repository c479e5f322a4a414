//! Requests that no HTTP client would send: written to the socket as they are.

use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Host;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(30);

/// How much of an answer is read.
const MAX_ANSWER_BYTES: u64 = 1024 * 1024;

impl Host {
    /// Sends these bytes and reads until the other side closes; the request has to ask for that.
    ///
    /// # Errors
    /// If there is no answer in time.
    pub async fn raw(&self, request: &[u8]) -> anyhow::Result<String> {
        let address = self.origin().trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await?;
        let exchange = async {
            // A server that has heard enough may answer and close before it has heard all.
            let _ = stream.write_all(request).await;
            let mut answer = Vec::new();
            let read = stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await;
            if answer.is_empty() {
                read?;
            }
            anyhow::Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        tokio::time::timeout(LIMIT, exchange).await.context("no answer in time")?
    }
}
