//! The catalog: plugins, workflows, connections.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::json;
use tombolo_core::clock::Timestamp;
use tombolo_core::descriptor::Descriptor;
use tombolo_core::id::{ConnectionId, ContentHash, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::egress::{Auth, CallLimits, Connection};
use tombolo_core::ports::store::{Added, Applied, NewPlugin, NewVersion};
use tombolo_core::secret::Sealed;

use crate::world::{NOW, World, after};

fn plugin(world: &World, name: &str, version: &str, component: &[u8]) -> NewPlugin {
    let descriptor = json!({
        "contract": "1.0", "name": name, "version": version, "world": "connector",
        "operations": [{ "name": "get", "effect": "read", "params": {}, "output": {} }],
    });
    NewPlugin {
        tenant: world.tenant,
        hash: ContentHash::of(component),
        component: Bytes::copy_from_slice(component),
        descriptor: serde_json::from_value::<Descriptor>(descriptor).unwrap(),
        now: NOW,
        audit: None,
    }
}

pub async fn a_plugin_is_its_bytes(world: World) {
    let first = plugin(&world, "hubspot", "1.0.0", &[0, 1, 255]);
    assert_eq!(world.store.component(first.hash).await.unwrap(), None);
    assert_eq!(world.store.add_plugin(first.clone()).await.unwrap(), Added::New);
    assert_eq!(world.store.add_plugin(first.clone()).await.unwrap(), Added::Same);
    let component = world.store.component(first.hash).await.unwrap();
    assert_eq!(component, Some(Bytes::from_static(&[0, 1, 255])));
    let listed = world.store.plugins(world.tenant).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].hash, first.hash);
    assert_eq!(listed[0].size, 3);
    assert_eq!(listed[0].descriptor, first.descriptor);
    assert_eq!(listed[0].created_at, NOW);

    // Another tenant adds the same bytes for itself.
    let (tenant, _) = world.other("globex").await;
    let theirs = NewPlugin { tenant, ..first };
    assert_eq!(world.store.add_plugin(theirs).await.unwrap(), Added::New);
}

pub async fn a_version_of_a_plugin_is_taken_once(world: World) {
    let first = plugin(&world, "hubspot", "1.0.0", b"a");
    let by = first.hash;
    world.store.add_plugin(first).await.unwrap();
    let second = plugin(&world, "hubspot", "1.0.0", b"b");
    let hash = second.hash;
    let added = world.store.add_plugin(second).await.unwrap();
    assert_eq!(added, Added::VersionTaken { by });
    assert_eq!(world.store.component(hash).await.unwrap(), None);
    assert_eq!(world.store.plugins(world.tenant).await.unwrap().len(), 1);
}

pub async fn plugins_are_listed_by_name_and_newest_first(world: World) {
    for (n, (name, version)) in
        [("b", "1"), ("a", "1"), ("b", "2"), ("a", "0")].into_iter().enumerate()
    {
        let mut plugin = plugin(&world, name, version, format!("{name}{version}").as_bytes());
        plugin.now = after(n as i64);
        world.store.add_plugin(plugin).await.unwrap();
    }
    let listed = world.store.plugins(world.tenant).await.unwrap();
    let names: Vec<(&str, &str)> = listed
        .iter()
        .map(|plugin| (&*plugin.descriptor.name, &*plugin.descriptor.version))
        .collect();
    assert_eq!(names, [("a", "0"), ("a", "1"), ("b", "2"), ("b", "1")]);
}

fn version(world: &World, name: &str, definition: &str, now: Timestamp) -> NewVersion {
    NewVersion {
        tenant: world.tenant,
        id: WorkflowId::new(&world.ids),
        name: name.to_owned(),
        definition: Json::from_trusted(definition),
        pins: BTreeMap::from([("hubspot".to_owned(), ContentHash::of(b"a"))]),
        now,
        audit: None,
    }
}

