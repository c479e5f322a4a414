//! The query of a list of runs, newest first. It reads along an index whose order is the list's, so
//! that it costs what it shows and not what is stored; and never a run's output.
//!
//! No table stands beside the one that gives the order: PostgreSQL, which knows little of how many
//! rows a tenant has, might begin with the other one. So the workflow's name is asked for by row, and
//! LATERAL with a LIMIT looks up one run after the other.

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
    /// The table that is read in order, with its columns of the tenant and the run's id.
    fn table(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::EndedBadly(_) => ("run_ended_badly b", "b.tenant_id", "b.run_id"),
            Self::Queue => ("queue q", "q.tenant_id", "q.run_id"),
            Self::Correlation | Self::Workflow | Self::All => ("run r", "r.tenant_id", "r.id"),
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
    let ways = ways(asked.filter);
    if let [way] = *ways {
        select(&mut query, way, tenant, asked);
        order(&mut query, asked);
        return query;
    }
    for (n, way) in ways.into_iter().enumerate() {
        query.push(if n == 0 { "(" } else { " UNION ALL (" });
        // Each way stops where the list does.
        select(&mut query, way, tenant, asked);
        order(&mut query, asked);
        query.push(")");
    }
    order(&mut query, asked);
    query
}

fn order(query: &mut QueryBuilder<Postgres>, asked: &Asked<'_>) {
    query.push(" ORDER BY place DESC LIMIT ").push_bind(i64::from(asked.page.limit));
}

fn select(query: &mut QueryBuilder<Postgres>, way: Way, tenant: TenantId, asked: &Asked<'_>) {
    let (table, tenant_of_key, id) = way.table();
    query.push(concat!(
        "SELECT ",
        run_columns!(),
        "(SELECT w.name FROM workflow w
          WHERE w.tenant_id = r.tenant_id AND w.id = r.workflow_id), "
    ));
    query.push(id).push(" AS place FROM ").push(table);
    match way {
        Way::Correlation | Way::Workflow | Way::All => {
            query.push(" WHERE ");
            from_cursor(query, (tenant_of_key, id), tenant, asked);
            narrow(query, way, tenant, asked.filter);
        }
        Way::EndedBadly(_) | Way::Queue => {
            query.push(" CROSS JOIN LATERAL (SELECT * FROM run r WHERE r.tenant_id = ");
            query.push_bind(tenant.0).push(" AND r.id = ").push(id);
            narrow(query, way, tenant, asked.filter);
            query.push(" LIMIT 1) r WHERE ");
            from_cursor(query, (tenant_of_key, id), tenant, asked);
        }
    }
    if let Way::EndedBadly(state) = way {
        query.push(" AND b.state = ").push_bind(state.name());
    }
}

fn from_cursor(
    query: &mut QueryBuilder<Postgres>,
    (tenant_of_key, id): (&str, &str),
    tenant: TenantId,
    asked: &Asked<'_>,
) {
    query.push(tenant_of_key).push(" = ").push_bind(tenant.0);
    if let Some(after) = asked.page.after {
        query.push(" AND ").push(id).push(" < ").push_bind(after.0.0);
    }
}

/// Adds a condition for every other field that is set.
fn narrow(query: &mut QueryBuilder<Postgres>, way: Way, tenant: TenantId, filter: &RunFilter) {
    let states = way.states(filter);
    if !states.is_empty() {
        let names: Vec<&str> = states.iter().map(|state| state.name()).collect();
        query.push(" AND r.state = ANY(").push_bind(names).push(")");
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_every_state_are_on_one_way_only() {
        for state in RunState::ALL {
            let filter = RunFilter { states: vec![state], ..RunFilter::default() };
            let ways = ways(&filter);
            assert_eq!(ways.len(), 1, "{state:?}");
            assert_eq!(ways[0].states(&filter), [state]);
        }
        let badly_or_queued = [RunState::Waiting, RunState::Failed, RunState::Failed];
        let filter = RunFilter { states: badly_or_queued.to_vec(), ..RunFilter::default() };
        assert_eq!(ways(&filter), [Way::EndedBadly(RunState::Failed), Way::Queue]);
        let filter = RunFilter { states: RunState::ALL.to_vec(), ..RunFilter::default() };
        assert_eq!(ways(&filter), [Way::All]);
    }
}
