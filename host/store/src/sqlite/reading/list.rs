//! The query of a list of runs, newest first. It reads along an index whose order is the list's, so
//! that it costs what it shows and not what is stored; and never a run's output.

use sqlx::{QueryBuilder, Sqlite};
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{Page, RunFilter};
use tombolo_core::run::RunState;

use crate::record::{Shortened, correlation_id};
use crate::rows::run_columns;
use crate::sqlite::ids::id_bytes;

/// The states of the index `run_state`.
const INDEXED: [RunState; 3] = [RunState::Waiting, RunState::Failed, RunState::Cancelled];

/// Runs of these states all stand in `queue`.
const QUEUED: [RunState; 2] = [RunState::Queued, RunState::Running];

/// What is asked for.
pub(super) struct Asked<'a> {
    pub(super) tenant: TenantId,
    pub(super) filter: &'a RunFilter,
    pub(super) page: Page,
}

/// Where rows come from, in the order of the list. What the filter leaves out is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Runs of one correlation id.
    Correlation,
    /// Runs of one of [`INDEXED`].
    State(RunState),
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
    let mut ways: Vec<Way> = INDEXED.into_iter().filter(asked).map(Way::State).collect();
    if QUEUED.iter().any(asked) {
        ways.push(Way::Queue);
    }
    ways
}

impl Way {
    /// The tables, with the index named where statistics could mislead SQLite to another one.
    fn tables(self) -> &'static str {
        match self {
            Self::Correlation => "run r INDEXED BY run_correlation",
            Self::State(_) => "run r INDEXED BY run_state",
            Self::Queue => {
                "queue q CROSS JOIN run r ON r.tenant_id = q.tenant_id AND r.id = q.run_id"
            }
            Self::Workflow => "run r INDEXED BY run_workflow",
            Self::All => "run r",
        }
    }

    /// The tenant and the run's id, of the table that is read in order.
    fn key(self) -> (&'static str, &'static str) {
        match self {
            Self::Queue => ("q.tenant_id", "q.run_id"),
            _ => ("r.tenant_id", "r.id"),
        }
    }

    /// The states that this way has to show; empty for all.
    fn states(self, filter: &RunFilter) -> Vec<RunState> {
        let of = |states: &[RunState]| {
            states.iter().copied().filter(|state| filter.states.contains(state)).collect()
        };
        match self {
            Self::State(state) => vec![state],
            Self::Queue => of(&QUEUED),
            _ => of(&RunState::ALL),
        }
    }
}

/// The columns of a run, the workflow's name, and the id again, which the list is in order of.
pub(super) fn query(asked: &Asked<'_>) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("");
    for (n, way) in ways(asked.filter).into_iter().enumerate() {
        if n > 0 {
            // Each way is in order already: SQLite merges them, and reads no more than it shows.
            query.push(" UNION ALL ");
        }
        select(&mut query, way, asked);
    }
    query.push(" ORDER BY place DESC LIMIT ").push_bind(i64::from(asked.page.limit));
    query
}

fn select(query: &mut QueryBuilder<Sqlite>, way: Way, asked: &Asked<'_>) {
    let (tenant, id) = way.key();
    query.push(concat!("SELECT ", run_columns!(), "w.name, ")).push(id).push(" AS place FROM ");
    query.push(way.tables());
    query.push(
        " CROSS JOIN workflow w ON w.tenant_id = r.tenant_id AND w.id = r.workflow_id WHERE ",
    );
    query.push(tenant).push(" = ").push_bind(id_bytes(asked.tenant.0));
    if let Some(after) = asked.page.after {
        query.push(" AND ").push(id).push(" < ").push_bind(id_bytes(after.0.0));
    }
    narrow_states(query, &way.states(asked.filter));
    narrow(query, asked);
}

/// The names stand in the text: SQLite uses a partial index only for what it can read.
fn narrow_states(query: &mut QueryBuilder<Sqlite>, states: &[RunState]) {
    match states {
        [] => {}
        [state] => {
            query.push(format_args!(" AND r.state = '{}'", state.name()));
        }
        states => {
            let names: Vec<String> =
                states.iter().map(|state| format!("'{}'", state.name())).collect();
            query.push(format_args!(" AND r.state IN ({})", names.join(", ")));
        }
    }
}

