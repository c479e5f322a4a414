//! Runs that are put straight into the queue of a store, as an accept puts them there.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, ensure};
use jiff::Timestamp as Now;
use serde_json::{Value, json};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{EventId, IdSource, RunId, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{Accept, NewEvent, NewRun, Store};
use uuid::{Builder, Uuid};

use super::payload::{Payloads, Size};

/// Runs of one write.
const TOGETHER: u64 = 1_000;

/// Events so far, over all queues: each has a key of its own.
static EVENTS: AtomicU64 = AtomicU64::new(0);

/// Where runs go.
pub struct Queue {
    tenant: TenantId,
    workflow: WorkflowId,
    version: u32,
}

struct Ids;

impl IdSource for Ids {
    fn next(&self) -> Uuid {
        let millis = u64::try_from(Now::now().as_millisecond()).unwrap_or_default();
        Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid()
    }
}

impl Queue {
    /// Runs of a tenant's live workflow.
    ///
    /// # Errors
    /// If there is none.
    pub async fn of(store: &dyn Store, tenant: &str, workflow: &str) -> anyhow::Result<Self> {
        let tenant = store.tenant(tenant).await?.context("no such tenant")?.id;
        let live = store.live_workflows().await?;
        let live = live.iter().find(|live| live.tenant == tenant && live.name == workflow);
        let live = live.with_context(|| format!("no workflow {workflow}"))?;
        Ok(Self { tenant, workflow: live.id, version: live.version })
    }

    /// Puts so many runs there, due at once.
    ///
    /// # Errors
    /// If the store refuses.
    pub async fn fill(&self, store: &dyn Store, runs: u64) -> anyhow::Result<()> {
        let payloads = Payloads::new(Size::Small);
        let mut left = runs;
        while left > 0 {
            let together = TOGETHER.min(left);
            let accepts = (0..together).map(|_| self.accept(&payloads));
            let accepted = store.accept(accepts.collect::<anyhow::Result<_>>()?).await?;
            ensure!(accepted.len() as u64 == together, "not every event was taken");
            left -= together;
        }
        Ok(())
    }

    fn accept(&self, payloads: &Payloads) -> anyhow::Result<Accept> {
        let trigger: Value = serde_json::from_slice(&payloads.next().1)?;
        let now = Timestamp(Now::now().as_millisecond());
        let event = NewEvent {
            id: EventId::new(&Ids),
            tenant: self.tenant,
            source: "bench:queued".to_owned(),
            dedupe_key: EVENTS.fetch_add(1, Ordering::Relaxed).to_string(),
            fingerprint: None,
            payload: Json::from_value(json!({"trigger": trigger, "event": {}})),
            correlation_id: "bench".to_owned(),
            received_at: now,
        };
        let run = NewRun {
            id: RunId::new(&Ids),
            workflow: self.workflow,
            version: self.version,
            trigger: "in".to_owned(),
            deadline: None,
            lease: None,
            parent: None,
            depth: 0,
            replay_of: None,
            steps: Vec::new(),
            ended: None,
            flow: Default::default(),
        };
        Ok(Accept { event, runs: vec![run], audit: None })
    }
}
