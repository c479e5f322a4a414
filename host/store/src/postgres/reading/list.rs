//! The query of a list of runs, newest first. It reads along an index whose order is the list's, so
//! that it costs what it shows and not what is stored; and never a run's output.

use sqlx::{Postgres, QueryBuilder};
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{Page, RunFilter};
use tombolo_core::run::RunState;

use crate::postgres::any;
use crate::postgres::text::text;
use crate::record::correlation_id;
use crate::rows::run_columns;

/// Runs of these states all stand in `run_ended_badly`.
const ENDED_BADLY: [RunState; 2] = [RunState::Failed, RunState::Cancelled];

/// Runs of these states all stand in `queue`.
const QUEUED: [RunState; 3] = [RunState::Queued, RunState::Running, RunState::Waiting];

/// What is asked for.
pub(super) struct Asked<'a> {
    pub(super) filter: &'a RunFilter,
    pub(super) page: Page,
}

/// Where rows come from, in the order of the list. What the filter leaves out is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Runs of one correlation id.
    Correlation,
    /// Runs of one of [`ENDED_BADLY`].
    EndedBadly(RunState),
    /// Runs that have not ended.
    Queue,
    /// Runs of one workflow.
    Workflow,
    /// All runs.
    All,
}

/// The ways that pass over the least. No run is on two of them.
fn ways(filter: &RunFilter) -> Vec<Way> {
    if filter.correlation_id.is_some() {
        return vec![Way::Correlation];
    }
    // Nearly all runs succeed: an index would have nothing to pass over.
    if filter.states.is_empty() || filter.states.contains(&RunState::Succeeded) {
        return vec![if filter.workflow.is_some() { Way::Workflow } else { Way::All }];
    }
    let asked = |state: &RunState| filter.states.contains(state);
    let mut ways: Vec<Way> = ENDED_BADLY.into_iter().filter(asked).map(Way::EndedBadly).collect();
    if QUEUED.iter().any(asked) {
        ways.push(Way::Queue);
    }
    ways
}

impl Way {
    fn tables(self) -> &'static str {
        match self {
            Self::EndedBadly(_) => {
                "run_ended_badly b JOIN run r ON r.tenant_id = b.tenant_id AND r.id = b.run_id"
            }
            Self::Queue => "queue q JOIN run r ON r.tenant_id = q.tenant_id AND r.id = q.run_id",
            Self::Correlation | Self::Workflow | Self::All => "run r",
        }
    }

    /// The tenant and the run's id, of the table that is read in order.
    fn key(self) -> (&'static str, &'static str) {
        match self {
            Self::EndedBadly(_) => ("b.tenant_id", "b.run_id"),
            Self::Queue => ("q.tenant_id", "q.run_id"),
            Self::Correlation | Self::Workflow | Self::All => ("r.tenant_id", "r.id"),
        }
    }

    /// The states that this way has to show; empty for all.
    fn states(self, filter: &RunFilter) -> Vec<RunState> {
        match self {
            Self::EndedBadly(state) => vec![state],
            // One that had ended and is repaired stands in the queue, too.
            Self::Queue => {
                QUEUED.into_iter().filter(|state| filter.states.contains(state)).collect()
            }
            Self::Correlation | Self::Workflow | Self::All => filter.states.clone(),
        }
    }
}

/// The columns of a run, the workflow's name, and the id again, which the list is in order of.
pub(super) fn query(tenant: TenantId, asked: &Asked<'_>) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("");
    for (n, way) in ways(asked.filter).into_iter().enumerate() {
        if n > 0 {
            query.push(" UNION ALL ");
        }
        // Each way stops where the list does.
        query.push("(");
        select(&mut query, way, tenant, asked);
        query.push(" ORDER BY place DESC LIMIT ").push_bind(i64::from(asked.page.limit)).push(")");
    }
    query.push(" ORDER BY place DESC LIMIT ").push_bind(i64::from(asked.page.limit));
    query
}

fn select(query: &mut QueryBuilder<Postgres>, way: Way, tenant: TenantId, asked: &Asked<'_>) {
    let (tenant_of_key, id) = way.key();
    query.push(concat!("SELECT ", run_columns!(), "w.name, ")).push(id).push(" AS place FROM ");
    query.push(way.tables());
    query.push(" JOIN workflow w ON w.tenant_id = r.tenant_id AND w.id = r.workflow_id WHERE ");
    query.push(tenant_of_key).push(" = ").push_bind(tenant.0);
    if let Some(after) = asked.page.after {
        query.push(" AND ").push(id).push(" < ").push_bind(after.0.0);
    }
    if let Way::EndedBadly(state) = way {
        query.push(" AND b.state = ").push_bind(state.name());
    }
    let states = way.states(asked.filter);
    if !states.is_empty() {
        let names: Vec<&str> = states.iter().map(|state| state.name()).collect();
        query.push(" AND r.state = ANY(").push_bind(names).push(")");
    }
    narrow(query, tenant, asked.filter);
}

/// Adds a condition for every other field that is set.
fn narrow(query: &mut QueryBuilder<Postgres>, tenant: TenantId, filter: &RunFilter) {
    if let Some(name) = &filter.workflow {
        query
            .push(" AND r.workflow_id = (SELECT id FROM workflow WHERE tenant_id = ")
            .push_bind(tenant.0)
            .push(" AND name = ")
            .push_bind(text(name).into_owned())
            .push(")");
    }
    if let Some(since) = filter.since {
        query.push(" AND r.created_at >= ").push_bind(since.0);
    }
    if let Some(until) = filter.until {
        query.push(" AND r.created_at < ").push_bind(until.0);
    }
    if let Some(id) = &filter.correlation_id {
        query.push(" AND r.correlation_id = ").push_bind(any::shortened(&correlation_id(id)));
    }
}