pub async fn versions_count_up_and_unchanged_is_said(world: World) {
    let first = version(&world, "flow", "{\"n\":1}", NOW);
    let id = first.id;
    let pins = first.pins.clone();
    let created = |version| Applied::Created { id, version };
    assert_eq!(world.store.apply_workflow(first).await.unwrap(), created(1));
    for (definition, expected) in [
        ("{\"n\":1}", Applied::Unchanged { id, version: 1 }),
        ("{\"n\":2}", created(2)),
        ("{\"n\":2}", Applied::Unchanged { id, version: 2 }),
        ("{\"n\":1}", created(3)),
    ] {
        let next = version(&world, "flow", definition, after(9));
        assert_eq!(world.store.apply_workflow(next).await.unwrap(), expected);
    }

    let versions = world.store.workflow_versions(world.tenant, "flow").await.unwrap();
    let numbers: Vec<(u32, bool)> = versions.iter().map(|v| (v.version, v.live)).collect();
    assert_eq!(numbers, [(3, true), (2, false), (1, false)]);
    assert_eq!(versions[2].definition.text(), "{\"n\":1}");
    assert_eq!(versions[2].pins, pins);
    assert_eq!(versions[2].created_at, NOW);
    let one = world.store.workflow_version(world.tenant, id, 2).await.unwrap();
    assert_eq!(one.as_ref(), Some(&versions[1]));
    assert_eq!(world.store.workflow_version(world.tenant, id, 4).await.unwrap(), None);
    let none = world.store.workflow_versions(world.tenant, "none").await.unwrap();
    assert_eq!(none, []);
    // "deals" is there from the start.
    let live = world.store.workflows(world.tenant).await.unwrap();
    let names: Vec<(&str, u32)> = live.iter().map(|v| (&*v.name, v.version)).collect();
    assert_eq!(names, [("deals", 1), ("flow", 3)]);
}

pub async fn a_changed_pin_is_a_new_version(world: World) {
    let first = version(&world, "flow", "{}", NOW);
    world.store.apply_workflow(first.clone()).await.unwrap();
    let pins = BTreeMap::from([("hubspot".to_owned(), ContentHash::of(b"b"))]);
    let applied = world.store.apply_workflow(NewVersion { pins, ..first }).await;
    assert!(matches!(applied, Ok(Applied::Created { version: 2, .. })), "{applied:?}");
}

pub async fn live_workflows_are_of_all_tenants(world: World) {
    let (other, _) = world.other("globex").await;
    let next = version(&world, "deals", "{\"n\":2}", NOW);
    world.store.apply_workflow(next).await.unwrap();
    let live = world.store.live_workflows().await.unwrap();
    let all: Vec<_> = live.iter().map(|v| (v.tenant, v.version, v.live)).collect();
    assert_eq!(all.len(), 2);
    assert!(all.contains(&(world.tenant, 2, true)));
    assert!(all.contains(&(other, 1, true)));
}

pub async fn a_connection_reads_back_and_is_replaced(world: World) {
    let sealed = |byte: u8| Sealed(vec![byte, 0, 255]);
    let mut connection = Connection {
        id: ConnectionId::new(&world.ids),
        tenant: world.tenant,
        name: "hubspot".to_owned(),
        base_url: Some("https://api.hubapi.com".to_owned()),
        auth: Auth::None,
        signing: Some(sealed(1)),
        allowed_hosts: vec!["*.hubspot.com".to_owned()],
        limits: CallLimits { total_timeout_ms: 9, ..CallLimits::default() },
        updated_at: NOW,
        paused: None,
    };
    for auth in [
        Auth::None,
        Auth::Bearer { token: sealed(2) },
        Auth::Basic { user: "me".to_owned(), password: sealed(3) },
        Auth::Header { name: "x-key".to_owned(), value: sealed(4) },
        Auth::Query { name: "key".to_owned(), value: sealed(5) },
    ] {
        connection.auth = auth;
        world.store.put_connection(connection.clone(), None).await.unwrap();
        let stored = world.store.connection(world.tenant, "hubspot").await.unwrap();
        assert_eq!(stored.as_ref(), Some(&connection));
    }

    // Replaced under the same name, it stays the same connection.
    let replacement = Connection {
        id: ConnectionId::new(&world.ids),
        base_url: None,
        signing: None,
        allowed_hosts: Vec::new(),
        updated_at: after(1),
        ..connection.clone()
    };
    world.store.put_connection(replacement.clone(), None).await.unwrap();
    let expected = Connection { id: connection.id, ..replacement };
    let other = Connection {
        id: ConnectionId::new(&world.ids),
        name: "asana".to_owned(),
        ..expected.clone()
    };
    world.store.put_connection(other.clone(), None).await.unwrap();
    let listed = world.store.connections(world.tenant).await.unwrap();
    assert_eq!(listed, [other, expected]);
    assert_eq!(world.store.connection(world.tenant, "none").await.unwrap(), None);
}
