//! What the measured server calls: a sink that answers at once, and one that takes its time.

use std::time::Duration;

use crate::sink::{Recording, Sink, SinkError, SinkOptions};

/// How long the slow one takes.
const DELAY: Duration = Duration::from_millis(50);

/// Both.
pub struct Sinks {
    pub quick: Sink,
    pub slow: Sink,
}

impl Sinks {
    /// Starts both.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn start() -> Result<Self, SinkError> {
        let recording = Recording::Arrivals;
        let quick = Sink::start(SinkOptions { recording, ..SinkOptions::default() })?;
        let slow = Sink::start(SinkOptions { delay: DELAY, ..SinkOptions::default() })?;
        Ok(Self { quick, slow })
    }

    /// Their addresses, as a server may call them.
    pub fn allowed(&self) -> String {
        format!("{},{}", self.quick.address(), self.slow.address())
    }
}