/// Adds a condition for every other field that is set.
fn narrow(query: &mut QueryBuilder<Sqlite>, asked: &Asked<'_>) {
    let filter = asked.filter;
    if let Some(name) = &filter.workflow {
        query
            .push(" AND r.workflow_id = (SELECT id FROM workflow WHERE tenant_id = ")
            .push_bind(id_bytes(asked.tenant.0))
            .push(" AND name = ")
            .push_bind(name.clone())
            .push(")");
    }
    if let Some(since) = filter.since {
        query.push(" AND r.created_at >= ").push_bind(since.0);
    }
    if let Some(until) = filter.until {
        query.push(" AND r.created_at < ").push_bind(until.0);
    }
    if let Some(id) = &filter.correlation_id {
        query.push(" AND r.correlation_id = ");
        match correlation_id(id) {
            Shortened::Text(text) => query.push_bind(text),
            Shortened::Bytes(bytes) => query.push_bind(bytes),
        };
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use tombolo_core::clock::Timestamp;
    use tombolo_core::id::RunId;
    use tombolo_core::ports::store::Cursor;
    use uuid::Uuid;

    use super::*;
    use crate::sqlite::plans::{database, explain};

    /// One tenant with many runs, nearly all of which have succeeded.
    const RUNS: &str = "
        PRAGMA foreign_keys = OFF;
        INSERT INTO workflow VALUES (x'01', x'0a', 'deals', 1);
        WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 2000)
        INSERT INTO run (tenant_id, id, workflow_id, version, event_id, trigger_name, state,
            correlation_id, created_at)
          SELECT x'01', randomblob(16), x'0a', 1, x'', '',
            CASE n % 40 WHEN 0 THEN 'failed' WHEN 1 THEN 'waiting' WHEN 2 THEN 'queued'
              ELSE 'succeeded' END,
            'c' || n, n
          FROM n;
        INSERT INTO queue (run_id, tenant_id, available_at, lease_epoch, claims)
          SELECT id, tenant_id, 0, 0, 0 FROM run
          WHERE state IN ('queued', 'waiting');
        ANALYZE;";

    /// What SQLite says it will do, line by line, without what it does for the workflow's name.
    fn plan(connection: &Connection, filter: &RunFilter, after: Option<Cursor>) -> Vec<String> {
        let tenant = TenantId(Uuid::from_u128(1));
        let page = Page { after, limit: 50 };
        let query = query(&Asked { tenant, filter, page });
        let ours =
            |line: &String| line.contains(" r ") || line.contains(" q") || line.contains("B-TREE");
        explain(connection, query.sql().as_str()).into_iter().filter(ours).collect()
    }

    fn cases() -> Vec<(RunFilter, Vec<&'static str>)> {
        const ALL: &str = "SEARCH r USING PRIMARY KEY (tenant_id=?";
        const WORKFLOW: &str = "SEARCH r USING INDEX run_workflow (tenant_id=? AND workflow_id=?";
        const CORRELATION: &str =
            "SEARCH r USING INDEX run_correlation (tenant_id=? AND correlation_id=?";
        const STATE: &str = "SEARCH r USING INDEX run_state (tenant_id=? AND state=?";
        const RUN: &str = "SEARCH r USING PRIMARY KEY (tenant_id=? AND id=?)";
        use RunState::{Cancelled, Failed, Queued, Running, Succeeded, Waiting};
        let workflow = || RunFilter { workflow: Some("deals".to_owned()), ..RunFilter::default() };
        let correlation =
            || RunFilter { correlation_id: Some("c7".to_owned()), ..RunFilter::default() };
        let since = || RunFilter { since: Some(Timestamp(1)), ..RunFilter::default() };
        let until = || RunFilter { until: Some(Timestamp(9)), ..RunFilter::default() };
        let with = |states: &[RunState], filter| RunFilter { states: states.to_vec(), ..filter };
        let states = |states: &[RunState]| with(states, RunFilter::default());
        vec![
            (RunFilter::default(), vec![ALL]),
            (since(), vec![ALL]),
            (until(), vec![ALL]),
            (workflow(), vec![WORKFLOW]),
            (correlation(), vec![CORRELATION]),
            (RunFilter { workflow: Some("deals".to_owned()), ..correlation() }, vec![CORRELATION]),
            (states(&[Failed]), vec![STATE]),
            (states(&[Failed, Failed]), vec![STATE]),
            (states(&[Waiting, Failed, Cancelled]), vec![STATE, STATE, STATE]),
            (states(&[Queued]), vec!["SCAN q", RUN]),
            (states(&[Running, Queued]), vec!["SCAN q", RUN]),
            (states(&[Running, Waiting]), vec![STATE, "SCAN q", RUN]),
            (states(&[Succeeded]), vec![ALL]),
            (states(&RunState::ALL), vec![ALL]),
            (with(&[Failed], workflow()), vec![STATE]),
            (with(&[Failed], since()), vec![STATE]),
            (with(&[Succeeded, Failed], workflow()), vec![WORKFLOW]),
            (with(&[Failed], correlation()), vec![CORRELATION]),
        ]
    }

    #[test]
    fn every_filter_reads_along_an_index_and_sorts_nothing() {
        let connection = database();
        for statistics in [false, true] {
            if statistics {
                connection.execute_batch(RUNS).unwrap();
            }
            for (filter, expected) in cases() {
                let plan = plan(&connection, &filter, None);
                let as_expected = plan.len() == expected.len()
                    && plan.iter().zip(&expected).all(|(line, start)| line.starts_with(start));
                assert!(as_expected, "{filter:?}: {plan:#?}");
            }
        }
    }

    #[test]
    fn every_filter_starts_at_the_cursor() {
        let connection = database();
        connection.execute_batch(RUNS).unwrap();
        let after = Some(Cursor(RunId(Uuid::from_u128(9))));
        for (filter, _) in cases() {
            for line in plan(&connection, &filter, after) {
                let run_of_queue = line.ends_with("id=?)");
                let at_cursor = line.ends_with("id<?)");
                assert!(run_of_queue || at_cursor, "{filter:?}: {line}");
            }
        }
    }
}
