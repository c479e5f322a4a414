//! `standins deliver`: sends the webhook that HubSpot would send, signed as it would be, and tells
//! what came back. Starts nothing.

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tombolo_tests::hubspot;

/// How long one delivery may take; HubSpot itself waits 5 s.
const LIMIT: Duration = Duration::from_secs(30);

/// Largest answer that is told.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Most events of one delivery; HubSpot sends up to 100.
const MAX_EVENTS: u64 = 100;

/// Send the signed event array of the integration guide: the seeded deal was won.
#[derive(Debug, Args)]
pub struct Deliver {
    /// Where to: the whole address, as the receiver knows it, for it is signed too.
    #[arg(long)]
    uri: Uri,
    /// The app's client secret that signs.
    #[arg(long)]
    secret: String,
    /// How many events, with ids from 1.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=MAX_EVENTS))]
    count: u64,
    /// Send it a second time, as HubSpot does when it got no answer.
    #[arg(long)]
    repeat: bool,
}

impl Deliver {
    /// Sends and prints one line of JSON for each delivery: the status and the body of the answer.
    pub async fn run(self) -> anyhow::Result<()> {
        let body = Bytes::from(self.events().to_string());
        let deliveries = if self.repeat { 2 } else { 1 };
        for _ in 0..deliveries {
            let sent = tokio::time::timeout(LIMIT, self.send(body.clone())).await;
            let answer = sent.with_context(|| format!("no answer within {LIMIT:?}"))??;
            println!("{answer}");
        }
        Ok(())
    }

    fn events(&self) -> Value {
        let event = |id: u64| match hubspot::deal_won_event(json!({ "eventId": id })) {
            Value::Array(events) => events,
            other => vec![other],
        };
        (1..=self.count).flat_map(event).collect()
    }

    async fn send(&self, body: Bytes) -> anyhow::Result<Value> {
        let host = self.host()?;
        let connect = TcpStream::connect(host).await;
        let stream = connect.with_context(|| format!("cannot connect to {host}"))?;
        let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Its error is the request's error, which we get below.
        let connection = tokio::spawn(connection);

        let now_ms = jiff::Timestamp::now().as_millisecond();
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request =
            Request::post(path).header(http::header::HOST, host).body(Full::new(body.clone()))?;
        let uri = self.uri.to_string();
        request.headers_mut().extend(hubspot::signed_delivery(&self.secret, &uri, &body, now_ms));
        let answer = client.send_request(request).await?;
        let status = answer.status().as_u16();
        let read = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        let bytes = read.map_err(|error| anyhow::anyhow!("the answer cannot be read: {error}"))?;
        connection.abort();
        Ok(json!({ "status": status, "body": as_json(&bytes.to_bytes()) }))
    }

    fn host(&self) -> anyhow::Result<&str> {
        ensure!(
            self.uri.scheme_str() == Some("http"),
            "only http:// can be delivered to, {} is something else",
            self.uri
        );
        let authority = self.uri.authority().context("the address names no host")?;
        ensure!(authority.port().is_some(), "the address names no port");
        Ok(authority.as_str())
    }
}

/// The body as JSON if it is, else as text.
fn as_json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into())
}
