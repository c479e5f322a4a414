//! `/api/v1/connections`

use serde_json::{Value, json};
use tombolo_core::ports::egress::{Auth, Connection};
use tombolo_core::ports::vault::{SecretPlace, Vault};
use tombolo_core::secret::Sealed;

use crate::harness::{Call, Host, Reply};
use crate::runs::scene;

const PATH: &str = "/api/v1/connections/crm";
const SECRET: &str = "hunter2-very-secret";

async fn put(host: &Host, body: Value) -> Reply {
    host.call(Call::put(PATH, &body)).await
}

async fn stored(host: &Host) -> Connection {
    host.store.connection(host.tenant, "crm").await.unwrap().unwrap()
}

fn open(host: &Host, field: &str, sealed: &Sealed) -> String {
    let place = SecretPlace { tenant: host.tenant, connection: "crm", field };
    let secret = host.vault.open(place, sealed).unwrap();
    String::from_utf8(secret.reveal().to_vec()).unwrap()
}

#[tokio::test]
async fn a_connection_is_created_and_replaced_and_shows_no_secret() {
    let host = Host::start().await;
    let body = json!({
        "base_url": "https://api.crm.example/v1/",
        "auth": {"kind": "basic", "user": "bot", "password": SECRET},
        "signing_secret": format!("{SECRET}-signing"),
        "allowed_hosts": ["*.files.example"],
        "limits": {"total_timeout_ms": 1000},
    });
    let created = put(&host, body.clone()).await;
    let id = created.ok(201)["id"].clone();
    let expected = json!({
        "name": "crm", "id": id, "base_url": "https://api.crm.example/v1",
        "auth": {"kind": "basic", "user": "bot"},
        "has_signing_secret": true,
        "allowed_hosts": ["*.files.example"],
        "limits": {
            "connect_timeout_ms": 5000, "total_timeout_ms": 1000,
            "max_response_bytes": 16_777_216, "max_request_bytes": 16_777_216,
        },
        "updated_at": "2026-09-21T14:13:20.000Z", "paused": null,
    });
    assert_eq!(created.json, expected);
    assert_eq!(*put(&host, body).await.ok(200), expected);
    assert_eq!(*host.get(PATH).await.ok(200), expected);
    let list = host.get("/api/v1/connections").await;
    assert_eq!(list.ok(200)["items"], json!([expected]));
    assert!(!list.text.contains(SECRET));
    host.get("/api/v1/connections/none").await.problem(404, "connection-not-found");
}

#[tokio::test]
async fn each_secret_is_sealed_for_its_place() {
    let host = Host::start().await;
    let kinds = [
        (json!({"kind": "bearer", "token": SECRET}), "bearer"),
        (json!({"kind": "basic", "user": "u", "password": SECRET}), "password"),
        (json!({"kind": "header", "name": "X-Key", "value": SECRET}), "header"),
        (json!({"kind": "query", "name": "key", "value": SECRET}), "query"),
    ];
    for (auth, field) in kinds {
        let body = json!({"base_url": "https://a.example", "auth": auth, "signing_secret": "sign"});
        let reply = put(&host, body).await;
        assert!(reply.status.is_success(), "{}", reply.text);
        let connection = stored(&host).await;
        let (Auth::Bearer { token: sealed }
        | Auth::Basic { password: sealed, .. }
        | Auth::Header { value: sealed, .. }
        | Auth::Query { value: sealed, .. }) = &connection.auth
        else {
            panic!("{field}: no credentials")
        };
        assert!(!sealed.0.windows(SECRET.len()).any(|bytes| bytes == SECRET.as_bytes()));
        assert_eq!(open(&host, field, sealed), SECRET);
        assert_eq!(open(&host, "signing", connection.signing.as_ref().unwrap()), "sign");
    }
}

#[tokio::test]
async fn a_secret_that_is_left_out_stays_and_null_removes_it() {
    let host = Host::start().await;
    let auth = json!({"kind": "bearer", "token": SECRET});
    let body = json!({"base_url": "https://a.example/v1", "auth": auth, "signing_secret": "sign"});
    put(&host, body).await.ok(201);
    let before = stored(&host).await;
    put(&host, json!({"base_url": "https://a.example/v2"})).await.ok(200);
    let after = stored(&host).await;
    assert_eq!(
        (&after.id, &after.auth, &after.signing),
        (&before.id, &before.auth, &before.signing)
    );
    assert_eq!(after.base_url.as_deref(), Some("https://a.example/v2"));
    let body = json!({"base_url": "https://a.example/v2", "signing_secret": null});
    assert_eq!(put(&host, body).await.ok(200)["has_signing_secret"], false);
    assert_eq!(stored(&host).await.auth, before.auth);
}

#[tokio::test]
async fn a_limit_that_is_left_out_stays() {
    let host = Host::start().await;
    let limits = json!({"total_timeout_ms": 1000, "max_request_bytes": 5});
    put(&host, json!({"limits": limits})).await.ok(201);
    let kept = put(&host, json!({"limits": {"connect_timeout_ms": 7}})).await;
    let expected = json!({"connect_timeout_ms": 7, "total_timeout_ms": 1000,
        "max_response_bytes": 16_777_216, "max_request_bytes": 5});
    assert_eq!(kept.ok(200)["limits"], expected);
    assert_eq!(put(&host, json!({})).await.ok(200)["limits"], expected);
}

