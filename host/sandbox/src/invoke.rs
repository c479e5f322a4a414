//! Runs an operation for the engine: what the caller may see, and what becomes of the answer.

use std::sync::Arc;

use tokio::time::Instant;
use tombolo_core::clock::Clock;
use tombolo_core::effect::{Effect, World};
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::json::{self, Json};
use tombolo_core::ports::egress::Egress;
use tombolo_core::ports::sandbox::{Invocation, Invoked, Outcome};

use crate::bindings::tombolo::node::types as wit;
use crate::calls::Taken;
use crate::clock::Time;
use crate::failure::Failure;
use crate::guest::{Call, Setup};
use crate::http::Session;
use crate::library::Loaded;
use crate::random::Random;
use crate::runner::{Answer, Ran, Reach, Request, Runner, Work, ticks};
use crate::settings::SandboxSettings;
use crate::state::StateBuffer;
use crate::warm::WarmKey;

/// Outputs from this size on are parsed beside the threads that serve everybody; bytes.
const LARGE_OUTPUT_BYTES: usize = 256 * 1024;

/// What an invocation needs beside itself.
pub(crate) struct Host<'a> {
    pub(crate) settings: &'a SandboxSettings,
    pub(crate) runner: &'a Runner,
    pub(crate) egress: &'a Arc<dyn Egress>,
    pub(crate) clock: &'a Arc<dyn Clock>,
}

impl Host<'_> {
    pub(crate) async fn invoke(&self, plugin: &Loaded, invocation: &Invocation) -> Invoked {
        let caller = &invocation.caller;
        let params = invocation.params.text().to_owned();
        let request = Request {
            work: Work::Invoke { operation: &invocation.operation, params: &params },
            reach: if is_pure(plugin, invocation) { Reach::Inside } else { Reach::Outside },
            timeout: invocation.timeout,
            output_bytes: self.settings.call.output_bytes,
            keep: plugin.reusable().then(|| WarmKey {
                component: plugin.hash,
                tenant: caller.tenant,
                workflow: caller.workflow,
                version: invocation.version,
            }),
            interrupt: Some(Arc::clone(&invocation.interrupt)),
        };
        let asked = Instant::now();
        let ran = self
            .runner
            .run(&plugin.pre, request, |ends| self.setup(plugin, invocation, asked, ends))
            .await;
        self.finish(ran, caller.effect).await
    }

    fn setup(
        &self,
        plugin: &Loaded,
        invocation: &Invocation,
        asked: Instant,
        ends: Instant,
    ) -> Setup {
        let caller = &invocation.caller;
        let random_bytes = self.settings.call.random_bytes;
        let pure = is_pure(plugin, invocation);
        let waited = (ends - invocation.timeout).saturating_duration_since(asked);
        Setup {
            call: Call {
                caller: Some(Arc::clone(caller)),
                connection: invocation.connection.clone(),
                deadline: invocation.deadline.plus(waited),
                time: if pure { Time::Frozen(invocation.started_at) } else { Time::Real },
                ticks: ticks(self.settings.call.cpu_ms),
            },
            random: if pure {
                Random::seeded(&caller.idempotency_key, random_bytes)
            } else {
                Random::real(random_bytes)
            },
            // What a pure step reads must be the same when it is computed again.
            state: StateBuffer::new(
                (!pure).then(|| Arc::clone(&invocation.state)),
                self.settings.state,
            ),
            session: Some(Session {
                egress: Arc::clone(self.egress),
                clock: Arc::clone(self.clock),
                caller: Arc::clone(caller),
                connection: invocation.connection.clone(),
                ends,
                journal: Arc::clone(&invocation.journal),
            }),
            memory_bytes: self.settings.call.memory_bytes,
        }
    }

    async fn finish(&self, ran: Ran, effect: Effect) -> Invoked {
        let Ran { answer, logs, mut calls, state } = ran;
        let journal = calls.journal(effect);
        let Taken { records, uncertain, .. } = calls;
        let result = match answer {
            Ok(Answer::Done(outcome)) => match parse(outcome.output).await {
                Ok(output) => Ok(Outcome { output, ports: outcome.ports }),
                Err(reason) => {
                    Err(Failure::Malformed { reason }.into_step_error(effect, uncertain))
                }
            },
            Ok(Answer::Failed(error)) => Err(certain(self.node_error(error), effect, uncertain)),
            Ok(Answer::Described(_)) => {
                let reason = "it described itself instead of answering".to_owned();
                Err(Failure::Malformed { reason }.into_step_error(effect, uncertain))
            }
            Err(failure) => Err(failure.into_step_error(effect, uncertain)),
        };
        let state = if result.is_ok() { state } else { Vec::new() };
        Invoked { result, logs, calls: records, state, journal }
    }

    /// The plugin's own error, passed on within bounds.
    fn node_error(&self, error: wit::NodeError) -> StepError {
        let limit = self.settings.call.error_bytes;
        StepError {
            class: class(error.class),
            code: if error.code.is_empty() {
                "unnamed".to_owned()
            } else {
                cut(error.code, CODE_BYTES)
            },
            message: cut(error.message, limit),
            retry_after_ms: error.retry_after_ms,
            details: error.details.map(|details| details_of(&details, limit)),
        }
    }
}

