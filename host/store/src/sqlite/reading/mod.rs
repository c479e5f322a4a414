//! Reading what happened.

mod list;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use tombolo_core::audit::AuditEntry;
use tombolo_core::id::{EventId, RunId, TenantId};
use tombolo_core::ports::store::{
    Call, EventView, Page, Reading, RunFilter, RunSummary, RunView, StoreError,
};

use self::list::Asked;
use super::error::Fault;
use super::pack_row::Packs;
use super::row::{BODY_PACK, Column, bytes, column, id_bytes, maybe_time, time};
use super::run_row::{
    PACKS, RUN, RUN_WITH_EVENT, event_payload, output_columns, output_payload, payload_columns,
    payload_of_event, read, read_with_event, run_columns,
};
use super::{SqliteStore, step_row};
use crate::group::{Command, Rare};
use crate::record::{Damaged, dedupe_key, due, from_json, split_ids, unsigned};

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
        self.read(async |reader| event_view(reader, tenant, event).await).await
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
    rows.iter()
        .map(|row| Ok(RunSummary { run: read(row)?, workflow_name: row.try_get(RUN)? }))
        .collect()
}

async fn calls(
    reader: &mut SqliteConnection,
    tenant: TenantId,
    run: RunId,
) -> Result<Vec<Call>, Fault> {
    const PACK: usize = 4;
    let rows = sqlx::query(
        "SELECT node, item, attempt, record, pack FROM effect WHERE tenant_id = ? AND run_id = ?
         ORDER BY node, item, attempt, sequence",
    )
    .bind(id_bytes(tenant.0))
    .bind(id_bytes(run.0))
    .fetch_all(&mut *reader)
    .await?;
    let packs = Packs::of(reader, &rows, &[PACK]).await?;
    let call = |row: &SqliteRow| {
        let record = packs.text(row, 3, PACK)?;
        Ok(Call {
            node: row.try_get(0)?,
            item: unsigned(row.try_get(1)?)?,
            attempt: unsigned(row.try_get(2)?)?,
            record: from_json(record.unwrap_or_default(), "a call's record")?,
        })
    };
    rows.iter().map(call).collect()
}

async fn event_view(
    reader: &mut SqliteConnection,
    tenant: TenantId,
    event: EventId,
) -> Result<Option<EventView>, Fault> {
    const PAYLOAD: usize = 4;
    let rows = sqlx::query(concat!(
        "SELECT e.source, e.dedupe_key, e.received_at, e.run_ids, ",
        payload_columns!(),
        " FROM event e",
        event_payload!(),
        " WHERE e.tenant_id = ? AND e.id = ?"
    ))
    .bind(id_bytes(tenant.0))
    .bind(id_bytes(event.0))
    .fetch_all(&mut *reader)
    .await?;
    let packs = Packs::of(reader, &rows, &[PAYLOAD + BODY_PACK]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let runs = bytes(row, 3)?.unwrap_or_default();
    Ok(Some(EventView {
        id: event,
        source: row.try_get(0)?,
        dedupe_key: key(row)?,
        payload: payload_of_event(row, PAYLOAD, &packs)?,
        received_at: time(row, 2)?,
        runs: split_ids(runs)?.into_iter().map(RunId).collect(),
    }))
}

fn key(row: &SqliteRow) -> Result<String, Fault> {
    match column(row, 1)? {
        Column::Text(text) => Ok(text.to_owned()),
        Column::Bytes(bytes) => Ok(dedupe_key(bytes)),
        _ => Err(Damaged("an event has no key".to_owned()).into()),
    }
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
    let packs = Packs::of(reader, &rows, &PACKS).await?;
    let (run_row, event) = read_with_event(row, &packs)?;
    Ok(Some(RunView {
        run: run_row,
        event,
        workflow_name: row.try_get(RUN_WITH_EVENT)?,
        available_at: maybe_time(row, RUN_WITH_EVENT + 1)?.and_then(due),
        steps: step_row::of_run(reader, tenant, run).await?,
    }))
}
