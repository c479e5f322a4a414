//! Why nothing was repaired, as problems.

use std::time::Duration;

use tombolo_core::ports::repair::RepairError;
use tombolo_core::run::CannotRepair;

use super::{Kind, Problem};

/// Somebody has the run for as long as its next steps take.
const BUSY_RETRY: Duration = Duration::from_secs(1);

impl From<RepairError> for Problem {
    fn from(error: RepairError) -> Self {
        let text = error.to_string();
        match error {
            RepairError::UnknownRun(_) => Self::new(Kind::RunNotFound, text),
            RepairError::Busy(_) => Self::new(Kind::RunBusy, text).retry_after(BUSY_RETRY),
            RepairError::Cannot(reason) => reason.into(),
            RepairError::NoSuchNode(_) => {
                Self::new(Kind::InvalidBody, text).with("pointer", "/from/node")
            }
            RepairError::NoPlan { code: "version-missing", .. } => {
                Self::new(Kind::VersionNotFound, text)
            }
            RepairError::NoPlan { .. } => Self::new(Kind::VersionUnusable, text),
            RepairError::NotEnded(state) => {
                Self::new(Kind::RunNotEnded, text).with("state", state.name())
            }
            RepairError::TakesNoSignal(_) => Self::new(Kind::TakesNoSignal, text),
            RepairError::Store(error) => error.into(),
        }
    }
}

impl From<CannotRepair> for Problem {
    fn from(reason: CannotRepair) -> Self {
        let text = reason.to_string();
        match reason {
            CannotRepair::NoSuchStep { .. } => Self::new(Kind::StepNotFound, text),
            CannotRepair::NotDead { state, .. } => {
                Self::new(Kind::StepNotDead, text).with("state", state.name())
            }
            CannotRepair::NothingDead => Self::new(Kind::NothingDead, text),
            CannotRepair::Unknown { node } => {
                Self::new(Kind::OutcomeUnknown, text).with("node", node)
            }
            CannotRepair::ItemUnknown { node, item } => {
                Self::new(Kind::OutcomeUnknown, text).with("node", node).with("item", item)
            }
            CannotRepair::ListDone { node, item } => {
                Self::new(Kind::StepNotDead, text).with("node", node).with("item", item)
            }
            CannotRepair::OutputOfList { .. } => {
                Self::new(Kind::InvalidBody, text).with("pointer", "/item")
            }
            CannotRepair::NoLetter { node } => {
                Self::new(Kind::StepNotDead, text).with("node", node)
            }
            CannotRepair::InputOfList { .. } | CannotRepair::InputOfCall { .. } => {
                Self::new(Kind::InvalidBody, text).with("pointer", "/input")
            }
            CannotRepair::InputWithoutStep => {
                Self::new(Kind::InvalidBody, text).with("pointer", "/node")
            }
            CannotRepair::Illegal(_) => Self::internal(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use tombolo_core::run::{Illegal, RunState, StepEvent, StepState};

    use super::*;

    #[test]
    fn a_repair_is_refused_under_the_code_of_its_reason() {
        let node = || "n".to_owned();
        let dead = StepState::Dead;
        for (reason, code) in [
            (CannotRepair::NoSuchStep { node: node(), item: 0 }, "step-not-found"),
            (CannotRepair::NotDead { node: node(), state: dead }, "step-not-dead"),
            (CannotRepair::NothingDead, "nothing-dead"),
            (CannotRepair::Unknown { node: node() }, "outcome-unknown"),
            (CannotRepair::InputWithoutStep, "invalid-body"),
            (CannotRepair::InputOfList { node: node() }, "invalid-body"),
            (CannotRepair::ListDone { node: node(), item: 1 }, "step-not-dead"),
            (CannotRepair::OutputOfList { node: node() }, "invalid-body"),
            (CannotRepair::NoLetter { node: node() }, "step-not-dead"),
            (CannotRepair::ItemUnknown { node: node(), item: 1 }, "outcome-unknown"),
            (Illegal { state: dead, event: StepEvent::Succeed }.into(), "internal"),
        ] {
            assert_eq!(Problem::from(RepairError::from(reason)).kind().code(), code);
        }
        let no_plan = |code| RepairError::NoPlan { code, message: String::new() };
        for (error, code) in [
            (RepairError::NotEnded(RunState::Waiting), "run-not-ended"),
            (RepairError::TakesNoSignal(node()), "takes-no-signal"),
            (no_plan("version-missing"), "version-not-found"),
            (no_plan("version-unusable"), "version-unusable"),
        ] {
            assert_eq!(Problem::from(error).kind().code(), code);
        }
    }
}
