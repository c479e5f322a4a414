//! The engine on a real store, with a clock that is set by hand and a sandbox that is scripted.

mod alerts;
mod builtins;
mod busy;
mod clock;
mod crash_points;
mod events;
mod failures;
mod faults;
mod flow;
mod housekeeping;
mod intents;
mod journals;
mod lists;
mod others;
mod promises;
mod record;
mod repair;
mod repair_ends;
mod slots;
mod support;
mod treatment;
mod under_way;
mod writes;
