//! Alive and ready.

use std::time::Duration;

use tombolo_api::{AccessSettings, Settings};

use crate::harness::{Call, Host, sqlite};

#[tokio::test]
async fn ready_says_which_part_fails_and_recovers() {
    let (store, folder) = sqlite().await;
    let (settings, access) = (Settings::default(), AccessSettings::default());
    let host = Host::on(store.clone(), Box::new(folder), settings, access).await;
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
