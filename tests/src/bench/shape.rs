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
    /// A tenant's runs while another one has a long queue.
    Turns,
    /// Claims alone, many at a time. On PostgreSQL.
    Claims,
    /// `w2` with row-level security and without it. On PostgreSQL.
    Policies,
    /// What a run of `w2` costs the database. On PostgreSQL.
    Demand,
    /// What a process takes that has nothing to do, and its database.
    Idle,
    /// Many processes on one database, by simulation. On nothing.
    Scale,
    /// From the start of the process to the first webhook; memory.
    Start,
    /// One call into the sandbox.
    Sandbox,
}

impl Shape {
    /// All that can be measured on a database, in the order of the report.
    pub fn all(postgres: bool) -> Vec<Self> {
        let on_postgres = |shape: &&Self| postgres || !shape.needs_postgres();
        Self::value_variants().iter().filter(on_postgres).copied().collect()
    }

    /// True if SQLite has nothing like it.
    pub fn needs_postgres(self) -> bool {
        matches!(self, Self::Claims | Self::Policies | Self::Demand)
    }

    /// True if the server is needed.
    pub fn is_served(self) -> bool {
        !matches!(self, Self::Limit | Self::Sandbox | Self::Scale)
    }
}
