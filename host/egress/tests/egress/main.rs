//! The way out against real servers on loopback: what is refused, what is attached, what happens
//! when the other side misbehaves, and what stays on record.

mod attaching;
mod authority;
mod canary;
mod failing;
mod pooling;
mod refusing;
mod support;
