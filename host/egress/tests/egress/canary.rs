//! A secret that would stand out is put everywhere a secret may be, and looked for everywhere it
//! may not be.

use std::io::Write;
use std::sync::{Arc, Mutex};

use http::Response;
use tokio::io::AsyncWriteExt;
use tombolo_core::ports::egress::{Auth, Connection, OutboundCall};
use tracing_subscriber::fmt::MakeWriter;

use crate::authority::{Authority, named};
use crate::support::{House, Seen, connection, http, https, post, raw};

const CANARY: &str = "canary/zq7w+kx9v==";

/// Every form in which the canary may leave.
fn find_canary(text: &str) -> Option<&'static str> {
    // Parts that survive percent-encoding and JSON, and that no hash in hexadecimal can have; base64 of `CANARY` and of `ann:CANARY`.
    ["canary", "zq7w", "kx9v", "Y2FuYXJ5", "YW5uOmNhbmFyeS"]
        .into_iter()
        .find(|part| text.contains(part))
}

/// Where the log goes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Says back all it was told, in every place.
fn echo(seen: Seen) -> Response<bytes::Bytes> {
    let told = format!("{:?} {} {:?}", seen.headers, seen.target, seen.body);
    let value = seen.header("authorization").unwrap_or(CANARY).to_owned();
    Response::builder()
        .status(500)
        .header("x-echo", &value)
        .header("location", format!("/?next={value}"))
        .header("etag", &value)
        .body(format!("{told} {value} {CANARY}").into())
        .unwrap()
}

fn connections(house: &House, base_url: &str) -> Vec<Connection> {
    let sealed = |field: &str| house.seal(field, CANARY);
    [
        Auth::Bearer { token: sealed("bearer") },
        Auth::Basic { user: "ann".to_owned(), password: sealed("password") },
        Auth::Header { name: "x-api-key".to_owned(), value: sealed("header") },
        Auth::Query { name: "q".to_owned(), value: sealed("query") },
    ]
    .into_iter()
    .map(|auth| Connection { auth, signing: Some(sealed("signing")), ..connection(base_url) })
    .collect()
}

fn calls(house: &House, base_url: &str) -> Vec<OutboundCall> {
    connections(house, base_url)
        .iter()
        .map(|connection| post(&format!("{base_url}/deals"), connection, "{}"))
        .collect()
}

/// Makes `calls` and looks at all that is kept of them.
async fn assert_silent(house: &House, calls: Vec<OutboundCall>) {
    for call in calls {
        let call_shown = format!("{call:?}");
        let (result, record) = house.send(call).await;
        let record = serde_json::to_string(&record).unwrap();
        let shown = format!("{call_shown} {record} {result:?} {:?}", house.egress);
        assert_eq!(find_canary(&shown), None, "{shown}");
        if let Err(error) = result {
            assert_eq!(find_canary(&error.to_string()), None);
        }
    }
}

#[tokio::test]
async fn a_secret_is_in_no_record_error_debug_or_log() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    // For the whole process: a subscriber of one thread can miss what others saw first.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let plain = http(echo).await;
    let broken = raw(|mut stream| async move {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{CANARY}");
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let house = House::open_to(&[&plain, &broken]);
    assert_silent(&house, calls(&house, &plain.url(""))).await;
    assert_silent(&house, calls(&house, &broken.url(""))).await;

    let authority = Authority::new();
    let secure = https(authority.server("api.test", &["h2"]), echo).await;
    let house = authority.house(&secure);
    assert_silent(&house, calls(&house, &named(&secure, ""))).await;

    // Not a test of nothing: the servers were told, the log was written.
    for server in [plain, secure] {
        let told = format!("{:?}", server.seen());
        assert!(told.contains("Bearer canary/") && told.contains("q=canary%2F"), "{told}");
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("credentials attached") && log.contains("hyper_util"), "{log}");
    let leak = log.lines().find(|line| find_canary(line).is_some());
    assert_eq!(leak, None);
}
