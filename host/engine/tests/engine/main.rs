//! The engine on a real store, with a clock that is set by hand and a sandbox that is scripted.

mod builtins;
mod clock;
mod crash_points;
mod faults;
mod flow;
mod housekeeping;
mod journals;
mod lists;
mod promises;
mod repair;
mod support;
mod treatment;
mod writes;
