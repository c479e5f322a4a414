//! What goes wrong after a call was allowed: whether it may have been sent is never in doubt.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tombolo_core::ports::egress::{Connection, EgressError};
use tombolo_egress::EgressSettings;

use crate::authority::{Authority, named};
use crate::support::{
    AMPLE, House, Names, Server, connection, get, http, https, ok, post, raw, settings, silent,
};

fn quick(base_url: &str, total_ms: u64) -> Connection {
    let mut connection = connection(base_url);
    connection.limits.total_timeout_ms = total_ms;
    connection
}

async fn error_of(server: &Server, connection: &Connection) -> EgressError {
    let house = House::open_to(&[server]);
    let (result, record) = house.send(post(&server.url("/"), connection, "{}")).await;
    let error = result.unwrap_err();
    assert_eq!(record.error, Some(error.to_string()));
    error
}

#[tokio::test]
async fn closed_after_the_request_is_broken() {
    let scripts: [&[u8]; 5] = [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ];
    for script in scripts {
        let server = raw(move |mut stream| async move {
            stream.write_all(script).await.unwrap();
        })
        .await;
        let error = error_of(&server, &connection(&server.url(""))).await;
        assert!(matches!(error, EgressError::Broken { .. }), "{script:?}: {error}");
    }
}

#[tokio::test]
async fn silence_after_the_request_is_a_timeout_that_may_have_been_sent() {
    let scripts: [&[u8]; 3] =
        [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"];
    for script in scripts {
        let server = raw(move |mut stream| async move {
            stream.write_all(script).await.unwrap();
            std::future::pending::<()>().await;
        })
        .await;
        let error = error_of(&server, &quick(&server.url(""), 100)).await;
        let expected =
            EgressError::Timeout { host: server.address.to_string(), limit_ms: 100, sent: true };
        assert_eq!(error, expected);
    }
}

#[tokio::test]
async fn no_connection_in_time_is_nothing_sent() {
    // TCP stands, TLS never comes: the connection is not there yet.
    let server = silent().await;
    let house = Authority::new().house(&server);
    let mut connection = connection(&named(&server, ""));
    connection.limits.connect_timeout_ms = 100;
    let error = house.send(get(&named(&server, "/"), &connection)).await.0.unwrap_err();
    assert!(matches!(error, EgressError::Connect { .. }), "{error}");

    connection.limits.connect_timeout_ms = 60_000;
    connection.limits.total_timeout_ms = 100;
    let error = house.send(get(&named(&server, "/"), &connection)).await.0.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { limit_ms: 100, sent: false, .. }), "{error}");
}

#[tokio::test]
async fn the_budget_bounds_the_limit() {
    let server = silent().await;
    let house = House::open_to(&[&server]);
    for (budget_ms, sent) in [(0, false), (50, true)] {
        let mut call = get(&server.url("/"), &connection(&server.url("")));
        call.budget = Duration::from_millis(budget_ms);
        let error = house.send(call).await.0.unwrap_err();
        let host = server.address.to_string();
        assert_eq!(error, EgressError::Timeout { host, limit_ms: budget_ms, sent });
    }
}

#[tokio::test]
async fn who_waits_for_a_turn_too_long_has_sent_nothing() {
    let (busy, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let signals = (busy.clone(), done.clone());
    let server = raw(move |mut stream| {
        let (busy, done) = signals.clone();
        async move {
            busy.notify_one();
            done.notified().await;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let one_at_a_time = EgressSettings {
        max_calls_per_host: 1.try_into().unwrap(),
        ..settings(&[server.address.to_string()])
    };
    let house = Arc::new(House::new(one_at_a_time, Names::new(&[])));
    let first = tokio::spawn({
        let (house, call) = (house.clone(), get(&server.url("/"), &connection(&server.url(""))));
        async move { house.send(call).await.0 }
    });
    busy.notified().await;
    let second = get(&server.url("/"), &quick(&server.url(""), 50));
    let error = house.send(second).await.0.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { sent: false, .. }), "{error}");
    done.notify_one();
    assert_eq!(first.await.unwrap().unwrap().status.as_u16(), 204);
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn an_endless_answer_ends_at_the_limit() {
    const FIVE_GB: u64 = 5 * 1024 * 1024 * 1024;
    const LIMIT: u64 = 1024 * 1024;
    let written = Arc::new(AtomicU64::new(0));
    let gone = Arc::new(Notify::new());
    let shared = (written.clone(), gone.clone());
    let server = raw(move |mut stream| {
        let (written, gone) = shared.clone();
        async move {
            let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await
                .unwrap();
            while written.load(Ordering::SeqCst) < FIVE_GB && stream.write_all(&chunk).await.is_ok()
            {
                written.fetch_add(0x10000, Ordering::SeqCst);
            }
            gone.notify_one();
        }
    })
    .await;
    let mut connection = connection(&server.url(""));
    connection.limits.max_response_bytes = LIMIT;
    let error = error_of(&server, &connection).await;
    let host = server.address.to_string();
    assert_eq!(error, EgressError::ResponseTooLarge { host, limit_bytes: LIMIT });
    tokio::time::timeout(AMPLE, gone.notified()).await.expect("the connection is closed");
    // What the kernel buffers comes on top of the limit.
    assert!(written.load(Ordering::SeqCst) < LIMIT + 64 * 1024 * 1024);
}

#[tokio::test]
async fn an_announced_flood_is_not_begun() {
    let server = raw(|mut stream| async move {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5368709120\r\n\r\n";
        stream.write_all(head).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let error = error_of(&server, &connection(&server.url(""))).await;
    assert!(error.to_string().contains("larger than 16777216 bytes (limit max_response_bytes)"));
}

#[tokio::test]
async fn the_limits_are_inclusive() {
    let server = http(|seen| ok(seen.body)).await;
    let house = House::open_to(&[&server]);
    let mut connection = connection(&server.url(""));
    connection.limits.max_response_bytes = 4;
    connection.limits.max_request_bytes = 5;
    let answer = house.send(post(&server.url("/"), &connection, "four")).await.0.unwrap();
    assert_eq!(answer.body, "four");
    let error = house.send(post(&server.url("/"), &connection, "fiver")).await.0.unwrap_err();
    assert!(matches!(error, EgressError::ResponseTooLarge { limit_bytes: 4, .. }), "{error}");
    let error = house.send(post(&server.url("/"), &connection, "sixsix")).await.0.unwrap_err();
    assert!(error.to_string().contains("limit max_request_bytes of connection `crm`"), "{error}");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn an_endless_head_is_broken() {
    let server = raw(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nX-Large: ").await.unwrap();
        while stream.write_all(&[b'x'; 0x10000]).await.is_ok() {}
    })
    .await;
    let error = error_of(&server, &connection(&server.url(""))).await;
    assert!(matches!(error, EgressError::Broken { .. }), "{error}");
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_is_no_connection() {
    let (trusted, stranger) = (Authority::new(), Authority::new());
    for tls in [stranger.server("api.test", &[]), trusted.server("other.test", &[])] {
        let server = https(tls, |_| ok("")).await;
        let house = trusted.house(&server);
        let error = house.error_of(&named(&server, "/")).await;
        let EgressError::Connect { reason, .. } = &error else { panic!("{error}") };
        assert!(reason.contains("certificate"), "{reason}");
        assert!(server.seen().is_empty());
    }
}
