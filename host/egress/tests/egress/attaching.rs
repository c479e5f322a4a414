//! What a request carries when it arrives: credentials at the base URL only, keys and ids always.

use http::{Response, StatusCode};
use tombolo_core::ports::egress::{Auth, Connection, EgressError};

use crate::support::{House, connection, get, http, ok, post, with_header};

#[tokio::test]
async fn each_kind_of_credential_arrives_at_the_base_url_and_stays_off_the_record() {
    let server = http(|_| ok("fine")).await;
    let house = House::open_to(&[&server]);
    let sealed = |field: &str| house.seal(field, "s3cret value");
    let kinds = [
        (Auth::Bearer { token: sealed("bearer") }, "authorization", "Bearer s3cret value"),
        (
            Auth::Basic { user: "ann".to_owned(), password: sealed("password") },
            "authorization",
            "Basic YW5uOnMzY3JldCB2YWx1ZQ==",
        ),
        (
            Auth::Header { name: "X-Api-Key".to_owned(), value: sealed("header") },
            "x-api-key",
            "s3cret value",
        ),
    ];
    for (auth, header, expected) in kinds {
        let connection = Connection { auth, ..connection(&server.url("/v1")) };
        let call = get(&server.url("/v1/deals?limit=1"), &connection);
        let call = with_header(call, "Authorization", "Bearer of-the-plugin");
        let (result, record) = house.send(call).await;
        assert_eq!(result.unwrap().body, "fine");
        let seen = server.seen().pop().unwrap();
        assert_eq!(seen.header(header), Some(expected));
        assert_eq!(
            seen.headers.get_all("authorization").iter().count(),
            usize::from(header != "x-api-key")
        );
        let kept = record.request_headers.iter().find(|(name, _)| name == header);
        assert_eq!(kept.unwrap().1, "[redacted]");
    }

    let auth = Auth::Query { name: "hapikey".to_owned(), value: sealed("query") };
    let connection = Connection { auth, ..connection(&server.url("/v1")) };
    let call = get(&server.url("/v1/deals?a=x%20y&hapike%79=mine&b"), &connection);
    let (result, record) = house.send(call).await;
    assert_eq!(result.unwrap().status, StatusCode::OK);
    let seen = server.seen().pop().unwrap();
    assert_eq!(seen.target, "/v1/deals?a=x%20y&b&hapikey=s3cret+value");
    assert_eq!(record.url, server.url("/v1/deals?a=x%20y&b&hapikey=[redacted]"));
}

#[tokio::test]
async fn credentials_go_nowhere_else() {
    let (home, other) = (http(|_| ok("")).await, http(|_| ok("")).await);
    let house = House::open_to(&[&home, &other]);
    let connection = Connection {
        auth: Auth::Bearer { token: house.seal("bearer", "s3cret value") },
        allowed_hosts: vec![other.address.to_string()],
        ..connection(&home.url("/v1"))
    };
    // The same origin above and beside the base URL: no credentials at all.
    for path in ["/", "/v10/deals", "/v1/../v2"] {
        let call = with_header(get(&home.url(path), &connection), "Authorization", "Bearer mine");
        house.send(call).await.0.unwrap();
        assert_eq!(home.seen().pop().unwrap().header("authorization"), None, "{path}");
    }
    // Another host of the connection: what the plugin set, and only that.
    let call = with_header(get(&other.url("/v1/x"), &connection), "Authorization", "Bearer mine");
    house.send(call).await.0.unwrap();
    house.send(get(&other.url("/v1/x"), &connection)).await.0.unwrap();
    let seen = other.seen();
    assert_eq!(seen[0].header("authorization"), Some("Bearer mine"));
    assert_eq!(seen[1].header("authorization"), None);
}

