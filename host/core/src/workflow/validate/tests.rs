//! Wrong files and what is said of them.

use serde_json::{Value, json};

use super::*;
use crate::descriptor::Operation;
use crate::effect::World;

mod durability;

struct Catalog {
    descriptors: Vec<Descriptor>,
}

fn operation(name: &str, effect: Effect, connection: bool, params: Value) -> Operation {
    Operation {
        name: name.into(),
        summary: String::new(),
        effect,
        params,
        output: json!({}),
        ports: Vec::new(),
        dynamic_ports: Vec::new(),
        connection,
        errors: Vec::new(),
    }
}

fn descriptor(name: &str, world: World, operations: Vec<Operation>) -> Descriptor {
    Descriptor {
        contract: "1.0".into(),
        name: name.into(),
        version: "0.1.0".into(),
        summary: String::new(),
        world,
        reuse: false,
        hosts: Vec::new(),
        connections: Vec::new(),
        operations,
    }
}

fn catalog() -> Catalog {
    let get = operation(
        "get-deal",
        Effect::Read,
        true,
        json!({"type": "object", "required": ["id"], "additionalProperties": false,
               "properties": {"id": {"type": "string"}, "limit": {"type": "integer"}}}),
    );
    let mut switch = operation("switch", Effect::Pure, false, json!({"type": "object"}));
    switch.dynamic_ports = vec!["/ports".into(), "/else".into()];
    Catalog {
        descriptors: vec![
            descriptor(
                "hubspot",
                World::Connector,
                vec![get, operation("create-deal", Effect::Unsafe, true, json!({}))],
            ),
            descriptor("switch", World::Transform, vec![switch]),
        ],
    }
}

impl CatalogView for Catalog {
    fn plugin(&self, name: &str) -> Option<(ContentHash, &Descriptor)> {
        let found = self.descriptors.iter().find(|descriptor| descriptor.name == name)?;
        Some((ContentHash::of(name.as_bytes()), found))
    }
    fn plugin_names(&self) -> Vec<&str> {
        self.descriptors.iter().map(|descriptor| descriptor.name.as_str()).collect()
    }
    fn has_connection(&self, name: &str) -> bool {
        ["hubspot", "hubspot-app"].contains(&name)
    }
    fn has_signing_secret(&self, name: &str) -> bool {
        name == "hubspot-app"
    }
    fn connection_names(&self) -> Vec<&str> {
        vec!["hubspot", "hubspot-app"]
    }
    fn has_preset(&self, name: &str) -> bool {
        name == "hubspot-v3"
    }
    fn preset_names(&self) -> Vec<&str> {
        vec!["hubspot-v3"]
    }
}

/// The workflow of the integration guide.
fn guide() -> Value {
    json!({
        "name": "deal-won",
        "triggers": {"deal_changed": {"webhook": {
            "path": "hubspot/deals",
            "verify": {"preset": "hubspot-v3", "secrets": ["hubspot-app"]},
            "split": "${ .body }", "dedupe": "${ .eventId }"}}},
        "nodes": {
            "deal": {"use": "hubspot.get-deal", "connection": "hubspot",
                     "when": "${ .trigger.propertyName == \"dealstage\" }",
                     "with": {"id": "${ .trigger.objectId }"}},
            "tier": {"use": "switch", "after": ["deal"],
                     "with": {"ports": {"enterprise": "${ .steps.deal.amount > 10000 }"}, "else": "standard"}},
            "note": {"use": "set", "after": ["tier.enterprise"],
                     "with": {"text": "Onboarding: ${ .steps.deal.name }"}},
        },
    })
}

/// The guide's workflow with one value replaced or added.
fn with(pointer: &str, value: Value) -> Value {
    let mut file = guide();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    file.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    file
}

fn issues(file: Value) -> Vec<Issue> {
    compile(&file, &catalog()).err().unwrap_or_default()
}

#[track_caller]
fn expect(file: Value, pointer: &str, code: &str) -> Issue {
    let found = issues(file);
    found
        .iter()
        .find(|issue| issue.pointer == pointer && issue.code == code)
        .unwrap_or_else(|| panic!("no {code} at {pointer} in {found:#?}"))
        .clone()
}

