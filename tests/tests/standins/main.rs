//! What the other tests build on: the stand-ins answer as documented, count right, and misbehave as
//! told.

mod asana;
mod client;
mod control;
mod hubspot;
mod misbehaviour;
mod process;
mod sink;
