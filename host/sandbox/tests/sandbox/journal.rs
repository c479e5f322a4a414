//! What an attempt that failed leaves for the next one: the answers of calls that are not to be made
//! again.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tombolo_core::effect::Effect;
use tombolo_core::error::ErrorClass;
use tombolo_core::id::ContentHash;
use tombolo_core::ports::sandbox::Invoked;

use crate::support::outside::response;
use crate::support::{Call, Lab, settings};

fn post(path: &str, body: &str) -> Value {
    json!({ "method": "POST", "path": path, "body": body })
}

fn calls(caller: ContentHash, requests: &[Value]) -> Call {
    Call::new(caller, "calls", json!({ "requests": requests })).effect(Effect::Unsafe)
}

/// The third call fails.
fn failing_at_the_third(lab: &Lab) {
    lab.outside.answers(|call| match call.uri.path() {
        "/third" => response(503, "later"),
        path => response(200, path.to_owned()),
    });
}

/// Paths that were called.
fn paths(lab: &Lab) -> Vec<String> {
    lab.outside.calls().iter().map(|call| call.uri.path().to_owned()).collect()
}

fn three() -> Vec<Value> {
    let get = json!({ "path": "/look" });
    vec![post("/first", "1"), get, post("/second", "2"), post("/third", "3")]
}

async fn failed(lab: &Lab, caller: ContentHash) -> Invoked {
    failing_at_the_third(lab);
    let invoked = lab.run(calls(caller, &three())).await;
    assert_eq!(invoked.result.as_ref().unwrap_err().class, ErrorClass::Transient);
    invoked
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_call_that_failed_is_made_again() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    let first = failed(&lab, caller).await;
    let failed: Vec<_> = first.journal.iter().map(|entry| (entry.place, entry.failed())).collect();
    assert_eq!(failed, [(0, false), (1, false), (2, true)]);

    lab.outside.answers(|call| response(200, format!("again {}", call.uri.path())));
    let second = lab.run(calls(caller, &three()).journal(&first.journal)).await;
    assert_eq!(
        *second.result.unwrap().output.value(),
        json!(["/first", "again /look", "/second", "again /third"])
    );
    let all = ["/first", "/look", "/second", "/third", "/look", "/third"];
    assert_eq!(paths(&lab), all);
    let from_journal: Vec<bool> = second.calls.iter().map(|call| call.from_journal).collect();
    assert_eq!(from_journal, [true, false, true, false]);
    assert_eq!(second.calls[0].status, Some(200));
    let places: Vec<_> = lab.outside.calls().iter().map(|call| call.change).collect();
    assert_eq!(places, [Some(0), None, Some(1), Some(2), None, Some(2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_request_at_the_same_place_is_an_error_of_its_own() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    let first = failed(&lab, caller).await;
    let sent = lab.outside.calls().len();
    let changed = [post("/first", "another"), post("/second", "2")];
    let error = lab.error(calls(caller, &changed).journal(&first.journal)).await;
    assert_eq!((error.code.as_str(), error.class), ("journal-mismatch", ErrorClass::Permanent));
    assert!(error.message.contains("call 0"), "{}", error.message);
    assert_eq!(lab.outside.calls().len(), sent, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_failed_on_the_way_does_not_shift_the_ones_after_it() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    let (update, create, link) = (post("/update", ""), post("/create", ""), post("/link", ""));
    lab.outside.answers(|call| match call.uri.path() {
        "/update" => response(404, ""),
        "/create" => response(201, "created"),
        _ => response(503, ""),
    });
    let first = lab.run(calls(caller, &[update.clone(), create, link.clone()])).await;
    lab.outside.answers(|_| response(200, "now"));
    let second = lab.run(calls(caller, &[update, link]).journal(&first.journal)).await;
    assert_eq!(*second.result.unwrap().output.value(), json!(["now", "now"]));
    assert_eq!(paths(&lab), ["/update", "/create", "/link", "/update", "/link"]);
    let places: Vec<_> = lab.outside.calls().iter().map(|call| call.change).collect();
    assert_eq!(places, [Some(0), Some(1), Some(2), Some(0), Some(2)], "each under its own key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_the_plugin_tried_again_itself_is_not_made_a_third_time() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    let seen = AtomicU32::new(0);
    lab.outside.answers(move |call| match call.uri.path() {
        "/create" if seen.fetch_add(1, Ordering::Relaxed) == 0 => response(429, "slow down"),
        "/create" => response(201, "created"),
        _ => response(503, ""),
    });
    let (create, link) = (post("/create", ""), post("/link", ""));
    let first = lab.run(calls(caller, &[create.clone(), create.clone(), link.clone()])).await;
    let places: Vec<_> = lab.outside.calls().iter().map(|call| call.change).collect();
    assert_eq!(places, [Some(0), Some(0), Some(1)], "again under the same key");
    lab.outside.answers(|_| response(200, "now"));
    let second = lab.run(calls(caller, &[create, link]).journal(&first.journal)).await;
    assert_eq!(*second.result.unwrap().output.value(), json!(["created", "now"]));
    assert_eq!(paths(&lab), ["/create", "/create", "/link", "/link"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_reads_is_called_again() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    failing_at_the_third(&lab);
    let invoked = lab.run(calls(caller, &three()).effect(Effect::Read)).await;
    invoked.result.unwrap_err();
    assert_eq!(invoked.journal, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_too_large_to_be_kept_is_not_asked_for_twice() {
    let mut settings = settings();
    settings.http.journal_bytes = 3;
    let lab = Lab::new(settings);
    let caller = lab.install("guest_caller").await;
    let first = failed(&lab, caller).await;
    let sent = lab.outside.calls().len();
    let error = lab.error(calls(caller, &three()).journal(&first.journal)).await;
    assert_eq!((error.code.as_str(), error.class), ("journal-limit", ErrorClass::Permanent));
    assert!(error.message.contains("http.journal_bytes = 3"), "{}", error.message);
    assert_eq!(lab.outside.calls().len(), sent, "nothing was sent");
}
