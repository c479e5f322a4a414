//! The states of runs and steps, and the one function that changes a step's state.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Accepted, not claimed yet.
    Queued,
    /// Held by a worker.
    Running,
    /// Parked until a time or an event.
    Waiting,
    /// Ended: every step came to a good end or was handled.
    Succeeded,
    /// Ended: nothing can go on, and a step is dead or unknown.
    Failed,
    /// Ended by request or deadline.
    Cancelled,
}

impl RunState {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Running,
        Self::Waiting,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name as written in JSON and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// True if nothing changes any more.
    pub fn ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// Not started.
    Pending,
    /// An attempt is under way.
    Running,
    /// Waits: for its next attempt, for a time, for its items, or for something from outside.
    Waiting,
    /// Done, with an output.
    Succeeded,
    /// Not needed: its condition is false, or no live edge leads to it.
    Skipped,
    /// Its attempts are spent.
    Dead,
    /// Nobody can know whether it took effect.
    Unknown,
    /// The run was ended before it was done.
    Cancelled,
}

impl StepState {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Running,
        Self::Waiting,
        Self::Succeeded,
        Self::Skipped,
        Self::Dead,
        Self::Unknown,
        Self::Cancelled,
    ];

    /// The name as written in JSON and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Skipped => "skipped",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// True if the step does not go on by itself.
    pub fn ended(self) -> bool {
        !matches!(self, Self::Pending | Self::Running | Self::Waiting)
    }
}

/// What happens to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepEvent {
    /// An attempt starts.
    Start,
    /// The attempt gave an output.
    Succeed,
    /// The attempt failed, another one follows.
    Delay,
    /// It has begun, and goes on when a time has come, its items are done, or somebody says so.
    Suspend,
    /// What it waited for is there.
    Complete,
    /// The attempt failed, no other follows; or the step cannot even start.
    Die,
    /// The attempt, or one of a list's items, may have taken effect: nobody knows.
    Lose,
    /// A worker died during the attempt, which may be repeated.
    Abandon,
    /// Not needed.
    Skip,
    /// The run ends.
    Cancel,
    /// A person lets it try again.
    Redrive,
    /// A person has looked up what nobody knew.
    Resolve,
}

/// A transition that the laws do not know: a broken invariant of ours, or damaged stored data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a step that is {} cannot {event:?}", state.name())]
pub struct Illegal {
    /// Where the step stood.
    pub state: StepState,
    /// What was to happen.
    pub event: StepEvent,
}

impl StepState {
    /// The one place where a step's state changes: for live writes and for recovery alike.
    pub fn after(self, event: StepEvent) -> Result<Self, Illegal> {
        use StepEvent as E;
        match (self, event) {
            (Self::Pending | Self::Waiting, E::Start) => Ok(Self::Running),
            (Self::Running, E::Succeed) => Ok(Self::Succeeded),
            (Self::Running, E::Delay | E::Suspend) => Ok(Self::Waiting),
            (Self::Waiting, E::Complete) => Ok(Self::Succeeded),
            (Self::Pending | Self::Running | Self::Waiting, E::Die) => Ok(Self::Dead),
            (Self::Running | Self::Waiting, E::Lose) => Ok(Self::Unknown),
            (Self::Running, E::Abandon) => Ok(Self::Pending),
            (Self::Pending, E::Skip) => Ok(Self::Skipped),
            (Self::Pending | Self::Running | Self::Waiting, E::Cancel) => Ok(Self::Cancelled),
            (Self::Dead | Self::Unknown | Self::Cancelled, E::Redrive) => Ok(Self::Pending),
            (Self::Dead | Self::Unknown, E::Resolve) => Ok(Self::Succeeded),
            (state, event) => Err(Illegal { state, event }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [StepEvent; 12] = [
        StepEvent::Start,
        StepEvent::Succeed,
        StepEvent::Delay,
        StepEvent::Suspend,
        StepEvent::Complete,
        StepEvent::Die,
        StepEvent::Lose,
        StepEvent::Abandon,
        StepEvent::Skip,
        StepEvent::Cancel,
        StepEvent::Redrive,
        StepEvent::Resolve,
    ];

    #[test]
    fn only_a_person_leads_out_of_an_end_state_and_never_out_of_a_result() {
        for state in StepState::ALL.into_iter().filter(|state| state.ended()) {
            for event in EVENTS {
                let by_a_person = matches!(event, StepEvent::Redrive | StepEvent::Resolve);
                let is_result = matches!(state, StepState::Succeeded | StepState::Skipped);
                if is_result || !by_a_person {
                    assert_eq!(state.after(event), Err(Illegal { state, event }));
                }
            }
        }
    }

    #[test]
    fn a_step_that_goes_on_can_always_be_cancelled() {
        for state in StepState::ALL.into_iter().filter(|state| !state.ended()) {
            assert_eq!(state.after(StepEvent::Cancel), Ok(StepState::Cancelled));
        }
    }

    #[test]
    fn only_a_running_attempt_has_a_result() {
        for state in StepState::ALL {
            assert_eq!(state.after(StepEvent::Succeed).is_ok(), state == StepState::Running);
        }
    }

    #[test]
    fn names_read_back() {
        for state in StepState::ALL {
            assert_eq!(StepState::parse(state.name()), Some(state));
        }
        for state in RunState::ALL {
            assert_eq!(RunState::parse(state.name()), Some(state));
        }
        assert_eq!(RunState::parse("done"), None);
    }
}
