//! What plugins wrote while they worked, as far as a run holds it in memory.

use super::model::{Run, StepAt};
use crate::ports::sandbox::LogLine;
use crate::ports::store::StepRow;

/// Most that the logs of one run may take in memory, in bytes. An attempt's own bound is the
/// sandbox's; thousands of items that wait for their next attempt would add up.
pub const MAX_RUN_LOG_BYTES: usize = 16 * 1024 * 1024;

impl Run {
    /// Sets a step's logs, or says that there is no room for them.
    pub(super) fn set_logs(&mut self, at: StepAt, logs: Vec<LogLine>) {
        let before = log_bytes(&self.step(at).logs);
        let others = self.held_log_bytes.saturating_sub(before);
        let logs = if others.saturating_add(log_bytes(&logs)) <= MAX_RUN_LOG_BYTES {
            logs
        } else {
            vec![left_out(logs.len())]
        };
        self.held_log_bytes = others.saturating_add(log_bytes(&logs));
        self.step_mut(at).logs = logs;
    }

    /// Forgets the logs of a step that are stored and not written again.
    pub(super) fn forget_logs(&mut self, at: StepAt) {
        let row = match self.items.get_mut(&at.node) {
            Some(items) if at.is_item() => items.row_mut(at.item),
            _ => &mut self.steps[at.node],
        };
        let logs = std::mem::take(&mut row.logs);
        self.held_log_bytes = self.held_log_bytes.saturating_sub(log_bytes(&logs));
    }
}

/// What the logs of these steps take, in bytes.
pub(super) fn held<'a>(rows: impl Iterator<Item = &'a StepRow>) -> usize {
    rows.map(|row| log_bytes(&row.logs)).sum()
}

fn log_bytes(logs: &[LogLine]) -> usize {
    logs.iter().map(|line| size_of::<LogLine>() + line.level.len() + line.message.len()).sum()
}

fn left_out(lines: usize) -> LogLine {
    let message = format!(
        "{lines} lines are left out: the logs of the run take more than {MAX_RUN_LOG_BYTES} bytes (limit max_run_log_bytes)"
    );
    LogLine { level: "warn".to_owned(), message }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::error::{ErrorClass, StepError};
    use crate::ports::sandbox::Outcome;
    use crate::run::testing::{NOW, plan, run};
    use crate::run::{Failed, StepState};

    const BIG: usize = 1024 * 1024;

    fn lines() -> Vec<LogLine> {
        vec![LogLine { level: "info".to_owned(), message: "x".repeat(BIG) }]
    }

    /// A list of so many items, each of which waits for its second attempt.
    fn waiting(items: u32) -> Run {
        let node = json!({"each": {"items": "${ .trigger }", "limit": 100}});
        let mut run = run(plan(json!({"n": node})));
        let list: Vec<u32> = (0..items).collect();
        run.expand(0, json!(list).into(), NOW).unwrap();
        for item in 1..=items {
            let at = StepAt { node: 0, item };
            run.start(at, Some(json!(item).into()), NOW).unwrap();
            let failed = Failed { judged: None, now: NOW, jitter: 1.0 };
            let error = StepError::new(ErrorClass::Transient, "c", "m");
            run.fail(at, error, lines(), failed).unwrap();
        }
        run
    }

    #[test]
    fn the_logs_of_items_that_wait_are_bounded_together() {
        let mut run = waiting(40);
        let rows = run.take_changes();
        let held = held(rows.iter());
        assert!(held > MAX_RUN_LOG_BYTES / 2 && held < MAX_RUN_LOG_BYTES + BIG, "{held}");
        let last = &rows.last().unwrap().logs;
        assert!(last[0].message.contains("max_run_log_bytes"), "{}", last[0].message);
        // The next attempts give the room back.
        let later = NOW.plus(Duration::from_secs(3600));
        for item in 1..=20 {
            let at = StepAt { node: 0, item };
            run.start(at, None, later).unwrap();
            run.succeed(at, outcome(), Vec::new(), later).unwrap();
        }
        let at = StepAt { node: 0, item: 21 };
        run.start(at, None, later).unwrap();
        run.succeed(at, outcome(), lines(), later).unwrap();
        assert_eq!(run.step(at).logs, lines());
    }

    #[test]
    fn the_logs_of_results_are_not_held_once_they_are_stored() {
        let mut run = waiting(3);
        let at = StepAt { node: 0, item: 1 };
        run.start(at, None, NOW).unwrap();
        run.succeed(at, outcome(), lines(), NOW).unwrap();
        let rows = run.take_changes();
        let plan = Arc::clone(run.plan());
        run.slim(&rows);
        assert_eq!(run.step(at).logs, []);
        let restored = Run::restore(plan, rows).unwrap();
        assert_eq!(restored.step(at).state, StepState::Succeeded);
        assert_eq!(restored.step(at).logs, []);
        assert_eq!(
            restored.step(StepAt { node: 0, item: 2 }).logs,
            lines(),
            "it may be written again"
        );
    }

    fn outcome() -> Outcome {
        Outcome { output: json!(1).into(), ports: Vec::new() }
    }
}
