//! What a plugin offers: a name, typed parameters, a typed output, an effect, and the function that
//! runs it.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{ErrorClass, NodeError};
use crate::{params, schema};

/// What an operation does to the outside; it decides how the engine makes the step durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Computes only; may be computed again.
    Pure,
    /// Reads; may be called again.
    Read,
    /// Writes, and repeating the call with the same idempotency key changes nothing more.
    Keyed,
    /// Writes, and must never be repeated blindly.
    Unsafe,
}

impl Effect {
    /// The name as written in the descriptor.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pure => "pure",
            Self::Read => "read",
            Self::Keyed => "keyed",
            Self::Unsafe => "unsafe",
        }
    }
}

/// An output together with the ports that fire.
#[derive(Debug, Clone, PartialEq)]
pub struct Routed<O> {
    /// The node's output.
    pub output: O,
    /// The ports that fire; none means the default port.
    pub ports: Vec<String>,
}

/// A finished call as it crosses the component boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// JSON text of one value.
    pub output: String,
    /// The ports that fire; none means the default port.
    pub ports: Vec<String>,
}

/// An error that an operation declares, so that workflows can handle it by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredError {
    /// Kebab-case.
    pub code: &'static str,
    /// What to do about it.
    pub class: ErrorClass,
    /// One line for people.
    pub summary: &'static str,
}

/// Where an operation's JSON Schemas come from; asked only when the plugin is described.
#[derive(Debug, Clone, Copy)]
pub struct Schemas {
    /// Of the parameters.
    pub params: fn() -> Value,
    /// Of the output.
    pub output: fn() -> Value,
}

type Run = Box<dyn Fn(&str) -> Result<Outcome, NodeError>>;

/// One operation of a plugin.
pub struct Operation {
    pub(crate) name: Cow<'static, str>,
    pub(crate) summary: Cow<'static, str>,
    pub(crate) effect: Effect,
    pub(crate) connection: bool,
    pub(crate) ports: Vec<Cow<'static, str>>,
    pub(crate) dynamic_ports: Vec<Cow<'static, str>>,
    pub(crate) errors: Vec<DeclaredError>,
    pub(crate) schemas: Schemas,
    pub(crate) run: Run,
}

impl Operation {
    /// An operation with typed parameters and output. Name and error codes are kebab-case.
    pub fn new<P, O>(
        name: impl Into<Cow<'static, str>>,
        summary: impl Into<Cow<'static, str>>,
        effect: Effect,
        run: impl Fn(P) -> Result<O, NodeError> + 'static,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema,
        O: Serialize + JsonSchema,
    {
        Self::routing(name, summary, effect, move |params| {
            run(params).map(|output| Routed { output, ports: Vec::new() })
        })
    }

    /// An operation that also chooses the ports that fire.
    pub fn routing<P, O>(
        name: impl Into<Cow<'static, str>>,
        summary: impl Into<Cow<'static, str>>,
        effect: Effect,
        run: impl Fn(P) -> Result<Routed<O>, NodeError> + 'static,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema,
        O: Serialize + JsonSchema,
    {
        Self::raw(
            name,
            summary,
            effect,
            Schemas { params: schema::of_input::<P>, output: schema::of_output::<O> },
            move |text| {
                let routed = run(params::parse(text)?)?;
                let output = serde_json::to_string(&routed.output).map_err(|error| {
                    NodeError::permanent(
                        "output-not-json",
                        format!("the operation's output cannot be written as JSON: {error}"),
                    )
                })?;
                Ok(Outcome { output, ports: routed.ports })
            },
        )
    }

    /// An operation on JSON text, for plugins that read and write it themselves.
    pub fn raw(
        name: impl Into<Cow<'static, str>>,
        summary: impl Into<Cow<'static, str>>,
        effect: Effect,
        schemas: Schemas,
        run: impl Fn(&str) -> Result<Outcome, NodeError> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            summary: summary.into(),
            effect,
            connection: false,
            ports: Vec::new(),
            dynamic_ports: Vec::new(),
            errors: Vec::new(),
            schemas,
            run: Box::new(run),
        }
    }

    /// A node that uses this operation has to name a connection.
    #[must_use]
    pub fn with_connection(mut self) -> Self {
        self.connection = true;
        self
    }

    /// Ports it may fire beside the default port.
    #[must_use]
    pub fn with_ports(mut self, ports: impl IntoIterator<Item = &'static str>) -> Self {
        self.ports.extend(ports.into_iter().map(Cow::Borrowed));
        self
    }

    /// JSON pointers into the parameters that name further ports: the keys of an object, the items
    /// of an array, or a string itself.
    #[must_use]
    pub fn with_dynamic_ports(mut self, pointers: impl IntoIterator<Item = &'static str>) -> Self {
        self.dynamic_ports.extend(pointers.into_iter().map(Cow::Borrowed));
        self
    }

    /// Declares an error that a workflow may want to handle.
    #[must_use]
    pub fn with_error(
        mut self,
        code: &'static str,
        class: ErrorClass,
        summary: &'static str,
    ) -> Self {
        self.errors.push(DeclaredError { code, class, summary });
        self
    }
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operation")
            .field("name", &self.name)
            .field("effect", &self.effect)
            .finish_non_exhaustive()
    }
}