#[tokio::test]
async fn stored_credentials_never_move_to_another_origin() {
    let host = Host::start().await;
    let auth = json!({"kind": "bearer", "token": SECRET});
    put(&host, json!({"base_url": "https://a.example", "auth": auth})).await.ok(201);
    for moved in ["https://evil.example", "http://a.example", "https://a.example:8443"] {
        let refused = put(&host, json!({"base_url": moved})).await;
        assert_eq!(refused.problem(422, "credentials-required")["pointer"], "/auth");
    }
    put(&host, json!({})).await.problem(422, "credentials-required");
    assert_eq!(stored(&host).await.base_url.as_deref(), Some("https://a.example"));
    put(&host, json!({"base_url": "https://b.example", "auth": auth})).await.ok(200);
    put(&host, json!({"base_url": "https://c.example", "auth": {"kind": "none"}})).await.ok(200);
    put(&host, json!({"base_url": "https://d.example"})).await.ok(200);
}

#[tokio::test]
async fn a_wrong_form_is_refused_at_its_place_without_being_quoted() {
    let host = Host::start().await;
    let auth = |auth: Value| json!({"auth": auth});
    let cases = [
        (json!({"base_url": format!("https://u:{SECRET}@a.example")}), "/base_url"),
        (json!({"base_url": format!("https://a.example?k={SECRET}")}), "/base_url"),
        (json!({"base_url": "a.example"}), "/base_url"),
        (json!({"base-url": SECRET}), "/base-url"),
        (auth(json!(SECRET)), "/auth"),
        (auth(json!({"kind": SECRET})), "/auth/kind"),
        (auth(json!({"kind": "bearer", "tokn": SECRET})), "/auth"),
        (auth(json!({"kind": "bearer", "token": format!("{SECRET}\n")})), "/auth/token"),
        (auth(json!({"kind": "bearer", "token": ""})), "/auth/token"),
        (auth(json!({"kind": "basic", "user": "a:b", "password": SECRET})), "/auth/user"),
        (auth(json!({"kind": "header", "name": "a b", "value": SECRET})), "/auth/name"),
        (auth(json!({"kind": "header", "name": "Host", "value": SECRET})), "/auth/name"),
        (json!({"signing_secret": ""}), "/signing_secret"),
        (json!({"allowed_hosts": ["a.example", "https://b"]}), "/allowed_hosts/1"),
        (json!({"limits": {"total_timeout_ms": 0}}), "/limits/total_timeout_ms"),
        (json!({"limits": {"max_response_bytes": u64::MAX}}), "/limits/max_response_bytes"),
        (json!({"limits": {"timeout": 1}}), "/limits/timeout"),
        (json!([]), ""),
    ];
    for (body, pointer) in cases {
        let refused = put(&host, body.clone()).await;
        assert_eq!(
            refused.problem(422, "invalid-body")["pointer"],
            pointer,
            "{body}: {}",
            refused.text
        );
        assert!(!refused.text.contains(SECRET), "{}", refused.text);
    }
    for name in ["CRM", "crm_eu", "-crm", "crm-", "1crm", &"a".repeat(101)] {
        let path = format!("/api/v1/connections/{name}");
        host.call(Call::put(&path, &json!({}))).await.problem(422, "invalid-body");
    }
    assert_eq!(host.get("/api/v1/connections").await.json["items"], json!([]));
}

#[tokio::test]
async fn a_pause_is_shown_and_ended_with_a_word_on_record() {
    let host = scene::host().await;
    put(&host, json!({"base_url": "https://api.crm.example"})).await.ok(201);
    scene::started(&host).await;
    scene::pause(&host, "crm").await;
    let paused = host.get(PATH).await;
    let expected = json!({"at": "2026-09-21T14:13:20.000Z", "reason": "401 Unauthorized"});
    assert_eq!(paused.ok(200)["paused"], expected);

    let resume = Call::new("POST", &format!("{PATH}/resume")).json(&json!({"reason": "mended"}));
    assert_eq!(*host.call(resume).await.ok(200), json!({"connection": "crm", "runs": 1}));
    assert_eq!(host.get(PATH).await.ok(200)["paused"], json!(null));
    let audit = host.get("/api/v1/audit").await;
    let entry = &audit.ok(200)["items"][0];
    assert_eq!(entry["action"], "connection-resumed");
    assert_eq!(
        (&entry["subject"], &entry["detail"]),
        (&json!("connections/crm"), &json!({"reason": "mended"}))
    );

    let again = Call::new("POST", &format!("{PATH}/resume"));
    assert_eq!(host.call(again).await.ok(200)["runs"], 0, "without a body");
    let none = Call::new("POST", "/api/v1/connections/none/resume");
    host.call(none).await.problem(404, "connection-not-found");
}
