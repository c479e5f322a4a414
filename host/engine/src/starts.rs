//! Events that come from inside: a called workflow, a published fact, a failed run, a replay. Each
//! is stored with the write that causes it, once by its dedupe key.

use serde_json::{Value, json};
use tombolo_core::clock::Timestamp;
use tombolo_core::error::StepError;
use tombolo_core::id::{EventId, RunId};
use tombolo_core::json::Json;
use tombolo_core::ports::intake::Subscriber;
use tombolo_core::ports::store::{Accept, NewEvent, NewRun, Parent, RunRow, StepKey};

use crate::{Ports, flow};

/// The kind of a failed run's event.
pub(crate) const FAILURE: &str = "failure";

/// Set in the events of runs that a failure led to: by calls, events or replays.
const AFTER_FAILURE: &str = "after_failure";

/// The run that an event comes from.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub row: &'a RunRow,
    /// Of the event that started it.
    pub payload: &'a Value,
}

impl Origin<'_> {
    /// True if a failure led to the run. Its own failure starts nothing: what rescues could else
    /// rescue itself for ever.
    pub fn descends_from_failure(self) -> bool {
        let event = &self.payload["event"];
        event["kind"] == FAILURE || event[AFTER_FAILURE] == true
    }
}

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
    origin: Origin<'_>,
    inside: Inside,
    now: Timestamp,
) -> Result<Accept, StepError> {
    let by = origin.row;
    let ids = &*ports.ids;
    let id = EventId::new(ids);
    let source = format!("{}:{}", inside.kind, inside.name);
    let mut event = json!({
        "kind": inside.kind, "name": inside.name, "from": by.id, "id": id, "received_at": now,
    });
    if origin.descends_from_failure() {
        event[AFTER_FAILURE] = true.into();
    }
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
        audit: None,
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

/// The dedupe key of what a step starts: the same for every attempt of its worker.
pub(crate) fn key_of(run: RunId, step: &StepKey, attempt: u32) -> String {
    format!("{run}/{}/{}/{attempt}", step.node, step.item)
}
