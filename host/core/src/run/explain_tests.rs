//! What people are told of runs that do not move.

use std::collections::BTreeMap;

use serde_json::json;
use uuid::Uuid;

use super::testing::{NOW, broken, expanded, items, plan};
use super::*;
use crate::effect::Effect;
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

#[test]
fn an_item_is_named_in_what_can_be_done_about_it() {
    for (class, command) in
        [(ErrorClass::Permanent, "redrive run_"), (ErrorClass::UnknownOutcome, "resolve run_")]
    {
        let mut plan = plan(json!({"list": {"each": {"items": "${ .trigger }", "limit": 1}}}));
        plan.nodes[0].effect = Effect::Unsafe;
        let mut run = expanded(plan, 1);
        items(&mut run);
        broken(&mut run, 1, class);
        let (row, paused) = (row(), BTreeMap::new());
        let around = Surroundings { row: &row, available_at: None, paused: &paused, now: NOW };
        let steps = explain(&run, &around).steps;
        let action = |item| {
            let of = steps.iter().find(|step| step.item == item);
            of.and_then(|step| step.why.action.clone()).unwrap_or_default()
        };
        assert!(action(1).contains(command) && action(1).contains(" --item 1"), "{}", action(1));
        assert!(!action(0).contains("--repeat-unknown"), "{}", action(0));
    }
}
