//! Watching a run until it ends. The stream of events only says when to look: what is shown is
//! always what the API answers for the whole run.

use std::time::Duration;

use serde_json::Value;

use super::client::Client;
use super::measure;
use super::problem::Failure;
use super::run_tree::Detail;
use super::run_view::{RunView, StepView, sign};
use super::sse::Decoder;
use super::terminal::{Style, Terminal, harmless, one_line};

/// How often a stream is opened anew without a word from it, before it is given up.
const MAX_SILENT_STREAMS: u32 = 5;

/// Between a stream's end and the next one.
const REOPEN_AFTER: Duration = Duration::from_millis(500);

/// Longest error in a line of change, in characters.
const MAX_ERROR: usize = 200;

/// Whether what changes on the way is said, and in which detail to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Said(Detail),
    Silent,
}

/// The run with all there is about its steps, if that is wanted.
pub(super) async fn with_steps(
    mut run: Value,
    detail: Detail,
    client: &Client,
) -> Result<Value, Failure> {
    if detail == Detail::Everything {
        let id = run["id"].as_str().unwrap_or_default().to_owned();
        run["steps"] = client.get(&["runs", &id, "steps"]).await?["items"].take();
    }
    Ok(run)
}

/// Follows the run to its end and gives it as the API answers it.
pub(super) async fn to_the_end(
    client: &Client,
    id: &str,
    progress: Progress,
    terminal: &mut Terminal,
) -> anyhow::Result<Value> {
    let mut watch = Watch { client, id, progress, seen: RunView::default(), terminal };
    let mut silent = 0;
    loop {
        if let Some(run) = watch.look().await? {
            return Ok(run);
        }
        let mut stream = client.events(&["runs", id, "events"]).await?;
        let mut decoder = Decoder::default();
        silent += 1;
        while let Some(bytes) = client.chunk(&mut stream).await {
            if decoder.feed(&bytes).is_empty() {
                continue;
            }
            silent = 0;
            if let Some(run) = watch.look().await? {
                return Ok(run);
            }
        }
        anyhow::ensure!(
            silent < MAX_SILENT_STREAMS,
            "the events of {id} ended {MAX_SILENT_STREAMS} times without one; \
             `tombolo run show {id}` shows where it stands"
        );
        tokio::time::sleep(REOPEN_AFTER).await;
    }
}

struct Watch<'a> {
    client: &'a Client,
    id: &'a str,
    progress: Progress,
    seen: RunView,
    terminal: &'a mut Terminal,
}

impl Watch<'_> {
    /// Asks where the run stands and says what is new. The run, if it has ended.
    async fn look(&mut self) -> anyhow::Result<Option<Value>> {
        let document = self.client.get(&["runs", self.id]).await?;
        let now: RunView = serde_json::from_value(document.clone())?;
        if now != self.seen
            && let Progress::Said(detail) = self.progress
        {
            if self.terminal.json {
                let document = with_steps(document.clone(), detail, self.client).await?;
                self.terminal.print_json_line(&document)?;
            } else {
                let lines = changes(&self.seen, &now, self.terminal.style);
                if !lines.is_empty() {
                    self.terminal.print(&lines.join("\n"))?;
                }
            }
        }
        let ended = now.ended();
        self.seen = now;
        Ok(ended.then_some(document))
    }
}

/// A line for each step that has moved, the first started first.
fn changes(before: &RunView, after: &RunView, style: Style) -> Vec<String> {
    let moved = |step: &&StepView| {
        let old = before.steps.iter().find(|old| (&old.node, old.item) == (&step.node, step.item));
        let old = old.map(|old| (old.state.as_str(), old.attempt));
        step.state != "pending" && old != Some((step.state.as_str(), step.attempt))
    };
    let mut steps: Vec<&StepView> = after.steps.iter().filter(moved).collect();
    steps.sort_by_key(|step| (step.started_at.is_none(), step.started_at, step.item));
    let many = |node: &str| after.steps.iter().filter(|step| step.node == node).count() > 1;
    steps.into_iter().map(|step| change(step, many(&step.node), style)).collect()
}

/// Steps of a for-each node, of which there are many, are told apart by their item.
fn change(step: &StepView, many: bool, style: Style) -> String {
    let (sign, colour) = sign(&step.state);
    let state = style.paint(colour, &format!("{sign} {:<9}", harmless(&step.state)));
    let mut line = format!("{state}  {}", harmless(&step.node));
    if many {
        line.push_str(&format!("[{}]", step.item));
    }
    if step.attempt > 1 {
        line.push_str(&format!("  attempt {}", step.attempt));
    }
    if let Some(ms) = step.duration_ms {
        line.push_str(&format!("  {}", measure::duration(ms)));
    }
    if !step.ports.is_empty() {
        line.push_str(&format!("  → {}", harmless(&step.ports.join(", "))));
    }
    if let Some(due) = step.due_at.filter(|_| step.state == "waiting") {
        line.push_str(&format!("  due {}", measure::time(due)));
    }
    if let Some(error) = &step.error {
        line.push_str(&format!(
            "  {}",
            one_line(&format!("{}: {}", error.code, error.message), MAX_ERROR)
        ));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::changes;
    use crate::cli::run_view::RunView;
    use crate::cli::terminal::Style;
    use serde_json::{Value, json};

    fn run(steps: Value) -> RunView {
        serde_json::from_value(json!({"id": "r", "state": "running", "steps": steps})).unwrap()
    }

    #[test]
    fn only_what_has_moved_is_said() {
        let before = run(json!([
            {"node": "a", "state": "running", "attempt": 1, "started_at": "2026-11-22T05:10:03.000Z"},
            {"node": "b", "state": "pending", "attempt": 0},
            {"node": "d", "state": "succeeded", "attempt": 1},
        ]));
        let after = run(json!([
            {"node": "b", "state": "running", "attempt": 1, "started_at": "2026-11-22T05:10:04.000Z"},
            {"node": "a", "state": "waiting", "attempt": 1, "started_at": "2026-11-22T05:10:03.000Z",
             "due_at": "2026-11-22T05:10:09.000Z", "error": {"code": "http-503", "message": "busy"}},
            {"node": "c", "state": "pending", "attempt": 0},
            {"node": "d", "state": "succeeded", "attempt": 1},
        ]));
        let style = Style { enabled: false };
        assert_eq!(
            changes(&before, &after, style),
            ["◷ waiting    a  due 2026-11-22 05:10:09Z  http-503: busy", "● running    b"]
        );
        assert!(changes(&after, &after, style).is_empty());
    }
}
