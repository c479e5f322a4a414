//! Reading what happened.

mod list;

use async_trait::async_trait;
use tombolo_core::audit::AuditEntry;
use tombolo_core::id::{EventId, RunId, TenantId};
use tombolo_core::ports::store::{
    Call, EventView, Page, Reading, RunFilter, RunSummary, RunView, StoreError,
};

use self::list::Asked;
use super::error::Fault;
use super::live::on_a_live_one;
use super::scope::TenantTx;
use super::{PostgresStore, packs};
use crate::record::{dedupe_hash, due};
use crate::rows::{
    CALL_PACK, Columns, EVENT_PACK, RUN_PACKS, RUN_WITH_EVENT, STEP_PACK, audit_columns,
    audit_entry, call, call_columns, event_columns, event_payload, event_view, numbers,
    output_columns, output_payload, payload_columns, run_columns, run_with_event, step,
    step_columns, step_payloads, summary,
};

#[async_trait]
impl Reading for PostgresStore {
    async fn runs(
        &self,
        tenant: TenantId,
        filter: &RunFilter,
        page: Page,
    ) -> Result<Vec<RunSummary>, StoreError> {
        let asked = Asked { filter, page };
        self.read(tenant, async |tx| runs(tx, &asked).await).await
    }

    async fn run(&self, tenant: TenantId, run: RunId) -> Result<Option<RunView>, StoreError> {
        self.read(tenant, async |tx| view(tx, run).await).await
    }

    async fn calls(&self, tenant: TenantId, run: RunId) -> Result<Vec<Call>, StoreError> {
        self.read(tenant, async |tx| calls(tx, run).await).await
    }

    async fn event(
        &self,
        tenant: TenantId,
        event: EventId,
    ) -> Result<Option<EventView>, StoreError> {
        self.read(tenant, async |tx| event_of(tx, event).await).await
    }

    async fn knows_event(
        &self,
        tenant: TenantId,
        source: &str,
        dedupe_key: &str,
    ) -> Result<bool, StoreError> {
        let hash = dedupe_hash(tenant, source, dedupe_key);
        self.read(tenant, async |tx| knows(tx, &hash).await).await
    }

    async fn audit(
        &self,
        tenant: TenantId,
        limit: u32,
        before: Option<u64>,
    ) -> Result<Vec<(u64, AuditEntry)>, StoreError> {
        self.read(tenant, async |tx| audit(tx, limit, before).await).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        on_a_live_one(&self.pool, || sqlx::query("SELECT 1").execute(&self.pool)).await?;
        Ok(())
    }
}

async fn knows(tx: &mut TenantTx<'_>, hash: &[u8]) -> Result<bool, Fault> {
    let known = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM event WHERE tenant_id = $1 AND key_hash = $2)",
    )
    .bind(tx.tenant().0)
    .bind(hash)
    .fetch_one(tx.sql())
    .await?;
    Ok(known)
}

async fn runs(tx: &mut TenantTx<'_>, asked: &Asked<'_>) -> Result<Vec<RunSummary>, Fault> {
    let rows = list::query(tx.tenant(), asked).build().fetch_all(tx.sql()).await?;
    rows.iter().map(|row| Ok(summary(row)?)).collect()
}

async fn view(tx: &mut TenantTx<'_>, run: RunId) -> Result<Option<RunView>, Fault> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        run_columns!(),
        output_columns!(),
        ", ",
        payload_columns!(),
        ", w.name, q.available_at FROM run r
         JOIN event e ON e.tenant_id = r.tenant_id AND e.id = r.event_id
         JOIN workflow w ON w.tenant_id = r.tenant_id AND w.id = r.workflow_id
         LEFT JOIN queue q ON q.run_id = r.id AND q.tenant_id = r.tenant_id",
        output_payload!(),
        event_payload!(),
        " WHERE r.tenant_id = $1 AND r.id = $2"
    ))
    .bind(tx.tenant().0)
    .bind(run.0)
    .fetch_all(tx.sql())
    .await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let steps = sqlx::query(concat!(
        "SELECT ",
        step_columns!("s.plugin"),
        " FROM step s",
        step_payloads!(),
        " WHERE s.tenant_id = $1 AND s.run_id = $2",
    ))
    .bind(tx.tenant().0)
    .bind(run.0)
    .fetch_all(tx.sql())
    .await?;
    let mut numbers_of_packs = numbers(&rows, &RUN_PACKS)?;
    numbers_of_packs.append(&mut numbers(&steps, &[STEP_PACK])?);
    let packs = packs::of(tx, numbers_of_packs).await?;
    let (run_row, event) = run_with_event(row, &packs)?;
    Ok(Some(RunView {
        run: run_row,
        event,
        workflow_name: row.text(RUN_WITH_EVENT)?.to_owned(),
        available_at: row.maybe_time(RUN_WITH_EVENT + 1)?.and_then(due),
        steps: steps.iter().map(|row| step(row, &packs)).collect::<Result<_, _>>()?,
    }))
}

async fn calls(tx: &mut TenantTx<'_>, run: RunId) -> Result<Vec<Call>, Fault> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        call_columns!(),
        " FROM effect WHERE tenant_id = $1 AND run_id = $2
          ORDER BY node, item, attempt, sequence",
    ))
    .bind(tx.tenant().0)
    .bind(run.0)
    .fetch_all(tx.sql())
    .await?;
    let packs = packs::of(tx, numbers(&rows, &[CALL_PACK])?).await?;
    rows.iter().map(|row| Ok(call(row, &packs)?)).collect()
}

async fn event_of(tx: &mut TenantTx<'_>, event: EventId) -> Result<Option<EventView>, Fault> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        event_columns!(),
        payload_columns!(),
        " FROM event e",
        event_payload!(),
        " WHERE e.tenant_id = $1 AND e.id = $2"
    ))
    .bind(tx.tenant().0)
    .bind(event.0)
    .fetch_all(tx.sql())
    .await?;
    let packs = packs::of(tx, numbers(&rows, &[EVENT_PACK])?).await?;
    Ok(rows.first().map(|row| event_view(row, &packs)).transpose()?)
}

async fn audit(
    tx: &mut TenantTx<'_>,
    limit: u32,
    before: Option<u64>,
) -> Result<Vec<(u64, AuditEntry)>, Fault> {
    let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
    let rows = sqlx::query(concat!(
        "SELECT ",
        audit_columns!(),
        " FROM audit WHERE tenant_id = $1 AND seq > 0 AND seq < $2 ORDER BY seq DESC LIMIT $3",
    ))
    .bind(tx.tenant().0)
    .bind(before)
    .bind(i64::from(limit))
    .fetch_all(tx.sql())
    .await?;
    rows.iter().map(|row| Ok(audit_entry(row)?)).collect()
}
