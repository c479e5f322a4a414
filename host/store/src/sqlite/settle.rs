//! Settle: results of runs, under their leases.
//!
//! Every settle is checked first, in memory, against what the batch has read and what the settles
//! before it change. Those that pass are written together, table by table.

use sqlx::SqliteConnection;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::StoreError;
use tombolo_core::run::RunState;

use super::bulk::{Bulk, Part, id_list, insert};
use super::error::Fault;
use super::leases::Leases;
use super::payload;
use super::state::States;
use crate::group::Pending;
use crate::record::{Body, Outcome, SettleItem};

static STEPS: Bulk = Bulk::new(&[insert!(
    "step (tenant_id, run_id, node, item, state, attempt, spent, input, input_hash,
       output, output_hash, ports, error, due_at, started_at, ended_at, plugin, logs)",
    18,
    "ON CONFLICT (tenant_id, run_id, node, item) DO UPDATE SET state = excluded.state,
       attempt = excluded.attempt, spent = excluded.spent, input = excluded.input,
       input_hash = excluded.input_hash, output = excluded.output,
       output_hash = excluded.output_hash, ports = excluded.ports, error = excluded.error,
       due_at = excluded.due_at, started_at = excluded.started_at, ended_at = excluded.ended_at,
       plugin = excluded.plugin, logs = excluded.logs"
)]);

static EFFECTS: Bulk = Bulk::new(&[insert!(
    "effect (tenant_id, run_id, node, item, attempt, sequence, record)",
    7,
    "ON CONFLICT (tenant_id, run_id, node, item, attempt, sequence)
       DO UPDATE SET record = excluded.record"
)]);

static RUNS: Bulk = Bulk::new(&[Part::list(
    "WITH v (tenant_id, id, state, ended_at, error, output, output_hash) AS (",
    7,
    ") UPDATE run SET state = v.state, ended_at = v.ended_at, error = v.error, output = v.output,
         output_hash = v.output_hash
       FROM v WHERE run.tenant_id = v.tenant_id AND run.id = v.id",
)]);

static PARKED: Bulk = Bulk::new(&[Part::list(
    "WITH v (run_id, available_at) AS (",
    2,
    ") UPDATE queue SET available_at = v.available_at, lease_owner = NULL, claims = 0
       FROM v WHERE queue.run_id = v.run_id",
)]);

/// Writes all settles of a batch.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    settles: &mut [Pending<Box<SettleItem>, ()>],
    mut leases: Leases,
) -> Result<(), Fault> {
    if settles.is_empty() {
        return Ok(());
    }
    let mut states = States::load(connection, settles).await?;
    let mut changes = Changes::default();
    let mut passed: Vec<&SettleItem> = Vec::with_capacity(settles.len());
    let mut outcomes = Vec::with_capacity(settles.len());
    for pending in settles.iter() {
        let item = pending.ask.as_ref();
        let outcome = check(item, &leases, &mut states);
        if outcome.is_ok() {
            changes.note(item, &mut leases);
            passed.push(item);
        }
        outcomes.push(outcome);
    }
    write_results(connection, &passed).await?;
    changes.write(connection).await?;
    states.write(connection).await?;
    for (pending, outcome) in settles.iter_mut().zip(outcomes) {
        pending.set(outcome);
    }
    Ok(())
}

/// The fence, then the state entries: either may refuse the whole settle.
fn check(item: &SettleItem, leases: &Leases, states: &mut States) -> Result<(), StoreError> {
    let run = item.lease.run;
    let held = leases.get(&run).filter(|held| held.tenant == item.tenant && held.is(&item.lease));
    if held.is_none() {
        return Err(StoreError::LeaseLost { run });
    }
    states.change(item)
}

