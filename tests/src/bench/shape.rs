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
    /// A webhook that is answered at once, ten items, an HTTP POST to the sink for each.
    W3,
    /// A webhook, ten `map` nodes in a row, response.
    W4,
    /// Forty light steps in a row, one run at a time and many.
    Chain40,
    /// Four branches with a call of 50 ms each, a join, response.
    Fanout,
    /// `w2` in a store that is full of ended runs.
    History,
    /// From the start of the process to the first webhook; memory.
    Start,
    /// One call into the sandbox.
    Sandbox,
}

impl Shape {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 11] = [
        Self::Limit,
        Self::Ack,
        Self::W1,
        Self::W2,
        Self::W3,
        Self::W4,
        Self::Chain40,
        Self::Fanout,
        Self::History,
        Self::Start,
        Self::Sandbox,
    ];

    /// True if the server is needed.
    pub fn is_served(self) -> bool {
        !matches!(self, Self::Limit | Self::Sandbox)
    }
}
