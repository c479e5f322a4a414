//! `GET /api/v1/dead-letters/{run}/{node}/{item}`

use serde_json::json;
use tombolo_core::run::StepState;

use crate::runs::scene::{failed, host, timeout};

#[tokio::test]
async fn a_letter_is_shown_with_its_step() {
    let host = host().await;
    let dead = |item| ("each", item, StepState::Dead, timeout());
    let run = failed(&host, &[dead(1), dead(2), dead(7)]).await;
    for item in [1, 2, 7] {
        let shown = host.get(&format!("/api/v1/dead-letters/{run}/each/{item}")).await;
        let body = shown.ok(200);
        assert_eq!((&body["item"], &body["workflow"]), (&json!(item), &json!("flow")));
        assert_eq!(body["error"]["code"], "timed-out");
        assert_eq!((&body["step"]["item"], &body["step"]["attempt"]), (&json!(item), &json!(1)));
        assert_eq!(
            (&body["step"]["input"], &body["step"]["calls"]),
            (&json!({"id": 7}), &json!([]))
        );
    }
    for path in ["each/0", "each/3", "each/8", "other/1"] {
        let none = host.get(&format!("/api/v1/dead-letters/{run}/{path}")).await;
        none.problem(404, "dead-letter-not-found");
    }
    let none = format!("/api/v1/dead-letters/run_{}/each/1", "0".repeat(32));
    host.get(&none).await.problem(404, "dead-letter-not-found");
    host.get(&format!("/api/v1/dead-letters/{run}/each/x")).await.problem(400, "invalid-id");
}
