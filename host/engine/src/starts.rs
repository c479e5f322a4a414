//! Events that come from inside: a called workflow, a published fact, a failed run, a replay. Each
//! is stored with the write that causes it, once by its dedupe key.

use serde_json::{Map, Value, json};
use tombolo_core::clock::Timestamp;
use tombolo_core::error::StepError;
use tombolo_core::id::{EventId, RunId};
use tombolo_core::json::Json;
use tombolo_core::ports::intake::Subscriber;
use tombolo_core::ports::store::{Accept, NewEvent, NewRun, Parent, RunRow, StepKey, StepRow};
use tombolo_core::run::StepState;

use crate::{Ports, flow};

/// What started the run that an event started: a failure starts none for the failure of its run.
const KIND: &str = "kind";
const FAILURE: &str = "failure";

/// An event from inside, before it has its id.
pub(crate) struct Inside {
    /// `call`, `event`, `failure`, `replay`.
    pub kind: &'static str,
    /// What comes after the kind in the event's source.
    pub name: String,
    /// Unique per source.
    pub dedupe_key: String,
    /// What expressions see as `.trigger`.
    pub trigger: Value,
    /// Who runs.
    pub subscribers: Vec<Subscriber>,
    /// The step that waits.
    pub parent: Option<Parent>,
    /// See [`RunRow::depth`].
    pub depth: u32,
    /// False if a run of its own has to start: somebody waits for it.
    pub may_join: bool,
}

/// The event as it is stored, with its runs.
///
/// # Errors
/// See [`flow::of`].
pub(crate) async fn accept(
    ports: &Ports,
    by: &RunRow,
    inside: Inside,
    now: Timestamp,
) -> Result<Accept, StepError> {
    let ids = &*ports.ids;
    let id = EventId::new(ids);
    let source = format!("{}:{}", inside.kind, inside.name);
    let event = json!({
        KIND: inside.kind, "name": inside.name, "from": by.id, "id": id, "received_at": now,
    });
    let payload: Json = json!({"trigger": inside.trigger, "event": event}).into();
    let mut runs = Vec::new();
    for subscriber in inside.subscribers {
        let mut flow = flow::of(ports, by.tenant, &subscriber, &payload).await?;
        if !inside.may_join {
            (flow.debounce, flow.singleton) = (None, None);
        }
        runs.push(NewRun {
            id: RunId::new(ids),
            flow,
            workflow: subscriber.workflow,
            version: subscriber.version,
            trigger: subscriber.trigger,
            deadline: subscriber.timeout.map(|timeout| now.plus(timeout)),
            lease: None,
            parent: inside.parent.clone(),
            depth: inside.depth,
            replay_of: None,
            steps: Vec::new(),
            ended: None,
        });
    }
    Ok(Accept {
        runs,
        event: NewEvent {
            id,
            tenant: by.tenant,
            source,
            dedupe_key: inside.dedupe_key,
            fingerprint: None,
            payload,
            correlation_id: by.correlation_id.clone(),
            received_at: now,
        },
    })
}

/// The event of a failed run, unless nobody takes it or the run was itself started by a failure.
pub(crate) async fn failure(
    ports: &Ports,
    row: &RunRow,
    workflow: &str,
    payload: &Value,
    error: &StepError,
    steps: &[StepRow],
    now: Timestamp,
) -> Result<Option<Accept>, StepError> {
    use tombolo_core::ports::intake::Subscriptions;
    if payload["event"][KIND] == FAILURE {
        return Ok(None);
    }
    let subscribers = ports.registry.failure(row.tenant, workflow);
    if subscribers.is_empty() {
        return Ok(None);
    }
    let failed: Vec<Value> = steps
        .iter()
        .filter(|step| matches!(step.state, StepState::Dead | StepState::Unknown))
        .map(|step| {
            json!({"node": step.node, "item": step.item, "state": step.state, "error": step.error,
                   "attempts": step.attempt})
        })
        .collect();
    let mut trigger = Map::new();
    trigger.insert("run".into(), json!(row.id));
    trigger.insert("workflow".into(), json!(workflow));
    trigger.insert("version".into(), json!(row.version));
    trigger.insert("error".into(), json!(error));
    trigger.insert("steps".into(), failed.into());
    trigger.insert("trigger".into(), payload["trigger"].clone());
    let inside = Inside {
        kind: FAILURE,
        name: workflow.to_owned(),
        // A run that was redriven may fail again.
        dedupe_key: format!("{}/{}", row.id, now.0),
        trigger: trigger.into(),
        subscribers,
        parent: None,
        depth: 0,
        may_join: true,
    };
    accept(ports, row, inside, now).await.map(Some)
}

/// The dedupe key of what a step starts: the same for every attempt of its worker.
pub(crate) fn key_of(run: RunId, step: &StepKey, attempt: u32) -> String {
    format!("{run}/{}/{}/{attempt}", step.node, step.item)
}
