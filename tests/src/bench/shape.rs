//! The shapes that are measured, by name.

use clap::ValueEnum;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// The yardstick: a bare durable write.
    Limit,
    /// A webhook that is answered when its event is durable.
    Ack,
    /// A webhook, one `map`, its output is the response.
    W1,
    /// A webhook that is answered at once, a condition, `map`, an HTTP POST to the sink.
    W2,
    /// A webhook, ten `map` nodes in a row, response.
    W4,
    /// From the start of the process to the first webhook; memory.
    Start,
    /// One call into the sandbox.
    Sandbox,
}

impl Shape {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 7] =
        [Self::Limit, Self::Ack, Self::W1, Self::W2, Self::W4, Self::Start, Self::Sandbox];

    /// True if the server is needed.
    pub fn is_served(self) -> bool {
        !matches!(self, Self::Limit | Self::Sandbox)
    }
}
