//! A run and its steps: states, transitions, and what to do next. Pure.

mod model;
mod retry;
mod scope;
mod state;

pub use model::{Broken, Run, Standing};
pub use retry::{MAX_RATE_LIMIT_WAIT, Treatment, treat};
pub use scope::RunScope;
pub use state::{Illegal, RunState, StepEvent, StepState};
