//! Where a call may not go, and what the refusal says.

use std::sync::atomic::Ordering;

use http::Response;
use tombolo_core::ports::egress::{Connection, EgressError};

use crate::support::{House, Names, closed_address, connection, get, http, ok, settings};

fn is_refused(error: &EgressError) -> bool {
    matches!(error, EgressError::Refused { .. })
}

/// Unallocated global unicast space: public by every rule, and nobody is there.
const NOBODY: &str = "2d00::1";

#[tokio::test]
async fn no_spelling_of_an_internal_address_is_called() {
    let server = http(|_| ok("")).await;
    let port = server.address.port();
    let house = House::new(settings::<&str>(&[]), Names::new(&[]));
    let hosts = [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
        "127.0.0.1.",
        "0.0.0.0",
        "0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "10.0.0.1",
        "100.100.100.200",
    ];
    for host in hosts {
        let error = house.error_of(&format!("http://{host}:{port}/")).await;
        assert!(is_refused(&error), "{host}: {error}");
        assert!(error.to_string().contains("[egress] allow = [\""), "{host}: {error}");
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn the_line_in_the_refusal_opens_exactly_that_port() {
    let (server, neighbour) = (http(|_| ok("here")).await, http(|_| ok("")).await);
    let house = House::new(settings::<&str>(&[]), Names::new(&[]));
    let error = house.error_of(&server.url("/")).await.to_string();
    let line = error.split("allow = [\"").nth(1).unwrap().split('"').next().unwrap();

    let house = House::new(settings(&[line]), Names::new(&[]));
    let (result, _) = house.send(get(&server.url("/"), &connection(&server.url("")))).await;
    assert_eq!(result.unwrap().body, "here");
    assert!(is_refused(&house.error_of(&neighbour.url("/")).await));
    assert_eq!(neighbour.accepted(), 0);
}

#[tokio::test]
async fn a_name_is_no_better_than_what_it_resolves_to() {
    let server = http(|_| ok("")).await;
    let port = server.address.port();
    let names = Names::new(&[
        ("inside.test", &[&["127.0.0.1"]]),
        ("mapped.test", &[&["::ffff:127.0.0.1"]]),
        ("mixed.test", &[&[NOBODY, "127.0.0.1"]]),
        ("empty.test", &[&[]]),
    ]);
    let house = House::new(settings::<&str>(&[]), names);
    for name in ["inside.test", "mapped.test", "mixed.test", "INSIDE.TEST."] {
        let error = house.error_of(&format!("http://{name}:{port}/")).await;
        assert!(is_refused(&error), "{name}: {error}");
        assert!(!error.to_string().contains("127.0.0.1"), "a tenant learns no address: {error}");
    }
    for name in ["empty.test", "unknown.test"] {
        let error = house.error_of(&format!("http://{name}:{port}/")).await;
        assert!(
            matches!(&error, EgressError::Connect { reason, .. } if reason == "the name does not resolve")
        );
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_answer_gains_nothing() {
    let server = http(|_| ok("")).await;
    let url = format!("http://rebind.test:{}/", server.address.port());
    let names = Names::new(&[("rebind.test", &[&[NOBODY], &["127.0.0.1"]])]);
    let house = House::new(settings::<&str>(&[]), names.clone());
    let mut connection = connection(&url);
    connection.limits.connect_timeout_ms = 300;

    let error = house.send(get(&url, &connection)).await.0.unwrap_err();
    assert!(matches!(error, EgressError::Connect { .. }), "{error}");
    assert_eq!(
        names.asked.load(Ordering::SeqCst),
        1,
        "asked once, and never again for one connection"
    );
    let error = house.send(get(&url, &connection)).await.0.unwrap_err();
    assert!(is_refused(&error), "{error}");
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn an_operator_may_allow_a_name() {
    let server = http(|_| ok("here")).await;
    let port = server.address.port();
    let names = Names::new(&[("crm.internal", &[&["127.0.0.1"]])]);
    let house = House::new(settings(&[format!("crm.internal:{port}")]), names);
    let url = format!("http://crm.internal:{port}/");
    assert_eq!(house.send(get(&url, &connection(&url))).await.0.unwrap().body, "here");
    assert!(is_refused(&house.error_of(&server.url("/")).await), "the name, not its address");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_its_target_a_new_call() {
    let location = "http://169.254.169.254/latest/meta-data/?token=x";
    let server = http(move |_| {
        Response::builder().status(302).header("location", location).body("".into()).unwrap()
    })
    .await;
    let house = House::open_to(&[&server]);
    let base = connection(&server.url(""));
    let (result, record) = house.send(get(&server.url("/"), &base)).await;
    let answer = result.unwrap();
    assert_eq!((answer.status.as_u16(), server.seen().len()), (302, 1));
    assert_eq!(answer.headers["location"], location);
    let kept = record.response_headers.iter().find(|(name, _)| name == "location").unwrap();
    assert_eq!(kept.1, "http://169.254.169.254/latest/meta-data/?token=[redacted]");

    // The plugin follows by hand: refused by the connection, and by the guard where it is allowed.
    let error = house.send(get(location, &base)).await.0.unwrap_err().to_string();
    assert!(error.contains("\"allowed_hosts\": [\"169.254.169.254\"]"), "{error}");
    let open = Connection { allowed_hosts: vec!["169.254.169.254".to_owned()], ..base };
    let error = house.send(get(location, &open)).await.0.unwrap_err().to_string();
    assert!(error.contains("link-local") && error.contains("169.254.169.254:80"), "{error}");
}

#[tokio::test]
async fn without_a_connection_nothing_goes_out() {
    let server = http(|_| ok("")).await;
    let house = House::open_to(&[&server]);
    let mut call = get(&server.url("/"), &connection(&server.url("")));
    call.connection = None;
    let (result, record) = house.send(call).await;
    let error = result.unwrap_err();
    assert!(is_refused(&error) && error.to_string().contains("\"connection\""), "{error}");
    assert_eq!(record.error, Some(error.to_string()));
    assert_eq!(record.url, server.url("/"));

    let secret_only = Connection { base_url: None, ..connection("") };
    let error = house.send(get(&server.url("/"), &secret_only)).await.0.unwrap_err();
    assert!(is_refused(&error), "{error}");
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn internal_hosts_give_no_map_of_themselves() {
    let closed = closed_address().await;
    let house =
        House::new(settings(&[closed.to_string(), "gone.internal:80".to_owned()]), Names::new(&[]));
    let reasons =
        [format!("http://{closed}/"), "http://gone.internal/".to_owned()].map(async |url| {
            match house.error_of(&url).await {
                EgressError::Connect { reason, .. } => reason,
                other => panic!("{other}"),
            }
        });
    let [closed, gone] = reasons;
    assert_eq!(closed.await, gone.await);
}
