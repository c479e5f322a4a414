//! HubSpot: objects, search, errors.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tombolo_tests::hubspot::{
    self, HubSpot, ObjectType, SEED_COMPANY_ID, SEED_CONTACT_ID, SEED_DEAL_ID, TOKEN,
};
use tombolo_tests::{Misbehaviour, Standin};

use crate::client::{Caller, answer, client};

async fn start() -> (Standin<HubSpot>, Caller) {
    let standin = hubspot::start().await.unwrap();
    let caller = Caller::new(standin.base_url(), TOKEN);
    (standin, caller)
}

fn ids(found: &Value) -> Vec<&str> {
    found["results"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_deal_is_read_with_the_properties_asked_for() {
    let (standin, hubspot) = start().await;
    let path = format!("/deals/{SEED_DEAL_ID}?properties=dealname,amount,dealtype,nonsense");
    let (status, deal) = hubspot.get(&path).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(deal["id"], "123456789");
    assert_eq!(deal["archived"], false);
    assert!(deal["createdAt"].as_str().unwrap().ends_with('Z'));
    let properties = deal["properties"].as_object().unwrap();
    assert_eq!(properties["dealname"], "Acme Corp – Annual Plan");
    assert_eq!(properties["amount"], "12500.00");
    assert_eq!(properties["hs_object_id"], "123456789");
    assert_eq!(properties["dealtype"], Value::Null);
    assert!(!properties.contains_key("nonsense"));
    assert!(!properties.contains_key("dealstage"), "it was not asked for");

    let (_, by_default) = hubspot.get(&format!("/deals/{SEED_DEAL_ID}")).await;
    assert_eq!(by_default["properties"]["dealstage"], "closedwon");
    assert_eq!(standin.count("GET", "/deals"), 2);
    assert_eq!(standin.count("GET", "/crm/v3/objects/deals/123456789"), 2);
    assert_eq!(standin.performed(), 0);
}

#[tokio::test]
async fn associations_come_when_asked_for() {
    let (_standin, hubspot) = start().await;
    let path = format!("/deals/{SEED_DEAL_ID}?associations=companies,contacts");
    let (_, deal) = hubspot.get(&path).await;
    let company =
        json!({ "results": [{ "id": SEED_COMPANY_ID.to_string(), "type": "deal_to_company" }] });
    assert_eq!(deal["associations"]["companies"], company);
    let contact = &deal["associations"]["contacts"]["results"][0];
    assert_eq!(contact["id"], SEED_CONTACT_ID.to_string());
}

#[tokio::test]
async fn objects_are_created_and_updated() {
    let (standin, hubspot) = start().await;
    let (status, created) = hubspot
        .post(
            "/deals",
            &json!({
                "properties": { "dealname": "New", "amount": 99.5 },
                "associations": [{
                    "to": { "id": SEED_CONTACT_ID.to_string() },
                    "types": [{ "associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 3 }],
                }],
            }),
        )
        .await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(created["properties"]["amount"], "99.5", "values are text");
    let id = created["id"].as_str().unwrap();

    let path = format!("/deals/{id}");
    let change = json!({ "properties": { "dealstage": "closedlost", "amount": "" } });
    let (status, updated) = hubspot.patch(&path, &change).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(updated["properties"]["dealstage"], "closedlost");

    let (_, read) =
        hubspot.get(&format!("{path}?properties=dealname,amount&associations=contacts")).await;
    assert_eq!(read["properties"]["dealname"], "New");
    assert_eq!(read["properties"]["amount"], Value::Null, "an empty value takes it away");
    assert_eq!(read["associations"]["contacts"]["results"][0]["type"], "deal_to_contact");
    assert_eq!(standin.performed(), 2);
    let stage = standin.provider().property(ObjectType::Deals, id.parse().unwrap(), "dealstage");
    assert_eq!(stage.as_deref(), Some("closedlost"));
}

#[tokio::test]
async fn two_contacts_cannot_have_one_address() {
    let (_standin, hubspot) = start().await;
    let taken = json!({ "properties": { "email": "Ada.Lovelace@acme.example" } });
    let (status, refused) = hubspot.post("/contacts", &taken).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(refused["category"], "CONFLICT");
    let message = format!("Contact already exists. Existing ID: {SEED_CONTACT_ID}");
    assert_eq!(refused["message"], message);

    let own = format!("/contacts/{SEED_CONTACT_ID}");
    let (status, _) = hubspot.patch(&own, &taken).await;
    assert_eq!(status, StatusCode::OK, "it is the contact's own address");
    let (status, contact) =
        hubspot.get("/contacts/ada.lovelace@acme.example?idProperty=email").await;
    assert_eq!((status, &contact["id"]), (StatusCode::OK, &SEED_CONTACT_ID.to_string().into()));
}

#[tokio::test]
async fn errors_have_the_documented_shape() {
    let (standin, hubspot) = start().await;
    let (status, error) = hubspot.get("/deals/1").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(error["status"], "error");
    assert_eq!(error["message"], "resource not found");
    assert_eq!(error["category"], "OBJECT_NOT_FOUND");
    assert_eq!(error["correlationId"].as_str().unwrap().len(), 36);

    let path = format!("{}/deals/{SEED_DEAL_ID}", standin.base_url());
    for request in [client().get(&path), client().get(&path).bearer_auth("wrong")] {
        let (status, error) = answer(request).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(error["category"], "INVALID_AUTHENTICATION");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with("Authentication credentials not found"), "{message}");
    }

    let bad_values = json!({ "properties": { "colour": "red", "amount": "much" } });
    let (status, error) = hubspot.post("/deals", &bad_values).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(error["category"], "VALIDATION_ERROR");
    let message = error["message"].as_str().unwrap();
    for part in ["PROPERTY_DOESNT_EXIST", "colour", "much was not a valid number"] {
        assert!(message.contains(part), "{message}");
    }

    let broken = hubspot.request(Method::POST, "/deals").body("{");
    let (status, error) = answer(broken).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(error["message"].as_str().unwrap().starts_with("Invalid input JSON on line 1"));

    let (status, error) = hubspot.get("/planets/1").await;
    assert_eq!((status, &error["category"]), (StatusCode::BAD_REQUEST, &"VALIDATION_ERROR".into()));

    standin.misbehave(Misbehaviour::RateLimit { retry_after_s: 7 });
    let response = hubspot.request(Method::GET, "/deals/1").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "7");
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["policyName"], "TEN_SECONDLY_ROLLING");
    assert_eq!(error["category"], "RATE_LIMITS");
    assert_eq!(standin.performed(), 0);
}

fn filter(name: &str, operator: &str, value: &str) -> Value {
    json!({ "propertyName": name, "operator": operator, "value": value })
}

fn any_of(groups: &[Value]) -> Value {
    let groups: Vec<Value> = groups.iter().map(|filters| json!({ "filters": filters })).collect();
    json!({ "filterGroups": groups })
}

async fn three_more_deals(standin: &Standin<HubSpot>) {
    let deals = [(11, "Beta Works", "900"), (12, "Gamma Plan", "20000"), (13, "Delta", "1000.5")];
    for (id, name, amount) in deals {
        let properties = [("dealname", name), ("amount", amount), ("dealstage", "qualified")];
        standin.provider().insert(ObjectType::Deals, id, &properties);
    }
    standin.provider().insert(ObjectType::Deals, 14, &[("dealname", "No amount")]);
}

#[tokio::test]
async fn search_filters() {
    let (standin, hubspot) = start().await;
    three_more_deals(&standin).await;
    let by_group = |filters: Value| any_of(&[filters]);
    let cases = [
        (by_group(json!([filter("dealstage", "EQ", "CLOSEDWON")])), vec!["123456789"]),
        (by_group(json!([filter("dealstage", "NEQ", "qualified")])), vec!["14", "123456789"]),
        (by_group(json!([filter("amount", "GT", "1000.5")])), vec!["12", "123456789"]),
        (by_group(json!([filter("amount", "GTE", "1000.5")])), vec!["12", "13", "123456789"]),
        (by_group(json!([filter("amount", "LT", "1000")])), vec!["11"]),
        (by_group(json!([filter("dealname", "CONTAINS_TOKEN", "plan")])), vec!["12", "123456789"]),
        (
            by_group(json!([{ "propertyName": "amount", "operator": "HAS_PROPERTY" }])),
            vec!["11", "12", "13", "123456789"],
        ),
        (
            by_group(json!([{ "propertyName": "amount", "operator": "NOT_HAS_PROPERTY" }])),
            vec!["14"],
        ),
        (
            by_group(
                json!([{ "propertyName": "amount", "operator": "BETWEEN", "value": "900", "highValue": 1001 }]),
            ),
            vec!["11", "13"],
        ),
        (
            by_group(
                json!([{ "propertyName": "dealname", "operator": "IN", "values": ["delta", "beta works"] }]),
            ),
            vec!["11", "13"],
        ),
        (
            by_group(json!([
                filter("dealname", "CONTAINS_TOKEN", "plan"),
                filter("amount", "GT", "15000")
            ])),
            vec!["12"],
        ),
        (
            any_of(&[
                json!([filter("dealname", "EQ", "Delta")]),
                json!([filter("amount", "GT", "15000")]),
            ]),
            vec!["12", "13"],
        ),
        (json!({ "query": "annual" }), vec!["123456789"]),
    ];
    for (request, expected) in cases {
        let (status, found) = hubspot.post("/deals/search", &request).await;
        assert_eq!(status, StatusCode::OK, "{request}");
        assert_eq!(ids(&found), expected, "{request}");
        assert_eq!(found["total"], expected.len(), "{request}");
    }
    assert_eq!(standin.performed(), 0, "a search changes nothing");
}

#[tokio::test]
async fn search_sorts_and_pages() {
    let (standin, hubspot) = start().await;
    three_more_deals(&standin).await;
    let mut request = json!({
        "sorts": [{ "propertyName": "amount", "direction": "DESCENDING" }],
        "filterGroups": [{ "filters": [{ "propertyName": "amount", "operator": "HAS_PROPERTY" }] }],
        "properties": ["amount"],
        "limit": 3,
    });
    let (_, first) = hubspot.post("/deals/search", &request).await;
    assert_eq!(ids(&first), ["12", "123456789", "13"]);
    assert_eq!(first["total"], 4);
    assert_eq!(first["results"][0]["properties"]["amount"], "20000");

    request["after"] = first["paging"]["next"]["after"].clone();
    let (_, second) = hubspot.post("/deals/search", &request).await;
    assert_eq!(ids(&second), ["11"]);
    assert_eq!(second.get("paging"), None, "it is the last page");
}

#[tokio::test]
async fn search_refuses_what_hubspot_refuses() {
    let (_standin, hubspot) = start().await;
    let group = json!({ "filters": [filter("amount", "EQ", "1")] });
    let seven: Vec<Value> = vec![filter("amount", "EQ", "1"); 7];
    let refused = [
        json!({ "filterGroups": vec![group; 6] }),
        json!({ "filterGroups": [{ "filters": seven }] }),
        json!({ "limit": 201 }),
        json!({ "after": "9999" }),
        json!({ "after": "next" }),
        any_of(&[json!([filter("colour", "EQ", "red")])]),
        any_of(&[json!([filter("amount", "LIKE", "1")])]),
        any_of(&[json!([{ "propertyName": "amount", "operator": "EQ" }])]),
        json!({ "sorts": ["-colour"] }),
    ];
    for request in refused {
        let (status, error) = hubspot.post("/deals/search", &request).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{request}");
        assert_eq!(error["category"], "VALIDATION_ERROR", "{request}");
    }
}

#[tokio::test]
async fn custom_properties_are_known_once_defined() {
    let (standin, hubspot) = start().await;
    let values = json!({ "properties": { "run": "run_1" } });
    let path = format!("/deals/{SEED_DEAL_ID}");
    assert_eq!(hubspot.patch(&path, &values).await.0, StatusCode::BAD_REQUEST);
    standin.provider().define_property(ObjectType::Deals, "run");
    assert_eq!(hubspot.patch(&path, &values).await.0, StatusCode::OK);
}
