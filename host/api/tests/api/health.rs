//! Alive and ready.

use std::time::Duration;

use crate::harness::{Call, Host, Setup, sqlite};

#[tokio::test]
async fn ready_says_which_part_fails_and_recovers() {
    let (store, folder) = sqlite().await;
    let host = Host::on(store.clone(), Box::new(folder), Setup::default()).await;
    let ready = async || host.send(Call::new("GET", "/readyz")).await;
    assert_eq!(ready().await.ok(200)["status"], "ready");
    *host.sandbox.broken.lock().unwrap() = true;
    assert_eq!(ready().await.ok(200)["status"], "ready", "a check holds for a second");
    host.clock.advance(Duration::from_secs(1));
    assert_eq!(ready().await.problem(503, "not-ready")["part"], "sandbox");
    *host.sandbox.broken.lock().unwrap() = false;
    host.clock.advance(Duration::from_secs(1));
    ready().await.ok(200);
    store.close().await;
    host.clock.advance(Duration::from_secs(1));
    assert_eq!(ready().await.problem(503, "not-ready")["part"], "store");
    host.send(Call::new("GET", "/healthz")).await.ok(200);
}
