//! The record of what people did.

use serde_json::json;
use tombolo_core::audit::{Actor, AuditEntry};
use tombolo_core::ports::store::{Next, Settle};

use crate::world::{World, after, succeeded};

fn entry(n: i64) -> AuditEntry {
    AuditEntry {
        at: after(n),
        actor: Actor("token:tok_1".to_owned()),
        action: "step-redriven".to_owned(),
        subject: format!("run/steps/{n}"),
        detail: json!({ "input": { "before": n, "after": null } }),
    }
}

pub async fn the_newest_entries_come_first(world: World) {
    let lease = world.hold("1", "w").await;
    for n in 0..4 {
        let results = world.results(&lease, Next::Hold);
        let audit = vec![entry(2 * n), entry(2 * n + 1)];
        world.store.settle(Settle { audit, ..results }).await.unwrap();
    }

    let all = world.store.audit(world.tenant, 100, None).await.unwrap();

    let entries: Vec<AuditEntry> = all.iter().map(|(_, entry)| entry.clone()).collect();
    assert_eq!(entries, (0..8).rev().map(entry).collect::<Vec<_>>());
    assert!(all.is_sorted_by(|a, b| a.0 > b.0), "{all:?}");
    let mut seen = Vec::new();
    loop {
        let before = seen.last().map(|(number, _)| *number);
        let page = world.store.audit(world.tenant, 3, before).await.unwrap();
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen, all);
}

pub async fn a_refused_settle_is_not_on_record(world: World) {
    let mut lease = world.hold("1", "w").await;
    lease.epoch = 7;
    let results = world.results(&lease, succeeded());
    assert!(world.store.settle(Settle { audit: vec![entry(1)], ..results }).await.is_err());
    assert_eq!(world.store.audit(world.tenant, 10, None).await, Ok(Vec::new()));
}