#[tokio::test]
async fn a_credential_that_cannot_be_used_stops_the_call() {
    let server = http(|_| ok("")).await;
    let house = House::open_to(&[&server]);
    let cases = [
        // Sealed for another field.
        (Auth::Bearer { token: house.seal("password", "canary") }, "does not belong"),
        (Auth::Bearer { token: house.seal("bearer", "canary\r\nX-Evil: 1") }, "line break"),
        (
            Auth::Header { name: "no header".to_owned(), value: house.seal("header", "canary") },
            "name",
        ),
    ];
    for (auth, reason) in cases {
        let connection = Connection { auth, ..connection(&server.url("")) };
        let (result, record) = house.send(get(&server.url("/"), &connection)).await;
        let error = result.unwrap_err();
        assert!(matches!(error, EgressError::Refused { .. }), "{error}");
        assert!(error.to_string().contains(reason) && !error.to_string().contains("canary"));
        assert_eq!(record.error, Some(error.to_string()));
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn keys_ids_and_lengths_arrive() {
    let server = http(|_| ok("")).await;
    let house = House::open_to(&[&server]);
    let connection = connection(&server.url(""));
    let mut second = post(&server.url("/a"), &connection, "{}");
    second.change = Some(3);
    let calls = [
        post(&server.url("/a"), &connection, ""),
        second,
        with_header(post(&server.url("/a"), &connection, ""), "idempotency-key", "mine"),
        with_header(get(&server.url("/a"), &connection), "Host", "evil.com"),
    ];
    let mut keys = Vec::new();
    for call in calls {
        keys.push(house.send(call).await.1.idempotency_key);
    }
    let key = |text: &str| Some(text.to_owned());
    assert_eq!(keys, [key("step-key"), key("step-key-3"), key("mine"), None]);
    let seen = server.seen();
    for (seen, key) in seen.iter().zip(&keys) {
        assert_eq!(seen.header("idempotency-key"), key.as_deref());
        assert_eq!(seen.header("x-correlation-id"), Some("event-1"));
        assert!(seen.header("user-agent").unwrap().starts_with("tombolo/"));
        assert_eq!(seen.header("host"), Some(server.address.to_string().as_str()));
    }
    assert_eq!(seen[0].header("content-length"), Some("0"));
    assert_eq!((seen[1].header("content-length"), &seen[1].body[..]), (Some("2"), &b"{}"[..]));
    assert_eq!((seen[3].method.as_str(), seen[3].header("content-length")), ("GET", None));
}

#[tokio::test]
async fn an_answer_comes_as_it_is() {
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let server = http(move |seen| {
        let builder = Response::builder().status(418).header("content-encoding", "gzip");
        let builder = builder.header("connection", "x-hop").header("x-hop", "1");
        assert_eq!(seen.header("accept-encoding"), None);
        builder.body(gzip.to_vec().into()).unwrap()
    })
    .await;
    let house = House::open_to(&[&server]);
    let (result, record) = house.send(get(&server.url("/"), &connection(&server.url("")))).await;
    let answer = result.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (418, &gzip[..]));
    assert_eq!(answer.headers["content-encoding"], "gzip");
    assert!(!answer.headers.contains_key("x-hop") && !answer.headers.contains_key("connection"));
    assert_eq!((record.status, record.response_body.as_deref()), (Some(418), Some("[20 bytes]")));
    assert_eq!(record.duration_ms, 5);
}

#[tokio::test]
async fn an_echo_does_not_hand_the_secret_to_the_plugin() {
    let server = http(|seen| {
        // In a compressed echo nobody would find it.
        assert_eq!(seen.header("accept-encoding"), Some("identity"));
        let sent = seen.header("authorization").unwrap().to_owned();
        Response::builder().header("x-echo", &sent).body(sent.into()).unwrap()
    })
    .await;
    let house = House::open_to(&[&server]);
    for token in ["a-token-of-some-length", "8-signs!"] {
        let auth = Auth::Bearer { token: house.seal("bearer", token) };
        let connection = Connection { auth, ..connection(&server.url("")) };
        let call = with_header(get(&server.url("/"), &connection), "Accept-Encoding", "gzip");
        let answer = house.send(call).await.0.unwrap();
        assert_eq!(answer.body, "Bearer [redacted]");
        assert_eq!(answer.headers["x-echo"], "Bearer [redacted]");
        assert!(!answer.headers.contains_key("content-length"), "it would be wrong now");
    }
}
