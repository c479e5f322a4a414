//! Which steps can start: edges, joins, and the lists of for-each nodes.

use serde_json::{Value, json};

use super::model::{Run, StepAt};
use super::state::{Illegal, StepEvent, StepState};
use crate::clock::Timestamp;
use crate::error::{ErrorClass, StepError};
use crate::json::Json;
use crate::workflow::{Edge, Join, NodeIndex, OnError, OnItemError, Port};

/// What an edge tells the node at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    /// Not known yet.
    Open,
    /// Taken.
    Live,
    /// Not taken, and never will be.
    Dead,
    /// Not taken because of a failure that nobody handles; a redrive may still take it.
    Blocked,
}

/// What a node that has not started should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Wait,
    Start,
    Skip,
}

impl Run {
    /// Skips what is not needed, ends lists that are done, and hands out the steps that can start
    /// or try again now, in the plan's order. A step is handed out once.
    pub fn ready(&mut self, now: Timestamp) -> Result<Vec<StepAt>, Illegal> {
        let mut ready = Vec::new();
        // Nodes stand in topological order, so one pass carries a skip to the end of its path.
        for node in 0..self.steps.len() {
            let at = StepAt::from(node);
            match self.steps[node].state {
                _ if self.taken.contains(&at) => {}
                StepState::Pending if self.steps[node].due_at.is_some_and(|due| due > now) => {}
                StepState::Pending => match self.verdict(node) {
                    Verdict::Wait => {}
                    Verdict::Start => ready.push(at),
                    Verdict::Skip => self.skip(at, now)?,
                },
                StepState::Waiting if self.items.contains_key(&node) => {
                    self.ready_items(node, now, &mut ready);
                    self.end_list(node, now)?;
                }
                StepState::Waiting if self.steps[node].due_at.is_some_and(|due| due <= now) => {
                    ready.push(at);
                }
                _ => {}
            }
        }
        self.taken.extend(&ready);
        Ok(ready)
    }

    fn verdict(&self, at: NodeIndex) -> Verdict {
        let node = &self.plan.nodes[at];
        if node.inputs.is_empty() {
            return Verdict::Start;
        }
        let mut met = [false; 4];
        for edge in &node.inputs {
            met[self.signal(edge) as usize] = true;
        }
        let any = |wanted: Signal| met[wanted as usize];
        match node.join {
            Join::Any if any(Signal::Live) => Verdict::Start,
            _ if any(Signal::Open) || any(Signal::Blocked) => Verdict::Wait,
            _ if any(Signal::Live) => Verdict::Start,
            _ => Verdict::Skip,
        }
    }

    fn signal(&self, edge: &Edge) -> Signal {
        let step = &self.steps[edge.from];
        let taken = |yes: bool| if yes { Signal::Live } else { Signal::Dead };
        match step.state {
            StepState::Pending | StepState::Running | StepState::Waiting => Signal::Open,
            StepState::Skipped | StepState::Cancelled => Signal::Dead,
            StepState::Succeeded => match &edge.port {
                Port::Done => Signal::Live,
                Port::Error | Port::Conflict => Signal::Dead,
                Port::Named(port) => taken(step.ports.contains(port)),
            },
            StepState::Dead => self.signal_of_failure(edge),
            StepState::Unknown => Signal::Blocked,
        }
    }

    fn signal_of_failure(&self, edge: &Edge) -> Signal {
        let node = &self.plan.nodes[edge.from];
        let class = self.steps[edge.from].error.as_ref().map(|error| error.class);
        // A conflict goes its own way where there is one, and the way of errors otherwise.
        let by_conflict = node.has_conflict_edge && class == Some(ErrorClass::Conflict);
        match &edge.port {
            Port::Conflict if by_conflict => Signal::Live,
            Port::Error if !by_conflict => Signal::Live,
            Port::Done if node.on_error == OnError::Continue => Signal::Live,
            _ if node.handles(class) => Signal::Dead,
            _ => Signal::Blocked,
        }
    }

