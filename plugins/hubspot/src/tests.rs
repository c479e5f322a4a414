//! Against requests and responses as HubSpot documents them.

use serde_json::{Value, json};
use tombolo_sdk::ErrorClass;
use tombolo_sdk::http::SendFailure;
use tombolo_sdk::testing::{Reply, Upstream};

use crate::plugin;

fn deal() -> Value {
    json!({
        "id": "123456789",
        "properties": {
            "amount": "12500.00", "dealname": "Ada Ltd", "dealstage": "closedwon",
            "hs_object_id": "123456789", "hubspot_owner_id": null
        },
        "createdAt": "2023-03-01T10:00:00.000Z",
        "updatedAt": "2023-03-15T13:20:00.000Z",
        "archived": false
    })
}

#[test]
fn twelve_operations_with_their_effects() {
    let descriptor = plugin().descriptor();
    let operations: Vec<String> = descriptor["operations"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| format!("{} {}", one["name"], one["effect"]).replace('"', ""))
        .collect();
    assert_eq!(
        operations,
        [
            "get-contact read",
            "search-contacts read",
            "create-contact unsafe",
            "update-contact keyed",
            "get-company read",
            "search-companies read",
            "create-company unsafe",
            "update-company keyed",
            "get-deal read",
            "search-deals read",
            "create-deal unsafe",
            "update-deal keyed",
        ]
    );
}

#[test]
fn a_deal_comes_flat_with_its_name_and_its_amount_as_a_number() {
    let session =
        Upstream::new().on("GET", "/crm/v3/objects/deals/123456789").respond(200, deal()).install();
    // Events carry the id as a number.
    let called = session.invoke(&plugin(), "get-deal", json!({"id": 123_456_789}));
    assert_eq!(
        called.expect("is there").output,
        json!({
            "id": "123456789", "name": "Ada Ltd", "amount": 12_500, "dealname": "Ada Ltd",
            "dealstage": "closedwon", "hs_object_id": "123456789", "hubspot_owner_id": null,
            "createdAt": "2023-03-01T10:00:00.000Z", "updatedAt": "2023-03-15T13:20:00.000Z",
            "archived": false
        })
    );
    assert_eq!(
        session.requests()[0].query,
        "properties=dealname%2Camount%2Cdeal_currency_code%2Cdealstage%2Cpipeline%2Cclosedate%2Chubspot_owner_id"
    );
}

#[test]
fn a_contact_is_found_by_its_address_and_has_a_name() {
    let contact = json!({"id": "1", "properties": {"firstname": "Ada", "lastname": "L", "email": "a@b.test"},
                         "createdAt": "x", "updatedAt": "y", "archived": false});
    let session = Upstream::new()
        .on("GET", "/crm/v3/objects/contacts/a%40b.test?idProperty=email&properties=email")
        .respond(200, contact)
        .install();
    let params = json!({"id": "a@b.test", "id_property": "email", "properties": ["email"]});
    let called = session.invoke(&plugin(), "get-contact", params).expect("is there");
    assert_eq!(called.output["name"], "Ada L");
}

/// Without an id the address is that of all deals.
#[test]
fn an_empty_id_is_refused_and_nothing_is_sent() {
    let session = Upstream::new().install();
    for (operation, params) in [
        ("get-deal", json!({"id": ""})),
        ("update-deal", json!({"id": "", "properties": {"amount": 1}})),
    ] {
        let error = session.invoke(&plugin(), operation, params).expect_err("has no id");
        assert_eq!((error.class, &*error.code), (ErrorClass::InvalidInput, "invalid-params"));
    }
    assert!(session.requests().is_empty());
}

#[test]
fn an_error_of_hubspot_is_told_in_its_words() {
    let body = json!({
        "status": "error", "message": "resource not found", "category": "OBJECT_NOT_FOUND",
        "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf"
    });
    let session = Upstream::new().on("GET", "/crm/v3/objects/deals/7").respond(404, body).install();
    let error =
        session.invoke(&plugin(), "get-deal", json!({"id": "7"})).expect_err("is not there");
    assert_eq!(error.class, ErrorClass::NotFound);
    assert_eq!(error.code, "deal-not-found");
    assert_eq!(error.message, "HubSpot (404): resource not found");
    assert_eq!(
        error.details.as_deref(),
        Some(&json!({
            "status": 404, "category": "OBJECT_NOT_FOUND", "errors": [],
            "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf"
        }))
    );
}

