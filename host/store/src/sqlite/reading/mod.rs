//! Reading what happened.

mod list;

use async_trait::async_trait;
use sqlx::SqliteConnection;
use tombolo_core::audit::AuditEntry;
use tombolo_core::id::{EventId, RunId, TenantId};
use tombolo_core::ports::store::{
    Call, EventView, Page, Reading, RunFilter, RunSummary, RunView, StoreError,
};

use self::list::Asked;
use super::error::Fault;
use super::ids::id_bytes;
use super::{SqliteStore, packs, steps};
use crate::group::{Command, Rare};
use crate::record::{dedupe_hash, due};
use crate::rows::{
    CALL_PACK, Columns, EVENT_PACK, RUN_PACKS, RUN_WITH_EVENT, call, call_columns, event_columns,
    event_payload, event_view, output_columns, output_payload, payload_columns, run_columns,
    run_with_event, summary,
};

#[async_trait]
impl Reading for SqliteStore {
    async fn runs(
        &self,
        tenant: TenantId,
        filter: &RunFilter,
        page: Page,
    ) -> Result<Vec<RunSummary>, StoreError> {
        let asked = Asked { tenant, filter, page };
        self.read(async |reader| runs(reader, &asked).await).await
    }

    async fn run(&self, tenant: TenantId, run: RunId) -> Result<Option<RunView>, StoreError> {
        self.read(async |reader| view(reader, tenant, run).await).await
    }

    async fn calls(&self, tenant: TenantId, run: RunId) -> Result<Vec<Call>, StoreError> {
        self.read(async |reader| calls(reader, tenant, run).await).await
    }

    async fn event(
        &self,
        tenant: TenantId,
        event: EventId,
    ) -> Result<Option<EventView>, StoreError> {
        self.read(async |reader| event_of(reader, tenant, event).await).await
    }

    async fn knows_event(
        &self,
        tenant: TenantId,
        source: &str,
        dedupe_key: &str,
    ) -> Result<bool, StoreError> {
        let hash = dedupe_hash(tenant, source, dedupe_key);
        let query = sqlx::query("SELECT 1 FROM dedupe WHERE hash = ?").bind(hash.to_vec());
        Ok(self.read_one(query, |_| Ok(())).await?.is_some())
    }

    async fn audit(
        &self,
        tenant: TenantId,
        limit: u32,
        before: Option<u64>,
    ) -> Result<Vec<(u64, AuditEntry)>, StoreError> {
        Ok(super::audit::newest(&self.readers, tenant, limit, before).await?)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read_one(sqlx::query("SELECT 1"), |_| Ok(())).await?;
        // A reader answers even where the writer has died.
        self.writes.write((), |pending| Command::Rare(Box::new(Rare::Probe(pending)))).await
    }
}

async fn runs(reader: &mut SqliteConnection, asked: &Asked<'_>) -> Result<Vec<RunSummary>, Fault> {
    let rows = list::query(asked).build().fetch_all(reader).await?;
    rows.iter().map(|row| Ok(summary(row)?)).collect()
}

async fn calls(
    reader: &mut SqliteConnection,
    tenant: TenantId,
    run: RunId,
) -> Result<Vec<Call>, Fault> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        call_columns!(),
        " FROM effect WHERE tenant_id = ? AND run_id = ?
          ORDER BY node, item, attempt, sequence",
    ))
    .bind(id_bytes(tenant.0))
    .bind(id_bytes(run.0))
    .fetch_all(&mut *reader)
    .await?;
    let packs = packs::of(reader, &rows, &[CALL_PACK]).await?;
    rows.iter().map(|row| Ok(call(row, &packs)?)).collect()
}

async fn event_of(
    reader: &mut SqliteConnection,
    tenant: TenantId,
    event: EventId,
) -> Result<Option<EventView>, Fault> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        event_columns!(),
        payload_columns!(),
        " FROM event e",
        event_payload!(),
        " WHERE e.tenant_id = ? AND e.id = ?"
    ))
    .bind(id_bytes(tenant.0))
    .bind(id_bytes(event.0))
    .fetch_all(&mut *reader)
    .await?;
    let packs = packs::of(reader, &rows, &[EVENT_PACK]).await?;
    Ok(rows.first().map(|row| event_view(row, &packs)).transpose()?)
}

async fn view(
    reader: &mut SqliteConnection,
    tenant: TenantId,
    run: RunId,
) -> Result<Option<RunView>, Fault> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        run_columns!(),
        output_columns!(),
        ", ",
        payload_columns!(),
        ", w.name, q.available_at FROM run r
         JOIN event e ON e.tenant_id = r.tenant_id AND e.id = r.event_id
         JOIN workflow w ON w.tenant_id = r.tenant_id AND w.id = r.workflow_id
         LEFT JOIN queue q ON q.run_id = r.id",
        output_payload!(),
        event_payload!(),
        " WHERE r.tenant_id = ? AND r.id = ?"
    ))
    .bind(id_bytes(tenant.0))
    .bind(id_bytes(run.0))
    .fetch_all(&mut *reader)
    .await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let packs = packs::of(reader, &rows, &RUN_PACKS).await?;
    let (run_row, event) = run_with_event(row, &packs)?;
    Ok(Some(RunView {
        run: run_row,
        event,
        workflow_name: row.text(RUN_WITH_EVENT)?.to_owned(),
        available_at: row.maybe_time(RUN_WITH_EVENT + 1)?.and_then(due),
        steps: steps::of_run(reader, tenant, run).await?,
    }))
}
