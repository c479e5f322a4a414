//! Connections are kept and used again, one for many calls under HTTP/2, and never twice for one
//! request that may have been sent.

use std::sync::Arc;

use futures_util::future::join_all;
use http::Version;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tombolo_egress::EgressSettings;

use crate::authority::{Authority, named};
use crate::support::{
    House, Names, connection, get, http, https, ok, post, raw, read_head, settings,
};

#[tokio::test]
async fn http1_keeps_its_connection() {
    let server = http(|seen| ok(seen.body)).await;
    let house = House::open_to(&[&server]);
    let connection = connection(&server.url(""));
    for _ in 0..5 {
        house.send(post(&server.url("/"), &connection, "x")).await.0.unwrap();
    }
    assert_eq!((server.seen().len(), server.accepted()), (5, 1));
}

#[tokio::test]
async fn http2_is_chosen_and_shared() {
    let authority = Authority::new();
    let server =
        https(authority.server("api.test", &["h2", "http/1.1"]), |seen| ok(seen.body)).await;
    let house = authority.house(&server);
    let (url, connection) = (named(&server, "/"), connection(&named(&server, "")));
    house.send(post(&url, &connection, "first")).await.0.unwrap();
    let calls = (0..20).map(|_| house.send(post(&url, &connection, "x")));
    for (result, _) in join_all(calls).await {
        assert_eq!(result.unwrap().body, "x");
    }
    let seen = server.seen();
    assert_eq!((seen.len(), server.accepted()), (21, 1));
    assert!(seen.iter().all(|seen| seen.version == Version::HTTP_2));
}

#[tokio::test]
async fn http1_over_tls_where_the_server_wants_it() {
    let authority = Authority::new();
    let server = https(authority.server("api.test", &["http/1.1"]), |_| ok("fine")).await;
    let house = authority.house(&server);
    let url = named(&server, "/");
    assert_eq!(house.send(get(&url, &connection(&url))).await.0.unwrap().body, "fine");
    assert_eq!(server.seen()[0].version, Version::HTTP_11);
}

#[tokio::test]
async fn no_more_calls_at_once_than_allowed() {
    let server = http(|_| ok("")).await;
    let two = EgressSettings {
        max_calls: 2.try_into().unwrap(),
        ..settings(&[server.address.to_string()])
    };
    let house = House::new(two, Names::new(&[]));
    let connection = connection(&server.url(""));
    let calls = (0..30).map(|_| house.send(get(&server.url("/"), &connection)));
    for (result, _) in join_all(calls).await {
        result.unwrap();
    }
    // Each call begins with a connection of the pool or a new one: two calls at once, and the
    // connections that were begun while one came free.
    assert!(server.accepted() <= 4, "{}", server.accepted());
}

/// The server closes an idle connection; the next call takes a new one instead of failing.
#[tokio::test]
async fn a_stale_connection_costs_nothing() {
    let (close, closed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let signals = (close.clone(), closed.clone());
    let server = raw(move |mut stream| {
        let (close, closed) = signals.clone();
        async move {
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            stream.write_all(answer).await.unwrap();
            close.notified().await;
            drop(stream);
            closed.notify_one();
        }
    })
    .await;
    let other = http(|_| ok("")).await;
    let house = House::open_to(&[&server, &other]);
    let connection = connection(&server.url(""));
    house.send(post(&server.url("/"), &connection, "{}")).await.0.unwrap();
    close.notify_one();
    closed.notified().await;
    // A call elsewhere: when it is answered, the end of the idle connection has been seen, too.
    house.send(get(&other.url("/"), &crate::support::connection(&other.url("")))).await.0.unwrap();
    let (result, _) = house.send(post(&server.url("/"), &connection, "{}")).await;
    assert_eq!(result.unwrap().body, "ok");
    assert_eq!(server.accepted(), 2);
}

/// The server takes a second request on a kept connection and closes without an answer: that may
/// have done its work, so it is reported and not sent again.
#[tokio::test]
async fn what_may_have_been_sent_is_not_sent_again() {
    let server = raw(|mut stream| async move {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        stream.write_all(answer).await.unwrap();
        read_head(&mut stream).await;
    })
    .await;
    let house = House::open_to(&[&server]);
    let connection = connection(&server.url(""));
    house.send(get(&server.url("/"), &connection)).await.0.unwrap();
    let error = house.send(get(&server.url("/"), &connection)).await.0.unwrap_err();
    assert!(matches!(error, tombolo_core::ports::egress::EgressError::Broken { .. }), "{error}");
    assert_eq!(server.accepted(), 1);
}
