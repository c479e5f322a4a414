//! Workflows: the file, its expressions, its validation, and the plan made from it. Pure.

mod definition;
mod event;
mod expression;
mod issue;
mod limits;
mod needs;
mod parameters;
mod path;
mod plan;
mod schema;
mod span;
mod validate;
mod verify;

pub use definition::{
    Backoff, Decision, Dedupe, Definition, Each, EventTrigger, FailureTrigger, Join, Node, OnError,
    OnItemError, Respond, Retry, Trigger, Webhook,
};
pub use event::{EventSchemas, is_event_name};
pub use expression::{Expression, Kind, Template, TemplateError};
pub use issue::Issue;
pub use limits::{
    BusyRule, Concurrency, DebounceRule, LimitRules, Limits, Order, Parked, SingletonRule,
    ThrottleRule,
};
pub use needs::{Fields, Needs};
pub use parameters::{Located, MAX_PARAMETER_BYTES, Parameters, Scope, Unresolved};
pub use path::{Path, Segment};
pub use plan::{
    Builtin, DEFAULT_RUN_TIMEOUT, DEFAULT_STEP_TIMEOUT, Edge, NodeIndex, Plan, PlanEach, PlanNode,
    Port, Uses,
};
pub use schema::{definition_schema, schema_issues};
pub use span::{InvalidSpan, Span};
pub use validate::{CatalogView, Pinned, compile};
pub use verify::*;