async fn write_results(
    connection: &mut SqliteConnection,
    passed: &[&SettleItem],
) -> Result<(), Fault> {
    let payloads: Vec<_> = passed.iter().flat_map(|item| &item.payloads).collect();
    payload::insert(connection, &payloads).await?;
    let steps: Vec<_> =
        passed.iter().flat_map(|item| item.steps.iter().map(|step| (*item, step))).collect();
    STEPS
        .run(connection, &steps, |_, args, (item, step)| {
            args.id(item.tenant.0)
                .id(item.lease.run.0)
                .text(&step.node)
                .number(step.item.into())
                .text(step.state)
                .number(step.attempt.into())
                .number(step.spent.into())
                .shared_text(step.input.text.as_ref())
                .hash(step.input.hash)
                .shared_text(step.output.text.as_ref())
                .hash(step.output.hash)
                .maybe_text(step.ports.as_deref())
                .maybe_text(step.error.as_deref())
                .maybe_time(step.due_at)
                .maybe_time(step.started_at)
                .maybe_time(step.ended_at)
                .hash(step.plugin)
                .maybe_text(step.logs.as_deref());
        })
        .await?;
    let effects: Vec<_> =
        passed.iter().flat_map(|item| item.effects.iter().map(|effect| (*item, effect))).collect();
    EFFECTS
        .run(connection, &effects, |_, args, (item, effect)| {
            args.id(item.tenant.0)
                .id(item.lease.run.0)
                .text(&effect.node)
                .number(effect.item.into())
                .number(effect.attempt.into())
                .number(effect.sequence.into())
                .text(&effect.record);
        })
        .await?;
    Ok(())
}

/// What becomes of the runs of a batch, gathered by statement.
#[derive(Default)]
struct Changes<'a> {
    runs: Vec<RunChange<'a>>,
    parked: Vec<(RunId, Timestamp)>,
    ended: Vec<RunId>,
    unclaimed: Vec<RunId>,
}

struct RunChange<'a> {
    tenant: TenantId,
    run: RunId,
    state: RunState,
    ended_at: Option<Timestamp>,
    error: Option<&'a str>,
    output: Option<&'a Body>,
}

impl<'a> Changes<'a> {
    /// Notes what a settle does to its run, in `leases` too: a later settle of the same run in this
    /// batch has no lease any more once the run was given back.
    fn note(&mut self, item: &'a SettleItem, leases: &mut Leases) {
        let (tenant, run) = (item.tenant, item.lease.run);
        match &item.next {
            Outcome::Hold => {
                if let Some(held) = leases.get_mut(&run)
                    && held.claims > 0
                {
                    held.claims = 0;
                    self.unclaimed.push(run);
                }
            }
            Outcome::Park { state, available_at } => {
                leases.remove(&run);
                self.parked.push((run, *available_at));
                self.runs.push(RunChange {
                    tenant,
                    run,
                    state: *state,
                    ended_at: None,
                    error: None,
                    output: None,
                });
            }
            Outcome::End { state, ended_at, output, error } => {
                leases.remove(&run);
                self.ended.push(run);
                self.runs.push(RunChange {
                    tenant,
                    run,
                    state: *state,
                    ended_at: Some(*ended_at),
                    error: error.as_deref(),
                    output: Some(output),
                });
            }
        }
    }

    async fn write(&self, connection: &mut SqliteConnection) -> Result<(), Fault> {
        RUNS.run(connection, &self.runs, |_, args, change| {
            args.id(change.tenant.0)
                .id(change.run.0)
                .text(change.state.name())
                .maybe_time(change.ended_at)
                .maybe_text(change.error)
                .shared_text(change.output.and_then(|output| output.text.as_ref()))
                .hash(change.output.and_then(|output| output.hash));
        })
        .await?;
        PARKED
            .run(connection, &self.parked, |_, args, (run, available_at)| {
                args.id(run.0).time(*available_at);
            })
            .await?;
        by_runs(
            connection,
            "DELETE FROM queue WHERE run_id IN (SELECT unhex(value) FROM json_each(?))",
            &self.ended,
        )
        .await?;
        by_runs(
            connection,
            "UPDATE queue SET claims = 0 WHERE run_id IN (SELECT unhex(value) FROM json_each(?))",
            &self.unclaimed,
        )
        .await
    }
}

async fn by_runs(
    connection: &mut SqliteConnection,
    statement: &'static str,
    runs: &[RunId],
) -> Result<(), Fault> {
    if !runs.is_empty() {
        sqlx::query(statement)
            .bind(id_list(runs.iter().map(|run| run.0)))
            .execute(connection)
            .await?;
    }
    Ok(())
}