/// True if the call reaches nothing outside, by its world or by its effect.
fn is_pure(plugin: &Loaded, invocation: &Invocation) -> bool {
    plugin.descriptor.world == World::Transform || invocation.caller.effect == Effect::Pure
}

/// A plugin may say what it likes of a failure; where a call that must not be made twice was left
/// without an answer, it is that which has to be looked up. Any other class has a treatment that
/// repeats the step in the end: a retry, a mended connection, a redrive.
fn certain(mut error: StepError, effect: Effect, uncertain: bool) -> StepError {
    if uncertain && !effect.repeatable() {
        error.class = ErrorClass::UnknownOutcome;
    }
    error
}

/// A code is a word; bytes.
const CODE_BYTES: usize = 128;

/// Details that cannot be read are kept as text: they are for people first.
fn details_of(text: &str, limit: usize) -> serde_json::Value {
    if text.len() <= limit
        && let Ok(details) = json::parse(text.as_bytes())
    {
        return details;
    }
    serde_json::json!({ "unreadable": cut(text.to_owned(), limit.min(1024)) })
}

fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.push('…');
    }
    text
}

async fn parse(output: String) -> Result<Json, String> {
    let parsed = if output.len() < LARGE_OUTPUT_BYTES {
        Json::parse_owned(output)
    } else {
        tokio::task::spawn_blocking(move || Json::parse_owned(output))
            .await
            .map_err(|error| error.to_string())?
    };
    parsed.map_err(|error| error.to_string())
}

fn class(class: wit::ErrorClass) -> ErrorClass {
    match class {
        wit::ErrorClass::InvalidInput => ErrorClass::InvalidInput,
        wit::ErrorClass::Auth => ErrorClass::Auth,
        wit::ErrorClass::NotFound => ErrorClass::NotFound,
        wit::ErrorClass::Conflict => ErrorClass::Conflict,
        wit::ErrorClass::RateLimited => ErrorClass::RateLimited,
        wit::ErrorClass::Transient => ErrorClass::Transient,
        wit::ErrorClass::Permanent => ErrorClass::Permanent,
        wit::ErrorClass::UnknownOutcome => ErrorClass::UnknownOutcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_class_a_plugin_names_a_lost_unsafe_call_is_unknown() {
        use ErrorClass as C;
        let classes = [
            C::InvalidInput,
            C::Auth,
            C::NotFound,
            C::Conflict,
            C::RateLimited,
            C::Transient,
            C::Permanent,
            C::UnknownOutcome,
        ];
        for class in classes {
            let told = |effect, uncertain| {
                certain(StepError::new(class, "c", "m"), effect, uncertain).class
            };
            assert_eq!(told(Effect::Unsafe, true), C::UnknownOutcome, "{class:?}");
            assert_eq!(told(Effect::Unsafe, false), class);
            assert_eq!(told(Effect::Keyed, true), class);
        }
    }

    #[test]
    fn unreadable_details_are_kept_as_text() {
        assert_eq!(details_of(r#"{"id":1}"#, 100)["id"], 1);
        assert_eq!(details_of("{", 100)["unreadable"], "{");
        let long = format!("\"{}\"", "x".repeat(200));
        assert_eq!(details_of(&long, 100)["unreadable"].as_str().unwrap().chars().count(), 101);
    }
}