    /// True if no further item of the list is to start.
    fn halted(&self, node: NodeIndex) -> bool {
        let stops = self.plan.nodes[node]
            .each
            .as_ref()
            .is_some_and(|each| each.on_item_error == OnItemError::Fail);
        stops && self.items.get(&node).is_some_and(|items| items.first_failed().is_some())
    }

    fn ready_items(&self, node: NodeIndex, now: Timestamp, ready: &mut Vec<StepAt>) {
        let (Some(items), Some(each)) = (self.items.get(&node), &self.plan.nodes[node].each) else {
            return;
        };
        let at = |item| StepAt { node, item };
        let busy = self.taken.range(at(1)..=at(u32::MAX)).count();
        let is_taken = |item| self.taken.contains(&at(item));
        let next = items.next(now, each.limit, busy, is_taken, self.halted(node));
        ready.extend(next.into_iter().map(at));
    }

    /// Gives a for-each node its list: its items can start. A list without items is done.
    pub fn expand(&mut self, node: NodeIndex, list: Json, now: Timestamp) -> Result<(), Illegal> {
        let at = StepAt::from(node);
        self.change(at, StepEvent::Start)?;
        self.change(at, StepEvent::Suspend)?;
        let step = self.step_mut(at);
        step.attempt += 1;
        step.started_at.get_or_insert(now);
        (step.error, step.due_at) = (None, None);
        self.set_input(at, Some(list));
        let count = self.list_length(node).unwrap_or(0);
        self.items.insert(node, super::items::Items::new(&self.plan.nodes[node].name, count));
        self.end_list(node, now)
    }

    /// Ends a for-each node none of whose items goes on. An item of which nobody knows whether it took
    /// effect is neither skipped nor handled, whatever the policy: the node is unknown with it.
    fn end_list(&mut self, node: NodeIndex, now: Timestamp) -> Result<(), Illegal> {
        let halted = self.halted(node);
        let at = |item| StepAt { node, item };
        let under_way = self.taken.range(at(1)..=at(u32::MAX)).next().is_some();
        let Some(items) = self.items.get(&node) else {
            return Ok(());
        };
        if under_way || !items.settled(halted) {
            return Ok(());
        }
        if let Some(error) = items.first_unknown().map(failure_of) {
            return self.lose(StepAt::from(node), error, now);
        }
        let failed = items.first_failed().filter(|_| halted).map(failure_of);
        let output: Json = match failed {
            Some(error) => return self.refuse(StepAt::from(node), error, now),
            None => self.collected(node).into(),
        };
        if let Err(error) = self.admit(output.text().len()) {
            return self.refuse(StepAt::from(node), error, now);
        }
        self.change(StepAt::from(node), StepEvent::Complete)?;
        self.set_output(StepAt::from(node), Some(output));
        self.step_mut(StepAt::from(node)).ended_at = Some(now);
        Ok(())
    }

    /// The outputs of a list's items, in order.
    fn collected(&self, node: NodeIndex) -> Value {
        let collects = self.plan.nodes[node]
            .each
            .as_ref()
            .is_some_and(|each| each.on_item_error == OnItemError::Collect);
        let rows = self.items.get(&node).into_iter().flat_map(|items| items.rows());
        rows.filter_map(|row| match row.state {
            StepState::Succeeded => {
                Some(row.output.as_ref().map_or(Value::Null, |output| output.value().clone()))
            }
            _ if collects => Some(json!({ "error": row.error })),
            _ => None,
        })
        .collect()
    }
}

/// The failure of a for-each node, from the first of its items that failed.
pub(super) fn failure_of(item: &crate::ports::store::StepRow) -> StepError {
    let mut error = item.error.clone().unwrap_or_else(|| {
        StepError::new(ErrorClass::Permanent, "no-error-stored", "the item failed")
    });
    error.message = format!("item {}: {}", item.item, error.message);
    error
}