#[test]
fn a_rate_limit_says_how_long_to_wait() {
    let body = json!({"status": "error", "category": "RATE_LIMITS", "correlationId": "c",
                      "message": "You have reached your secondly limit."});
    let session = Upstream::new()
        .on("GET", "/crm/v3/objects/deals/7")
        .reply(Reply::json(429, &body).header("Retry-After", "2"))
        .install();
    let error = session.invoke(&plugin(), "get-deal", json!({"id": "7"})).expect_err("is limited");
    assert_eq!(error.class, ErrorClass::RateLimited);
    assert_eq!(error.code, "hubspot-rate-limits");
    assert_eq!(error.retry_after_ms, Some(2_000));
}

#[test]
fn a_page_of_a_proxy_is_told_as_it_is() {
    let session = Upstream::new()
        .on("GET", "/crm/v3/objects/deals/7")
        .reply(Reply::text(502, "<html>bad gateway</html>"))
        .install();
    let error = session.invoke(&plugin(), "get-deal", json!({"id": "7"})).expect_err("is down");
    assert_eq!((error.class, &*error.code), (ErrorClass::Transient, "http-502"));
}

#[test]
fn a_search_sends_filters_as_text_and_gives_the_next_page() {
    let page = json!({"total": 3, "results": [deal()], "paging": {"next": {"after": "1"}}});
    let session =
        Upstream::new().on("POST", "/crm/v3/objects/deals/search").respond(200, page).install();
    let params = json!({
        "filters": [{"property": "amount", "operator": "GTE", "value": 1000},
                    {"property": "dealstage", "operator": "IN", "values": ["closedwon"]}],
        "sorts": [{"property": "amount", "descending": true}],
        "properties": ["amount"], "limit": 1
    });
    let called = session.invoke(&plugin(), "search-deals", params).expect("finds");
    assert_eq!(called.output["total"], 3);
    assert_eq!(called.output["after"], "1");
    assert_eq!(called.output["results"][0]["amount"], 12_500);
    assert_eq!(
        session.requests()[0].json(),
        json!({
            "properties": ["amount"], "limit": 1,
            "sorts": [{"propertyName": "amount", "direction": "DESCENDING"}],
            "filterGroups": [{"filters": [
                {"propertyName": "amount", "operator": "GTE", "value": "1000"},
                {"propertyName": "dealstage", "operator": "IN", "values": ["closedwon"]}
            ]}]
        })
    );
}

#[test]
fn create_and_update_send_values_as_text() {
    let session = Upstream::new()
        .on("POST", "/crm/v3/objects/deals")
        .respond(201, deal())
        .on("PATCH", "/crm/v3/objects/deals/123456789")
        .respond(200, deal())
        .install();
    let plugin = plugin();
    let create = json!({"properties": {"dealname": "Ada Ltd", "amount": 12_500}});
    let called = session.invoke(&plugin, "create-deal", create).expect("creates");
    assert_eq!(called.output["id"], "123456789");
    let update = json!({"id": "123456789", "properties": {"closedate": null, "won": true}});
    session.invoke(&plugin, "update-deal", update).expect("updates");
    let requests = session.requests();
    assert_eq!(
        requests[0].json(),
        json!({"properties": {"dealname": "Ada Ltd", "amount": "12500"}})
    );
    assert_eq!(requests[1].json(), json!({"properties": {"closedate": "", "won": "true"}}));
}

#[test]
fn a_contact_that_exists_is_a_conflict() {
    let body = json!({"status": "error", "category": "CONFLICT", "correlationId": "c",
                      "message": "Contact already exists. Existing ID: 1"});
    let session =
        Upstream::new().on("POST", "/crm/v3/objects/contacts").respond(409, body).install();
    let error = session
        .invoke(&plugin(), "create-contact", json!({"properties": {"email": "a@b.test"}}))
        .expect_err("exists");
    assert_eq!((error.class, &*error.code), (ErrorClass::Conflict, "contact-exists"));
}

#[test]
fn a_create_whose_answer_is_lost_is_unknown() {
    let session = Upstream::new()
        .on("POST", "/crm/v3/objects/deals")
        .fail(SendFailure::AfterSend("connection closed".to_owned()))
        .install();
    let error =
        session.invoke(&plugin(), "create-deal", json!({"properties": {}})).expect_err("no answer");
    assert_eq!(error.class, ErrorClass::UnknownOutcome);
}
