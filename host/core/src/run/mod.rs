//! A run and its steps: states, transitions, and what to do next. Pure.

mod state;

pub use state::{Illegal, RunState, StepEvent, StepState};
