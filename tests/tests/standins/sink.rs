//! The sink: answers, counts, finds what comes twice.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tombolo_tests::sink::{Recording, Sink, SinkCounts, SinkOptions};

use crate::client::{answer, client};

const LIMIT: Duration = Duration::from_secs(30);

async fn send(sink: &Sink, id: &Value, key: Option<&str>) {
    let mut request = client().post(format!("{}/anything/at/all", sink.origin()));
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    let (status, value) = answer(request.json(&json!({ "id": id, "name": "Ada" }))).await;
    assert_eq!((status, value), (StatusCode::OK, json!({ "ok": true })));
}

#[tokio::test]
async fn calls_ids_and_keys_are_counted() {
    let sink = Sink::start(SinkOptions::default()).unwrap();
    let calls =
        [(json!(1), Some("a")), (json!("1"), None), (json!(1), Some("a")), (json!(2), Some("b"))];
    for (id, key) in &calls {
        send(&sink, id, *key).await;
    }
    let no_json = client().post(sink.origin()).body("no JSON").send().await.unwrap();
    assert_eq!(no_json.status(), StatusCode::OK);
    let expected = SinkCounts {
        calls: 5,
        distinct_ids: 3,
        repeated_ids: 1,
        distinct_keys: 2,
        repeated_keys: 1,
        forgotten: 0,
    };
    assert_eq!(sink.wait_for(5, LIMIT).await.unwrap(), expected);

    let (_, counts) = answer(client().get(format!("{}/_control/counts", sink.origin()))).await;
    assert_eq!(serde_json::from_value::<SinkCounts>(counts).unwrap(), expected);
    answer(client().delete(format!("{}/_control", sink.origin()))).await;
    assert_eq!(sink.counts(), SinkCounts::default());
}

#[tokio::test]
async fn recording_can_be_less_or_more() {
    let plain = Sink::start(SinkOptions { recording: Recording::Count, ..SinkOptions::default() });
    let plain = plain.unwrap();
    let timed =
        Sink::start(SinkOptions { recording: Recording::Arrivals, ..SinkOptions::default() });
    let timed = timed.unwrap();
    for id in ["x", "y"] {
        send(&plain, &json!(id), None).await;
        send(&timed, &json!(id), None).await;
    }
    assert_eq!(plain.counts(), SinkCounts { calls: 2, ..SinkCounts::default() });
    assert!(plain.arrivals().is_empty());

    let arrivals = timed.arrivals();
    let ids: Vec<&str> = arrivals.iter().map(|arrival| &*arrival.id).collect();
    assert_eq!(ids, [r#""x""#, r#""y""#]);
    assert!(arrivals[0].at_unix_us <= arrivals[1].at_unix_us);
}

#[tokio::test]
async fn answers_can_be_late_without_waiting_for_each_other() {
    let delay = Duration::from_millis(500);
    let sink = Sink::start(SinkOptions { delay, ..SinkOptions::default() }).unwrap();
    let started = Instant::now();
    let ids: Vec<Value> = (0..40).map(Value::from).collect();
    futures_util::future::join_all(ids.iter().map(|id| send(&sink, id, None))).await;
    let took = started.elapsed();
    assert!(took >= delay, "{took:?}");
    assert!(took < delay * 10, "one after the other it would be {:?}, not {took:?}", delay * 40);
}

#[tokio::test]
async fn waiting_in_vain_says_what_came() {
    let sink = Sink::start(SinkOptions::default()).unwrap();
    send(&sink, &json!(1), None).await;
    let error = sink.wait_for(2, Duration::from_millis(50)).await.unwrap_err();
    assert!(error.to_string().contains("for 2 calls, and got 1"), "{error}");
}
