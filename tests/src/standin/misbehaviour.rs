//! What a stand-in can be told to do wrong, and the queue of such commands.
//!
//! Decides which call is hit; doing it is the business of `answer.rs`.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// How large [`Misbehaviour::Oversized`] is unless said otherwise: 5 GB.
pub const OVERSIZED_BODY_BYTES: u64 = 5_000_000_000;

/// One way to go wrong. Each says whether the work is done, since that is what decides whether a
/// repetition is safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Misbehaviour {
    /// 429 in the provider's shape. Not done.
    RateLimit {
        /// The `Retry-After` header, in seconds.
        retry_after_s: u64,
    },
    /// This status with the provider's error body. Not done.
    Status {
        /// Such as 500, 502 or 503.
        status: u16,
    },
    /// No answer, ever. Not done.
    Hang,
    /// Done, then no answer, ever.
    HangAfterWork,
    /// Done at once, answered late.
    Delay {
        /// How late, in milliseconds.
        delay_ms: u64,
    },
    /// The connection is closed without an answer. Not done.
    CloseBeforeWork,
    /// Done, then the connection is closed without an answer.
    CloseAfterWork,
    /// Done; head and half of the body are sent, then the connection is closed.
    CloseMidBody,
    /// Done; the right status with half of the JSON text as a complete body.
    MalformedJson,
    /// Done; the right status with nothing in the body.
    EmptyBody,
    /// 200 with a web page, as from a proxy in between. Not done.
    Html,
    /// 200 with a streamed, chunked JSON string of this size. Not done.
    Oversized {
        /// Size of the body; `u64::MAX` never ends.
        #[serde(default = "oversized_body_bytes")]
        bytes: u64,
    },
    /// Done; the right answer, byte by byte.
    Slow {
        /// Pause before each byte, in milliseconds.
        byte_delay_ms: u64,
    },
    /// 307 to another place. Not done.
    Redirect {
        /// The `Location` header.
        location: String,
    },
}

const fn oversized_body_bytes() -> u64 {
    OVERSIZED_BODY_BYTES
}

impl Misbehaviour {
    /// Only for calls of this method and below this path.
    pub fn on(self, method: &str, path_prefix: &str) -> Rule {
        Rule {
            method: Some(method.to_owned()),
            path_prefix: path_prefix.to_owned(),
            ..Rule::from(self)
        }
    }

    /// For the next `times` calls, whatever they are.
    pub fn times(self, times: u32) -> Rule {
        Rule::from(self).times(times)
    }
}

/// A command: the next `times` calls that match go wrong in this way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Such as `POST`; absent means any.
    #[serde(default)]
    pub method: Option<String>,
    /// The path or the beginning of it at a segment's end, with or without the provider's base
    /// path; empty means any.
    #[serde(default)]
    pub path_prefix: String,
    /// How many matching calls it hits.
    #[serde(default = "once")]
    pub times: u32,
    /// What they get.
    pub misbehaviour: Misbehaviour,
}

const fn once() -> u32 {
    1
}

impl Rule {
    /// The same for the next `times` matching calls.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    fn matches(&self, base: &str, method: &str, path: &str) -> bool {
        self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && below(base, &self.path_prefix, path)
    }
}

impl From<Misbehaviour> for Rule {
    fn from(misbehaviour: Misbehaviour) -> Self {
        Self { method: None, path_prefix: String::new(), times: once(), misbehaviour }
    }
}

/// Whether `path`, with or without `base`, is `prefix` or lies below it.
pub(super) fn below(base: &str, prefix: &str, path: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    let lies_below = |path: &str| {
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    lies_below(path) || path.strip_prefix(base).is_some_and(lies_below)
}

/// The commands not yet used up, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<Rule>);

impl Queue {
    pub fn push(&mut self, rule: Rule) {
        if rule.times > 0 {
            self.0.push_back(rule);
        }
    }

    /// The first command that matches, one use of it taken.
    pub fn take(&mut self, base: &str, method: &str, path: &str) -> Option<Misbehaviour> {
        let place = self.0.iter().position(|rule| rule.matches(base, method, path))?;
        let rule = self.0.get_mut(place)?;
        rule.times -= 1;
        let misbehaviour = rule.misbehaviour.clone();
        if rule.times == 0 {
            self.0.remove(place);
        }
        Some(misbehaviour)
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// How many calls are still to go wrong.
    pub fn left(&self) -> u64 {
        self.0.iter().map(|rule| u64::from(rule.times)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_segment_and_may_leave_out_the_base() {
        assert!(below("/api/1.0", "/projects", "/api/1.0/projects"));
        assert!(below("/api/1.0", "/api/1.0/projects", "/api/1.0/projects/12"));
        assert!(below("/api/1.0", "", "/anything"));
        assert!(!below("/api/1.0", "/projects", "/api/1.0/projects_old"));
        assert!(!below("/api/1.0", "/projects", "/api/1.0/tasks"));
    }

    #[test]
    fn rules_are_used_up_in_order_and_only_by_calls_that_match() {
        let mut queue = Queue::default();
        queue.push(Misbehaviour::Hang.on("POST", "/projects").times(2));
        queue.push(Misbehaviour::Html.into());
        queue.push(Misbehaviour::EmptyBody.times(0));
        assert_eq!(queue.left(), 3);
        assert_eq!(queue.take("/api", "GET", "/api/projects"), Some(Misbehaviour::Html));
        assert_eq!(queue.take("/api", "GET", "/api/projects"), None);
        assert_eq!(queue.take("/api", "POST", "/api/projects"), Some(Misbehaviour::Hang));
        assert_eq!(queue.take("/api", "post", "/projects"), Some(Misbehaviour::Hang));
        assert_eq!(queue.take("/api", "POST", "/api/projects"), None);
    }

    #[test]
    fn the_json_form_has_defaults_and_refuses_unknown_keys() {
        let rule: Rule = serde_json::from_str(r#"{"misbehaviour":{"kind":"oversized"}}"#).unwrap();
        assert_eq!(rule, Misbehaviour::Oversized { bytes: OVERSIZED_BODY_BYTES }.into());
        let unknown = r#"{"path":"/x","misbehaviour":{"kind":"hang"}}"#;
        assert!(serde_json::from_str::<Rule>(unknown).is_err());
    }
}
