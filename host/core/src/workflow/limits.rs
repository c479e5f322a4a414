//! Flow control: how many runs of a workflow go at the same time, in which order, and how often.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::parameters::Parameters;
use super::span::Span;
use crate::id::WorkflowId;
use crate::ports::store::{Debounce, Lane, Priority, RunLimits, Singleton, Throttle, WhenBusy};

/// Limits of a workflow's runs. Every `key` is an expression over `.trigger` and `.event`; an event
/// whose key has no value has the key `null`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Runs at the same time: of the workflow, or of each key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub concurrency: Vec<Concurrency>,
    /// Runs of one key go one after the other, first in, first out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// How many runs may start in a time; the others wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle: Option<ThrottleRule>,
    /// Several events in a short time are one run, with the last event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debounce: Option<DebounceRule>,
    /// Only one run at a time, and no queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub singleton: Option<SingletonRule>,
    /// Whose turn comes first: `high`, `normal`, `low`, or an expression that gives one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Value>,
}

/// The limits of a live workflow, ready to be resolved for each event.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitRules {
    /// As written.
    raw: Value,
    /// With its expressions found.
    pub parameters: Parameters,
}

impl LimitRules {
    /// Prepares limits that were checked when they were applied. None if there are none.
    pub fn prepare(limits: &Limits) -> Option<Self> {
        let raw = serde_json::to_value(limits).ok().filter(|_| !limits.is_empty())?;
        let parameters = Parameters::prepare(&raw).ok()?;
        Some(Self { raw, parameters })
    }

    /// The flow of a run whose event resolved them to `value`. Without a value, or with one of
    /// another shape, the keys are what is written: such events have one key together.
    pub fn flow(&self, value: Option<Value>, workflow: WorkflowId) -> RunLimits {
        let read = |value: Value| serde_json::from_value::<Limits>(value).ok();
        let limits = value.and_then(read).or_else(|| read(self.raw.clone()));
        limits.unwrap_or_default().flow(workflow)
    }
}

/// How many runs go at the same time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    /// So many.
    #[schemars(range(min = 1, max = 10_000))]
    pub runs: u32,
    /// Of each value of this expression. None: of the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
    /// Whether a run that waits for a time or an answer keeps its place.
    #[serde(default)]
    pub parked: Parked,
}

/// Which runs go one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Those of the same value of this expression.
    pub key: Value,
    /// Whether a run that waits for a time or an answer holds those behind it up.
    #[serde(default)]
    pub parked: Parked,
}

/// What a run that waits means to the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Parked {
    /// It keeps its place.
    #[default]
    Hold,
    /// Others go on meanwhile.
    Skip,
}

/// How many runs may start in a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThrottleRule {
    /// So many.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub runs: u32,
    /// In this time.
    pub per: Span,
    /// Of each value of this expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
}

/// When several events are one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DebounceRule {
    /// It starts when so long no further event has come.
    pub wait: Span,
    /// It starts at the latest so long after the first. None: ten times `wait`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Span>,
    /// Events of the same value of this expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
}

/// Only one run at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SingletonRule {
    /// Of each value of this expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
    /// What becomes of an event that comes while a run goes.
    #[serde(default)]
    pub when_busy: BusyRule,
}

/// What becomes of an event that comes while a run goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BusyRule {
    /// It joins that run: nothing new starts.
    #[default]
    Skip,
    /// That run is cancelled, and a new one starts.
    Replace,
}

impl Limits {
    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The flow of one run: these limits with all expressions resolved.
    pub fn flow(&self, workflow: WorkflowId) -> RunLimits {
        let name = |kind: &str, key: Option<&Value>| lane_name(workflow, kind, key);
        let mut lanes: Vec<Lane> = self
            .concurrency
            .iter()
            .enumerate()
            .map(|(at, rule)| Lane {
                name: name(&format!("concurrency-{at}"), rule.key.as_ref()),
                limit: rule.runs,
                in_order: false,
                keeps_place: rule.parked == Parked::Hold,
            })
            .collect();
        lanes.extend(self.order.as_ref().map(|order| Lane {
            name: name("order", Some(&order.key)),
            limit: 1,
            in_order: true,
            keeps_place: order.parked == Parked::Hold,
        }));
        RunLimits {
            lanes,
            throttle: self.throttle.as_ref().map(|rule| Throttle {
                name: name("throttle", rule.key.as_ref()),
                runs: rule.runs,
                per: rule.per.0,
            }),
            debounce: self.debounce.as_ref().map(|rule| Debounce {
                name: name("debounce", rule.key.as_ref()),
                wait: rule.wait.0,
                max: rule.max.map_or(rule.wait.0.saturating_mul(10), |max| max.0),
            }),
            singleton: self.singleton.as_ref().map(|rule| Singleton {
                name: name("singleton", rule.key.as_ref()),
                when_busy: match rule.when_busy {
                    BusyRule::Skip => WhenBusy::Join,
                    BusyRule::Replace => WhenBusy::Replace,
                },
            }),
            priority: self
                .priority
                .as_ref()
                .and_then(Value::as_str)
                .map(priority)
                .unwrap_or_default(),
        }
    }

    /// The longest that a limit may make a run wait by itself, for the check of files.
    pub fn longest(&self) -> Duration {
        let throttle = self.throttle.as_ref().map(|rule| rule.per.0);
        let debounce = self.debounce.as_ref().map(|rule| rule.wait.0);
        throttle.into_iter().chain(debounce).max().unwrap_or_default()
    }
}

/// An expression that gives something else leaves a run where most are.
fn priority(text: &str) -> Priority {
    match text {
        "high" => Priority::High,
        "low" => Priority::Low,
        _ => Priority::Normal,
    }
}

/// Names a lane. Keys are of any length, and may be personal data: they go in by hash.
fn lane_name(workflow: WorkflowId, kind: &str, key: Option<&Value>) -> String {
    let Some(key) = key else {
        return format!("{workflow}/{kind}");
    };
    let digest = Sha256::digest(key.to_string().as_bytes());
    format!("{workflow}/{kind}/{}", hex::encode(&digest[..16]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn resolved_limits_name_a_lane_for_each_key() {
        let flow = |customer: &str| {
            let limits: Limits = serde_json::from_value(json!({
                "concurrency": [{"runs": 10}, {"runs": 1, "key": customer, "parked": "skip"}],
                "order": {"key": {"a": customer}},
                "throttle": {"runs": 5, "per": "1m"},
                "debounce": {"wait": "2s"},
                "singleton": {"when_busy": "replace"},
                "priority": "high",
            }))
            .unwrap();
            limits.flow(WorkflowId(Uuid::nil()))
        };
        let (ada, bob) = (flow("ada"), flow("bob"));
        assert_eq!(ada, flow("ada"));
        assert_eq!(ada.lanes[0], bob.lanes[0], "the workflow's");
        assert_ne!(ada.lanes[1].name, bob.lanes[1].name);
        assert_ne!(ada.lanes[1].name, ada.lanes[2].name);
        assert!(!ada.lanes[1].keeps_place && ada.lanes[2].in_order);
        assert_eq!(ada.debounce.unwrap().max, Duration::from_secs(20));
        assert_eq!(ada.priority, Priority::High);
    }
}
