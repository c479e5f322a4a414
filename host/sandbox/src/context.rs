//! `tombolo:node/context`: what a plugin may know of the step it works on.

use crate::bindings::tombolo::node::{context, types};
use crate::guest::Guest;

impl types::Host for Guest {}

impl context::Host for Guest {
    fn run_id(&mut self) -> wasmtime::Result<String> {
        Ok(self.caller(|caller| caller.run.to_string()))
    }

    fn node(&mut self) -> wasmtime::Result<String> {
        Ok(self.caller(|caller| caller.node.clone()))
    }

    fn attempt(&mut self) -> wasmtime::Result<u32> {
        Ok(self.caller(|caller| caller.attempt))
    }

    fn idempotency_key(&mut self) -> wasmtime::Result<String> {
        Ok(self.caller(|caller| caller.idempotency_key.clone()))
    }

    fn correlation_id(&mut self) -> wasmtime::Result<String> {
        Ok(self.caller(|caller| caller.correlation_id.clone()))
    }

    fn deadline_ms(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(self.call.deadline.0).unwrap_or(0))
    }

    fn base_url(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.call.connection.as_ref().and_then(|connection| connection.base_url.clone()))
    }
}
