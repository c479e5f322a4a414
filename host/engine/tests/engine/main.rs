//! The engine on a real store, with a clock that is set by hand and a sandbox that is scripted.

mod faults;
mod promises;
mod support;
