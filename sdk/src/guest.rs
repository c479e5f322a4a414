//! Between the component's exports and [`Plugin`]; used by [`crate::export!`] only.

use crate::bindings::exports::tombolo::node::node::Guest;
use crate::bindings::tombolo::node::types;
use crate::error::{ErrorClass, NodeError};
use crate::plugin::Plugin;

/// Names the plugin that a component is.
pub trait Define {
    /// Shows the plugin, which is made once in an instance: a warm one answers many calls.
    fn with_plugin<T>(see: impl FnOnce(&Plugin) -> T) -> T;
}

impl<D: Define> Guest for D {
    fn describe() -> String {
        D::with_plugin(|plugin| plugin.descriptor().to_string())
    }

    fn invoke(operation: String, params: String) -> Result<types::Outcome, types::NodeError> {
        match D::with_plugin(|plugin| plugin.invoke(&operation, &params)) {
            Ok(outcome) => Ok(types::Outcome { output: outcome.output, ports: outcome.ports }),
            Err(error) => Err(error.into()),
        }
    }
}

impl From<NodeError> for types::NodeError {
    fn from(error: NodeError) -> Self {
        Self {
            class: error.class.into(),
            code: error.code.into_owned(),
            message: error.message,
            retry_after_ms: error.retry_after_ms,
            details: error.details.map(|details| details.to_string()),
        }
    }
}

impl From<ErrorClass> for types::ErrorClass {
    fn from(class: ErrorClass) -> Self {
        match class {
            ErrorClass::InvalidInput => Self::InvalidInput,
            ErrorClass::Auth => Self::Auth,
            ErrorClass::NotFound => Self::NotFound,
            ErrorClass::Conflict => Self::Conflict,
            ErrorClass::RateLimited => Self::RateLimited,
            ErrorClass::Transient => Self::Transient,
            ErrorClass::Permanent => Self::Permanent,
            ErrorClass::UnknownOutcome => Self::UnknownOutcome,
        }
    }
}
