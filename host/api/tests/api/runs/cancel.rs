//! `POST /api/v1/runs/{id}/cancel`

use super::scene::{host, started, succeed};
use crate::harness::{Call, Host, Reply};

async fn cancel(host: &Host, run: &str) -> Reply {
    host.call(Call::new("POST", &format!("/api/v1/runs/{run}/cancel"))).await
}

#[tokio::test]
async fn a_run_that_goes_on_is_asked_to_end() {
    let host = host().await;
    let run = started(&host).await.to_string();
    let reply = cancel(&host, &run).await;
    assert_eq!(reply.ok(202)["state"], "queued");
    assert_eq!(host.get(&format!("/api/v1/runs/{run}")).await.ok(200)["cancel_requested"], true);
    cancel(&host, &run).await.ok(202);
}

#[tokio::test]
async fn a_run_that_ended_or_never_was_cannot_be() {
    let host = host().await;
    let run = started(&host).await.to_string();
    succeed(&host).await;
    assert_eq!(cancel(&host, &run).await.problem(409, "run-ended")["state"], "succeeded");
    let unknown = format!("run_{}", "0".repeat(32));
    cancel(&host, &unknown).await.problem(404, "run-not-found");
}
