//! As much HTTP as it takes to ask a server on this machine for JSON.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

/// How long connecting and each read may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Largest answer that is read.
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// Status and body of `GET` of a path at this origin, such as `http://127.0.0.1:8686`.
pub fn get(origin: &str, path: &str) -> anyhow::Result<(u16, String)> {
    let address: SocketAddr =
        host(origin)?.parse().with_context(|| format!("{origin} names no IP address and port"))?;
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    // Version 1.0, so that the answer is neither in chunks nor followed by another one.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer)?;
    split(&answer).with_context(|| format!("{origin}{path} does not answer with HTTP"))
}

/// The JSON that a path answers with.
pub fn get_json(origin: &str, path: &str) -> anyhow::Result<Value> {
    let (status, body) = get(origin, path).with_context(|| format!("cannot ask {origin}{path}"))?;
    ensure!(status == 200, "{origin}{path} answers {status}: {body}");
    serde_json::from_str(&body).with_context(|| format!("{origin}{path} answers no JSON: {body}"))
}

/// Host and port of an origin.
pub fn host(origin: &str) -> anyhow::Result<&str> {
    match origin.strip_prefix("http://") {
        Some(host) => Ok(host.trim_end_matches('/')),
        None => bail!("{origin} does not start with http://"),
    }
}

fn split(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_status_and_body() {
        let answer = "HTTP/1.0 404 Not Found\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(split(answer), Some((404, "{}".to_owned())));
        assert_eq!(split("nonsense"), None);
    }

    #[test]
    fn only_plain_origins_have_a_host() {
        assert_eq!(host("http://127.0.0.1:80/").expect("an origin"), "127.0.0.1:80");
        assert!(host("https://127.0.0.1").is_err());
    }
}
