//! Pauses of connections, and the runs that wait for their end.

use std::collections::BTreeSet;

use serde_json::json;
use tombolo_core::audit::{Actor, AuditEntry};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{ConnectionId, RunId};
use tombolo_core::ports::egress::{Auth, CallLimits, Connection, Paused};
use tombolo_core::ports::store::{Lease, Next, Pause, Settle};
use tombolo_core::run::RunState;

use crate::world::{World, after, parked, succeeded, waiting};

pub async fn connect(world: &World, name: &str) -> Connection {
    let connection = Connection {
        id: ConnectionId::new(&world.ids),
        tenant: world.tenant,
        name: name.to_owned(),
        base_url: Some("https://api.example.com".to_owned()),
        auth: Auth::None,
        signing: None,
        allowed_hosts: Vec::new(),
        limits: CallLimits::default(),
        updated_at: after(0),
        paused: None,
    };
    world.store.put_connection(connection.clone(), None).await.unwrap();
    connection
}

async fn paused(world: &World, name: &str) -> Option<Paused> {
    world.store.connection(world.tenant, name).await.unwrap().unwrap().paused
}

fn pauses(names: &[&str]) -> Vec<Pause> {
    let reason = |name: &str| format!("{name}: 401 Unauthorized");
    let pause = |name: &&str| Pause { connection: (*name).to_owned(), reason: reason(name) };
    names.iter().map(pause).collect()
}

/// Parked until one of the connections is mended.
pub fn until_mended(names: &[&str]) -> Next {
    let connections: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
    Next::Park { state: RunState::Waiting, available_at: None, connections }
}

/// A run that finds its connections refused, and waits.
pub async fn refused(world: &World, key: &str, names: &[&str]) -> Lease {
    let lease = world.hold(key, "w").await;
    let results = world.results(&lease, until_mended(names));
    world.store.settle(Settle { pauses: pauses(names), ..results }).await.unwrap();
    lease
}

fn audit(at: Timestamp, subject: &str) -> AuditEntry {
    AuditEntry {
        at,
        actor: Actor("token:tok_1".to_owned()),
        action: "connection-resumed".to_owned(),
        subject: subject.to_owned(),
        detail: json!({ "was": "paused" }),
        correlation_id: None,
    }
}

pub async fn resume(world: &World, name: &str, now: Timestamp) -> Option<u64> {
    let entry = audit(now, name);
    world.store.resume_connection(world.tenant, name, now, entry).await.unwrap()
}

async fn due(world: &World, now: Timestamp) -> BTreeSet<RunId> {
    world.claim("w", 100, now).await.into_iter().map(|claimed| claimed.run.id).collect()
}

pub async fn a_pause_is_seen_at_once_and_the_first_reason_stays(world: World) {
    connect(&world, "crm").await;
    connect(&world, "erp").await;
    assert_eq!(paused(&world, "crm").await, None, "read, so that it may be remembered");
    let lease = world.hold("1", "w").await;
    let results = world.results(&lease, parked(after(1)));
    world.store.settle(Settle { pauses: pauses(&["crm", "none"]), ..results }).await.unwrap();
    let first = Paused { at: after(100), reason: "crm: 401 Unauthorized".to_owned() };
    assert_eq!(paused(&world, "crm").await, Some(first.clone()));
    assert_eq!(paused(&world, "erp").await, None);

    let lease = world.hold("2", "w").await;
    let again = vec![Pause { connection: "crm".to_owned(), reason: "403".to_owned() }];
    let results = world.results(&lease, succeeded());
    world.store.settle(Settle { pauses: again, now: after(700), ..results }).await.unwrap();
    assert_eq!(paused(&world, "crm").await, Some(first.clone()));
    let listed = world.store.connections(world.tenant).await.unwrap();
    assert_eq!(listed[0].paused, Some(first));
}

pub async fn a_refused_settle_pauses_nothing(world: World) {
    connect(&world, "crm").await;
    let mut lease = world.hold("1", "w").await;
    lease.epoch = 7;
    let results = world.results(&lease, succeeded());
    let refused = world.store.settle(Settle { pauses: pauses(&["crm"]), ..results }).await;
    assert!(refused.is_err());
    assert_eq!(paused(&world, "crm").await, None);
}

