//! Why a run cannot be repaired.

use super::state::{Illegal, StepState};
use crate::id::RunId;

/// Why a run cannot be repaired in that way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotRepair {
    /// The run has no such step.
    #[error("the run has no step `{node}` (item {item})")]
    NoSuchStep {
        /// The node.
        node: String,
        /// The item.
        item: u32,
    },
    /// It is neither dead nor unknown.
    #[error("the step `{node}` is {}: only a step that is dead or unknown can be repaired", state.name())]
    NotDead {
        /// The node.
        node: String,
        /// Where it stands.
        state: StepState,
    },
    /// No step of the run is dead.
    #[error("no step of the run is dead: there is nothing to redrive")]
    NothingDead,
    /// Nobody knows whether it took effect.
    #[error(
        "nobody knows whether the unsafe step `{node}` took effect: look it up at the other side, then say its output (resolve), or repeat it (`repeat_unknown`)"
    )]
    Unknown {
        /// The node.
        node: String,
    },
    /// The list has an output, of which the item is no part.
    #[error(
        "the list `{node}` is done without its item {item}, and a result never changes: start a replay from `{node}`, or discard the item"
    )]
    ListDone {
        /// The node.
        node: String,
        /// The item.
        item: u32,
    },
    /// The list waits for an item of which nobody knows.
    #[error(
        "nobody knows whether item {item} of the list `{node}` took effect: resolve or redrive the item first"
    )]
    ItemUnknown {
        /// The node.
        node: String,
        /// The first such item.
        item: u32,
    },
    /// An output for a list that has its items.
    #[error(
        "the output of `{node}` is that of its items: resolve or redrive those of them that are dead"
    )]
    OutputOfList {
        /// The node.
        node: String,
    },
    /// Its failure waits for nobody.
    #[error("the failure of `{node}` is no dead letter: it was given up already, or handled")]
    NoLetter {
        /// The node.
        node: String,
    },
    /// An input without a step.
    #[error("a new input belongs to one step: name it")]
    InputWithoutStep,
    /// An input for a list.
    #[error("the input of `{node}` is its list, which stays: give one of its items another input")]
    InputOfList {
        /// The node.
        node: String,
    },
    /// An input for a step whose called run goes on as it is.
    #[error(
        "`{node}` has called {child}, which goes on with the input it was given: redrive a step of that run, or add `forget_calls` to call another run with the new input"
    )]
    InputOfCall {
        /// The node.
        node: String,
        /// The run that it called.
        child: RunId,
    },
    /// A state that the laws do not know.
    #[error(transparent)]
    Illegal(#[from] Illegal),
}