#[test]
fn the_guides_workflow_compiles_in_topological_order() {
    let pinned = compile(&guide(), &catalog()).unwrap();
    let names: Vec<_> = pinned.plan.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["deal", "tier", "note"]);
    assert_eq!(pinned.pins.keys().collect::<Vec<_>>(), ["hubspot", "switch"]);
    assert_eq!(pinned.plan.nodes[2].upstream, [0, 1]);
    assert!(pinned.plan.nodes[2].leaf && !pinned.plan.nodes[0].leaf);
    let jq: Vec<_> = pinned.jq.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(jq, ["/nodes/deal/when", "/nodes/tier/with/ports/enterprise"]);
}

#[test]
fn unknown_names_come_with_what_was_meant() {
    let issue = expect(
        with("/nodes/deal/use", json!("hubspto.get-deal")),
        "/nodes/deal/use",
        "unknown-plugin",
    );
    assert_eq!(issue.suggestion.as_deref(), Some("did you mean `hubspot`?"));
    let issue = expect(
        with("/nodes/deal/use", json!("hubspot.get-dael")),
        "/nodes/deal/use",
        "unknown-operation",
    );
    assert_eq!(issue.suggestion.as_deref(), Some("did you mean `get-deal`?"));
    let issue = expect(
        with("/nodes/deal/connection", json!("hubsport")),
        "/nodes/deal/connection",
        "unknown-connection",
    );
    assert_eq!(issue.suggestion.as_deref(), Some("did you mean `hubspot`?"));
    let issue =
        expect(with("/nodes/tier/after", json!(["dael"])), "/nodes/tier/after/0", "unknown-node");
    assert_eq!(issue.suggestion.as_deref(), Some("did you mean `deal`?"));
    let issue = expect(
        with("/nodes/note/after", json!(["tier.enterprize"])),
        "/nodes/note/after/0",
        "unknown-port",
    );
    assert_eq!(issue.suggestion.as_deref(), Some("did you mean `enterprise`?"));
    let issue = expect(
        with("/nodes/note/with/text", json!("${ .steps.dael.name }")),
        "/nodes/note/with/text",
        "unknown-node",
    );
    assert_eq!(issue.message, "`steps.dael`: no such node");
    assert_eq!(issue.suggestion.as_deref(), Some("did you mean `deal`?"));
}

#[test]
fn a_name_that_is_an_address_is_refused() {
    expect(with("/name", json!("validate")), "/name", "reserved-name");
}

#[test]
fn cycles_are_named_by_their_path() {
    let issue = expect(with("/nodes/deal/after", json!(["note"])), "/nodes/deal/after", "cycle");
    assert_eq!(issue.message, "edges go round: deal -> tier -> note -> deal");
    expect(with("/nodes/deal/after", json!(["deal"])), "/nodes/deal/after", "cycle");
}

#[test]
fn reading_a_node_that_is_not_upstream_names_the_missing_edge() {
    let issue = expect(
        with("/nodes/deal/with/id", json!("${ .steps.note.text }")),
        "/nodes/deal/with/id",
        "not-upstream",
    );
    assert_eq!(issue.suggestion.as_deref(), Some("add \"note\" to /nodes/deal/after"));
    expect(
        with("/nodes/deal/when", json!("${ .steps.tier.port == \"x\" }")),
        "/nodes/deal/when",
        "not-upstream",
    );
}

#[test]
fn parameters_are_checked_as_far_as_expressions_allow() {
    expect(with("/nodes/deal/with", json!({})), "/nodes/deal/with", "missing-key");
    expect(with("/nodes/deal/with/id", json!(5)), "/nodes/deal/with/id", "wrong-type");
    let issue =
        expect(with("/nodes/deal/with/limt", json!(5)), "/nodes/deal/with/limt", "unknown-key");
    assert_eq!(issue.suggestion.as_deref(), Some("did you mean `limit`?"));
    assert_eq!(issues(with("/nodes/deal/with/limit", json!("${ .trigger.limit }"))), []);
}

