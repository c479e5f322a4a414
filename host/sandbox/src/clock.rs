//! `wasi:clocks`: real for those who call out, frozen for those who compute.
//!
//! A frozen clock stands at the step's start, and waiting takes no time: a pure step that is
//! computed again sees the same.

use std::time::Duration;

use tombolo_core::clock::Timestamp;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::clocks::WasiClocksCtxView;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

/// Which time a guest sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    /// Stands still.
    Frozen(Timestamp),
    /// The host's.
    Real,
}

/// What the clock interfaces work on.
pub(crate) struct ClockView<'a> {
    pub(crate) time: Time,
    pub(crate) real: WasiClocksCtxView<'a>,
}

/// The marker for the linker.
pub(crate) struct Clocks;

impl HasData for Clocks {
    type Data<'a> = ClockView<'a>;
}

fn since_epoch(time: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(time.0).unwrap_or(0))
}

impl wall_clock::Host for ClockView<'_> {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        match self.time {
            Time::Frozen(time) => {
                let since = since_epoch(time);
                Ok(wall_clock::Datetime {
                    seconds: since.as_secs(),
                    nanoseconds: since.subsec_nanos(),
                })
            }
            Time::Real => wall_clock::Host::now(&mut self.real),
        }
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1_000_000 })
    }
}

impl monotonic_clock::Host for ClockView<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        match self.time {
            Time::Frozen(time) => {
                Ok(u64::try_from(since_epoch(time).as_nanos()).unwrap_or(u64::MAX))
            }
            Time::Real => monotonic_clock::Host::now(&mut self.real),
        }
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1_000_000)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        match self.time {
            Time::Frozen(_) => ready(self.real.table),
            Time::Real => self.real.subscribe_instant(when),
        }
    }

    fn subscribe_duration(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        match self.time {
            Time::Frozen(_) => ready(self.real.table),
            Time::Real => self.real.subscribe_duration(when),
        }
    }
}

fn ready(table: &mut ResourceTable) -> wasmtime::Result<Resource<DynPollable>> {
    let past = table.push(Past)?;
    subscribe(table, past)
}

/// A moment that is over already.
struct Past;

#[async_trait::async_trait]
impl Pollable for Past {
    async fn ready(&mut self) {
        // A guest that polls in a loop must not keep its thread from others.
        tokio::task::yield_now().await;
    }
}