pub async fn its_end_makes_due_who_waits_for_it(world: World) {
    connect(&world, "crm").await;
    connect(&world, "erp").await;
    let one = refused(&world, "1", &["crm"]).await;
    let both = refused(&world, "2", &["crm", "erp"]).await;
    let other = refused(&world, "3", &["erp"]).await;
    assert_eq!(world.store.next_due().await.unwrap(), None);

    assert_eq!(resume(&world, "crm", after(300)).await, Some(2));

    assert_eq!(paused(&world, "crm").await, None);
    assert_eq!(due(&world, after(299)).await, BTreeSet::new());
    assert_eq!(due(&world, after(300)).await, BTreeSet::from([one.run, both.run]));
    assert_eq!(resume(&world, "crm", after(400)).await, Some(0));
    assert_eq!(resume(&world, "erp", after(400)).await, Some(1), "the second is held by now");
    assert_eq!(due(&world, after(400)).await, BTreeSet::from([other.run]));
    let record = world.store.audit(world.tenant, 10, None).await.unwrap();
    let record: Vec<AuditEntry> = record.into_iter().map(|(_, entry)| entry).collect();
    let expected = [("erp", 400), ("crm", 400), ("crm", 300)];
    assert_eq!(record, expected.map(|(name, at)| audit(after(at), name)));
}

pub async fn new_credentials_end_it(world: World) {
    let connection = connect(&world, "crm").await;
    let lease = refused(&world, "1", &["crm"]).await;
    let paused_at = paused(&world, "crm").await;
    assert!(paused_at.is_some());

    // What the caller has read says that it is paused: put, it is not.
    let put = Connection { paused: paused_at, updated_at: after(400), ..connection };
    world.store.put_connection(put, None).await.unwrap();

    assert_eq!(paused(&world, "crm").await, None);
    assert_eq!(due(&world, after(399)).await, BTreeSet::new());
    assert_eq!(due(&world, after(400)).await, BTreeSet::from([lease.run]));
}

pub async fn what_is_mended_meanwhile_is_not_waited_for(world: World) {
    connect(&world, "crm").await;
    connect(&world, "erp").await;
    let paused = world.hold("0", "w").await;
    let results = world.results(&paused, succeeded());
    world.store.settle(Settle { pauses: pauses(&["erp"]), ..results }).await.unwrap();
    let mut expected = BTreeSet::new();
    // Not paused, gone, and one of two.
    for names in [&["crm"][..], &["gone"], &["crm", "erp"]] {
        let lease = world.hold(&names.concat(), "w").await;
        world.settle(&lease, until_mended(names)).await.unwrap();
        expected.insert(lease.run);
    }
    let waits = world.hold("waits", "w").await;
    world.settle(&waits, until_mended(&["erp"])).await.unwrap();
    assert_eq!(due(&world, after(100)).await, expected);
    assert_eq!(due(&world, after(1_000_000)).await, expected, "their leases have ended");
}

pub async fn who_does_not_wait_any_more_is_left_alone(world: World) {
    connect(&world, "crm").await;
    let lease = refused(&world, "1", &["crm"]).await;
    let opened = refused(&world, "2", &["crm"]).await;
    world.store.request_cancel(world.tenant, lease.run, None).await.unwrap();
    let claimed = world.claim("w", 10, after(200)).await.remove(0);
    let opened = world.opened(opened.run, "w", after(200)).await;
    // Held, they are not made due; parked for another reason, neither.
    assert_eq!(resume(&world, "crm", after(300)).await, Some(0));
    for lease in [&claimed.lease, &opened.lease] {
        let results = world.results(lease, waiting(None));
        world.store.settle(Settle { pauses: pauses(&["crm"]), ..results }).await.unwrap();
    }
    assert_eq!(resume(&world, "crm", after(400)).await, Some(0));
}

pub async fn an_unknown_one_has_no_pause_to_end(world: World) {
    assert_eq!(resume(&world, "none", after(1)).await, None);
    assert_eq!(resume(&world, "no\u{0}ne", after(1)).await, None);
    connect(&world, "crm").await;
    let (other, _) = world.other("globex").await;
    let entry = audit(after(1), "crm");
    let answer = world.store.resume_connection(other, "crm", after(1), entry).await;
    assert_eq!(answer, Ok(None));
    assert_eq!(world.store.audit(world.tenant, 10, None).await, Ok(Vec::new()));
    assert_eq!(world.store.audit(other, 10, None).await, Ok(Vec::new()));
    // One that is not paused is on record, too: somebody did it.
    assert_eq!(resume(&world, "crm", after(2)).await, Some(0));
    assert_eq!(world.store.audit(world.tenant, 10, None).await.unwrap().len(), 1);
}
