//! Wrong triggers, lists, retries, waits and limits, and what is said of them.

use serde_json::{Value, json};

use super::{issues, with};

/// Pointers and codes of what is wrong.
fn found(file: Value) -> Vec<(String, String)> {
    issues(file).into_iter().map(|issue| (issue.pointer, issue.code)).collect()
}

#[test]
fn a_trigger_is_of_one_kind() {
    let none = found(with("/triggers/other", json!({})));
    assert_eq!(none, [("/triggers/other".into(), "no-trigger-kind".into())]);
    let both = json!({"event": {"name": "deal.won.v1"}, "failure": {}});
    let two = found(with("/triggers/other", both));
    assert_eq!(two, [("/triggers/other".into(), "no-trigger-kind".into())]);
    let event = json!({"event": {"name": "deal.won.v1"}});
    assert_eq!(found(with("/triggers/other", event)), []);
    let unversioned = json!({"event": {"name": "deal.won"}});
    let all = found(with("/triggers/other", unversioned));
    assert_eq!(all[0].0, "/triggers/other/event/name");
}

#[test]
fn a_list_is_an_expression_and_only_its_node_has_items() {
    let each = |items: &str| {
        with(
            "/nodes/note",
            json!({"use": "set", "after": ["deal"], "each": {"items": items},
                                   "with": {"text": "${ .item.name } of ${ .index }"}}),
        )
    };
    assert_eq!(found(each("${ .steps.deal.lines }")), []);
    let all = found(each("[1, 2]"));
    assert_eq!(all, [("/nodes/note/each/items".into(), "not-an-expression".into())]);
    let all = found(each("${ .steps.tier.lines }"));
    assert_eq!(all, [("/nodes/note/each/items".into(), "not-upstream".into())]);
    let outside = with("/nodes/note/with/text", json!("${ .item.name }"));
    let all = found(outside);
    assert_eq!(all, [("/nodes/note/with/text".into(), "item-outside-each".into())]);
    let respond = json!({"use": "respond", "each": {"items": "${ .trigger.list }"}});
    let all = found(with("/nodes/note", respond));
    assert_eq!(all, [("/nodes/note/each".into(), "not-per-item".into())]);
}

#[test]
fn an_unsafe_effect_is_never_repeated_blindly() {
    let node = |effect: &str| {
        json!({"use": "hubspot.create-deal", "connection": "hubspot", "effect": effect,
               "retry": {"on": {"unknown-outcome": "retry"}, "if": "${ .error.class == \"conflict\" }"}})
    };
    let pointer = "/nodes/note/retry/on/unknown-outcome";
    let all = found(with("/nodes/note", node("unsafe")));
    assert_eq!(all, [(pointer.into(), "blind-retry".into())]);
    assert_eq!(found(with("/nodes/note", node("keyed"))), []);
}

#[test]
fn the_time_for_attempts_is_a_length_of_time() {
    let within = |within: &str| {
        with(
            "/nodes/note",
            json!({"use": "hubspot.create-deal", "connection": "hubspot",
                   "retry": {"within": within}}),
        )
    };
    assert_eq!(found(within("1h")), []);
    let all = found(within("0s"));
    assert_eq!(all, [("/nodes/note/retry/within".into(), "too-short".into())]);
    assert_eq!(found(within("soon"))[0].0, "/nodes/note/retry/within");
}

#[test]
fn a_wait_is_read_where_it_is_written_out() {
    let wait = |with_: Value| with("/nodes/note", json!({"use": "wait", "with": with_}));
    assert_eq!(found(wait(json!({"for": "2h"}))), []);
    assert_eq!(found(wait(json!({"until": "${ .trigger.at }"}))), []);
    let zone = json!({"until": "2026-12-24T18:00", "time_zone": "Europe/Nowhere"});
    assert_eq!(found(wait(zone))[0].0, "/nodes/note/with/time_zone");
    assert_eq!(found(wait(json!({"for": "2h", "until": 1}))).len(), 1);
}

#[test]
fn built_ins_that_decide_have_ports() {
    let mut file = with("/nodes/ask", json!({"use": "approval", "with": {"title": "Pay?"}}));
    file["nodes"]["pay"] = json!({"use": "set", "after": ["ask.approved"]});
    assert_eq!(found(file.clone()), []);
    file["nodes"]["pay"]["after"] = json!(["ask.aproved"]);
    assert_eq!(found(file.clone()), [("/nodes/pay/after/0".into(), "unknown-port".into())]);
    file["nodes"]["pay"]["after"] = json!(["ask.conflict"]);
    assert_eq!(found(file.clone()), []);
}

#[test]
fn limits_say_what_is_wrong_with_them() {
    let limits = json!({
        "concurrency": [{"runs": 3}, {"runs": 1, "key": "${ .trigger.customer }"}],
        "order": {"key": "${ .trigger.id }", "parked": "skip"},
        "priority": "${ if .trigger.vip then \"high\" else \"low\" end }",
    });
    assert_eq!(found(with("/limits", limits)), []);
    let all = found(with("/limits", json!({"priority": "urgent"})));
    assert_eq!(all, [("/limits/priority".into(), "bad-priority".into())]);
    let all = found(with("/limits", json!({"throttle": {"runs": 1, "per": "0s"}})));
    assert_eq!(all, [("/limits/throttle/per".into(), "too-short".into())]);
    let all = found(with("/limits", json!({"debounce": {"wait": "2d"}})));
    assert_eq!(all, [("/limits".into(), "too-long".into())]);
}

#[test]
fn events_have_names_and_schemas() {
    let good = json!({"deal.won.v1": {"type": "object", "required": ["id"]}});
    assert_eq!(found(with("/events", good)), []);
    let bad = json!({"deal.won": {}, "deal.lost.v1": {"type": "objekt"}});
    let all = found(with("/events", bad));
    let codes: Vec<&str> = all.iter().map(|(_, code)| code.as_str()).collect();
    assert_eq!(codes, ["bad-event-name", "bad-schema"]);
}
