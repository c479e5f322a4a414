//! What people are told of runs that do not move.

use std::collections::BTreeMap;

use serde_json::json;
use uuid::Uuid;

use super::testing::{NOW, broken, expanded, items, plan};
use super::*;
use crate::error::ErrorClass;
use crate::id::{EventId, RunId, TenantId, WorkflowId};
use crate::ports::store::RunRow;

fn row() -> RunRow {
    RunRow {
        id: RunId(Uuid::nil()),
        tenant: TenantId(Uuid::nil()),
        workflow: WorkflowId(Uuid::nil()),
        version: 1,
        event: EventId(Uuid::nil()),
        trigger: "api".into(),
        state: RunState::Waiting,
        correlation_id: "c".into(),
        error: None,
        output: None,
        cancel_requested: false,
        created_at: NOW,
        ended_at: None,
        deadline: None,
        parent: None,
        depth: 0,
        replay_of: None,
    }
}

#[test]
fn a_run_that_waits_for_items_says_what_these_wait_for() {
    for (class, code) in [(ErrorClass::Auth, "connection-paused"), (ErrorClass::Transient, "retry")]
    {
        let each = json!({"items": "${ .trigger }", "limit": 2});
        let mut plan = plan(json!({"list": {"each": each}}));
        plan.nodes[0].connection = Some("crm".into());
        let mut run = expanded(plan, 2);
        items(&mut run);
        broken(&mut run, 1, class);
        let (row, paused) = (row(), BTreeMap::new());
        let around = Surroundings { row: &row, available_at: None, paused: &paused, now: NOW };
        let explained = explain(&run, &around);
        assert_eq!(explained.why.code, code);
        assert_eq!(explained.steps[0].why.code, "items", "of the list itself");
    }
}