#[test]
fn connections_and_secrets_are_checked() {
    let mut file = guide();
    file["nodes"]["deal"].as_object_mut().unwrap().remove("connection");
    expect(file, "/nodes/deal", "missing-connection");
    let secrets = "/triggers/deal_changed/webhook/verify/secrets";
    expect(with(secrets, json!(["hubspot"])), &format!("{secrets}/0"), "no-signing-secret");
    expect(with(secrets, json!(["nothing"])), &format!("{secrets}/0"), "unknown-connection");
    let preset = "/triggers/deal_changed/webhook/verify/preset";
    let issue = expect(with(preset, json!("hubspot-v4")), preset, "unknown-preset");
    assert_eq!(issue.suggestion.as_deref(), Some("did you mean `hubspot-v3`?"));
}

#[test]
fn a_trigger_without_verification_is_refused() {
    let mut file = guide();
    file["triggers"]["deal_changed"]["webhook"].as_object_mut().unwrap().remove("verify");
    expect(file, "/triggers/deal_changed/webhook", "missing-key");
    assert_eq!(issues(with("/triggers/deal_changed/webhook/verify", json!("none"))), []);
}

#[test]
fn two_triggers_of_a_file_do_not_share_a_path() {
    let open = json!({"webhook": {"path": "hubspot/deals", "verify": "none"}});
    let pointer = "/triggers/open/webhook/path";
    let issue = expect(with("/triggers/open", open), pointer, "path-taken");
    assert!(issue.message.contains("deal_changed"), "{}", issue.message);
}

#[test]
fn waits_have_a_longest() {
    let file = with("/triggers/deal_changed/webhook/patience", json!("6m"));
    expect(file, "/triggers/deal_changed/webhook/patience", "too-long");
    expect(with("/nodes/deal/timeout", json!("61m")), "/nodes/deal/timeout", "too-long");
}

#[test]
fn secrets_in_a_file_are_refused() {
    let at = "/nodes/note/with/headers";
    expect(
        with(at, json!({"Authorization": "Bearer abc"})),
        "/nodes/note/with/headers/Authorization",
        "secret-in-workflow",
    );
    expect(
        with(at, json!(["sk_live_0123456789"])),
        "/nodes/note/with/headers/0",
        "secret-in-workflow",
    );
    assert_eq!(issues(with(at, json!({"password": "${ .trigger.password }"}))), []);
}

#[test]
fn bad_expressions_and_names_say_where() {
    expect(
        with("/nodes/note/with/text", json!("${ .a")),
        "/nodes/note/with/text",
        "bad-expression",
    );
    expect(with("/nodes/note/when", json!("true")), "/nodes/note/when", "not-an-expression");
    let issue = expect(with("/nodes/My-Node", json!({"use": "set"})), "/nodes/My-Node", "bad-name");
    assert_eq!(issue.suggestion.as_deref(), Some("write `my_node`"));
}

#[test]
fn an_effect_may_be_made_stricter_or_keyed_but_not_weaker() {
    expect(with("/nodes/deal/effect", json!("pure")), "/nodes/deal/effect", "weaker-effect");
    let stricter = compile(&with("/nodes/deal/effect", json!("unsafe")), &catalog()).unwrap();
    assert_eq!(stricter.plan.node("deal").unwrap().effect, Effect::Unsafe);
    let mut create = guide();
    create["nodes"]["deal"]["use"] = json!("hubspot.create-deal");
    create["nodes"]["deal"]["effect"] = json!("keyed");
    assert_eq!(
        compile(&create, &catalog()).unwrap().plan.node("deal").unwrap().effect,
        Effect::Keyed
    );
}

#[test]
fn error_edges_mark_their_source_as_handled() {
    let file = with(
        "/nodes/rescue",
        json!({"use": "set", "after": ["deal.error"], "with": {"why": "${ .errors.deal.code }"}}),
    );
    let plan = compile(&file, &catalog()).unwrap().plan;
    assert!(plan.node("deal").unwrap().handles(None));
    assert!(!plan.node("tier").unwrap().handles(None));
}
