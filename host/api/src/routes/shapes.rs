//! Shapes that several routes answer with.

use serde::Serialize;
use tombolo_core::error::StepError;
use tombolo_core::ports::store::Scope;
use tombolo_core::role::Role;
use tombolo_core::run::{RunState, StepState};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, Type};

use crate::problem::{Kind, Problem};

/// A whole list.
#[derive(Serialize, ToSchema)]
pub(super) struct List<T> {
    /// In the order documented.
    pub items: Vec<T>,
}

/// A part of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// In the order documented.
    pub items: Vec<T>,
    /// Send it as `cursor` for the next part; null at the end.
    pub next: Option<String>,
}

/// Items in a page unless asked otherwise.
const DEFAULT_LIMIT: u32 = 50;
/// Most items in a page.
const MAX_LIMIT: u32 = 200;

/// How many items a page has.
pub(super) fn page_limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked {
        None => Ok(DEFAULT_LIMIT),
        Some(limit @ 1..=MAX_LIMIT) => Ok(limit),
        Some(limit) => {
            let detail = format!("limit: {limit} is not between 1 and {MAX_LIMIT}");
            Err(Problem::new(Kind::InvalidQuery, detail))
        }
    }
}

/// Why a step or a run failed.
#[derive(Serialize, ToSchema)]
pub(super) struct Failure {
    /// What to do about it: `invalid-input`, `auth`, `not-found`, `conflict`, `rate-limited`,
    /// `transient`, `permanent`, `unknown-outcome`.
    class: &'static str,
    /// Stable, for programs.
    code: String,
    /// For people.
    message: String,
    /// How long the other side asks to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// More; depends on the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<serde_json::Value>,
}

impl From<StepError> for Failure {
    fn from(error: StepError) -> Self {
        Self {
            class: error.class.name(),
            code: error.code,
            message: error.message,
            retry_after_ms: error.retry_after_ms,
            details: error.details,
        }
    }
}

fn one_of(names: impl IntoIterator<Item = &'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build()
}

/// The schema of a token's scopes.
pub(super) fn scopes() -> Array {
    ArrayBuilder::new().items(one_of(Scope::ALL.map(Scope::name))).build()
}

/// The schema of a role.
pub(super) fn role() -> Object {
    one_of(Role::ALL.map(Role::name))
}

/// The schema of a run's state.
pub(super) fn run_state() -> Object {
    one_of(RunState::ALL.map(RunState::name))
}

/// The schema of some states of runs.
pub(super) fn run_states() -> Array {
    ArrayBuilder::new().items(run_state()).build()
}

/// The schema of a step's state.
pub(super) fn step_state() -> Object {
    one_of(StepState::ALL.map(StepState::name))
}
