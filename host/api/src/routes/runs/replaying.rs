//! What a replay of one run and replays of many have in common: where they begin, on which version,
//! and how they are told.

use serde::{Deserialize, Deserializer, Serialize, de};
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::repair::{ReplayOrder, ReplayPlan, VersionChoice};
use tombolo_core::run::{From as Beginning, Repeat, RepeatedItems, StepState};
use utoipa::ToSchema;

use crate::extract::IdempotencyKey;
use crate::routes::shapes::step_state;

/// Where a replay begins: `"start"`, `"failed"` (with the steps that did not succeed), or
/// `{"node": "<name>"}` (with that node and everything after it).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BeginAt {
    /// With the first step.
    Start,
    /// With the steps that did not succeed.
    Failed,
    /// With this node and everything after it.
    Node(String),
}

impl From<BeginAt> for Beginning {
    fn from(begin: BeginAt) -> Self {
        match begin {
            BeginAt::Start => Self::Start,
            BeginAt::Failed => Self::Failed,
            BeginAt::Node(node) => Self::Node(node),
        }
    }
}

/// On which version: `"same"` (the run's own), `"latest"` (the live one), or a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum OnVersion {
    #[default]
    Same,
    Latest,
    Number(u32),
}

impl OnVersion {
    fn choice(self) -> Option<VersionChoice> {
        match self {
            Self::Same => None,
            Self::Latest => Some(VersionChoice::Latest),
            Self::Number(number) => Some(VersionChoice::Number(number)),
        }
    }
}

impl<'de> Deserialize<'de> for OnVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl de::Visitor<'_> for Words {
            type Value = OnVersion;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`same`, `latest`, or the number of a version, counted from 1")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<OnVersion, E> {
                match word {
                    "same" => Ok(OnVersion::Same),
                    "latest" => Ok(OnVersion::Latest),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<OnVersion, E> {
                let known = u32::try_from(number).ok().filter(|number| *number > 0);
                let wrong = || E::invalid_value(de::Unexpected::Unsigned(number), &self);
                known.map(OnVersion::Number).ok_or_else(wrong)
            }
        }
        deserializer.deserialize_any(Words)
    }
}

/// How a run is repeated.
#[derive(Debug, Clone)]
pub(super) struct How {
    pub from: Beginning,
    pub version: OnVersion,
    /// Repeat effects although nobody knows whether they happened.
    pub repeat_unknown: bool,
    /// Makes two requests the same one: the key, and the fingerprint of the request.
    pub key: Option<(IdempotencyKey, [u8; 32])>,
}

impl How {
    /// The order to repeat this run. A key that was used with another request is another key: its
    /// fingerprint is part of it, so it never gives a run that is not what was asked for.
    pub fn order(&self, tenant: TenantId, run: RunId) -> ReplayOrder {
        let dedupe_key = self.key.as_ref().map(|(key, fingerprint)| {
            let digits: String = fingerprint.iter().take(8).map(|b| format!("{b:02x}")).collect();
            format!("{}#{digits}", key.0)
        });
        let (from, version) = (self.from.clone(), self.version.choice());
        let repeat_unknown = self.repeat_unknown;
        ReplayOrder { tenant, run, from, version, repeat_unknown, dedupe_key }
    }
}

/// What a replay does.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlanShape {
    /// The version it runs.
    version: u32,
    /// Nodes whose results it takes over.
    takes_over: Vec<String>,
    /// Effects that happen again, under new idempotency keys.
    repeats: Vec<RepeatShape>,
}

/// An effect that happens again.
#[derive(Serialize, ToSchema)]
struct RepeatShape {
    node: String,
    /// What it uses: `hubspot.get-deal`.
    uses: String,
    /// `read`, `keyed`, `unsafe`; `starts` for a node that starts other runs.
    effect: &'static str,
    /// What became of it in the old run.
    #[schema(schema_with = step_state)]
    was: StepState,
    /// Of a list that runs again.
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<RepeatedItemsShape>,
}

/// The items of a list that runs again.
#[derive(Serialize, ToSchema)]
struct RepeatedItemsShape {
    /// Run again. On another version the list may be another one: counted is what the old run had.
    again: u32,
    /// Taken over.
    done: u32,
    /// Of those that run again, so many of which nobody knows whether they took effect.
    unknown: u32,
}

impl From<RepeatedItems> for RepeatedItemsShape {
    fn from(RepeatedItems { again, done, unknown }: RepeatedItems) -> Self {
        Self { again, done, unknown }
    }
}

impl From<Repeat> for RepeatShape {
    fn from(repeat: Repeat) -> Self {
        let items = repeat.items.map(RepeatedItemsShape::from);
        Self { node: repeat.node, uses: repeat.uses, effect: repeat.effect, was: repeat.was, items }
    }
}

impl From<ReplayPlan> for PlanShape {
    fn from(plan: ReplayPlan) -> Self {
        Self {
            version: plan.version,
            takes_over: plan.takes_over,
            repeats: plan.repeats.into_iter().map(RepeatShape::from).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn places_and_versions_are_read_as_documented() {
        let begin = |value: Value| serde_json::from_value::<BeginAt>(value).ok();
        assert_eq!(begin(json!("failed")), Some(BeginAt::Failed));
        assert_eq!(begin(json!({"node": "deal"})), Some(BeginAt::Node("deal".to_owned())));
        for wrong in [json!("deal"), json!({"node": 1}), json!("node"), json!(null)] {
            assert_eq!(begin(wrong.clone()), None, "{wrong}");
        }
        let version = |value: Value| serde_json::from_value::<OnVersion>(value).ok();
        assert_eq!(version(json!("latest")), Some(OnVersion::Latest));
        assert_eq!(version(json!(3)), Some(OnVersion::Number(3)));
        for wrong in [json!("3"), json!(0), json!(-1), json!(1.5), json!(4_294_967_296_u64)] {
            assert_eq!(version(wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_with_another_request_is_another_key() {
        let run = RunId(uuid::Uuid::nil());
        let key = |fingerprint| {
            let key = Some((IdempotencyKey("k".to_owned()), fingerprint));
            let (from, version) = (Beginning::Start, OnVersion::Same);
            let how = How { from, version, repeat_unknown: false, key };
            how.order(TenantId(uuid::Uuid::nil()), run).dedupe_key
        };
        assert_eq!(key([1; 32]).as_deref(), Some("k#0101010101010101"));
        assert_ne!(key([1; 32]), key([2; 32]));
    }
}
