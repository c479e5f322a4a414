//! Triggers: their kinds, their verification, their expressions.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::Compiler;
use crate::json::push_pointer;
use crate::workflow::Dedupe;
use crate::workflow::definition::Respond;
use crate::workflow::issue::{Issue, did_you_mean};
use crate::workflow::parameters::Parameters;
use crate::workflow::verify::Verify;

/// How long a throttle's or debounce's time may be.
const MAX_LIMIT_WAIT: Duration = Duration::from_secs(24 * 3600);

/// How long a webhook's sender may be kept waiting for the result of a run.
const MAX_PATIENCE: Duration = Duration::from_secs(300);

impl Compiler<'_> {
    pub(super) fn check_triggers(&mut self) {
        let mut paths: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, trigger) in &self.definition.triggers {
            let pointer = push_pointer("/triggers", name);
            let kinds =
                [trigger.webhook.is_some(), trigger.event.is_some(), trigger.failure.is_some()];
            if kinds.iter().filter(|given| **given).count() != 1 {
                let message = "a trigger needs exactly one kind: `webhook`, `event` or `failure`";
                self.add(Issue::new(pointer, "no-trigger-kind", message));
                continue;
            }
            let Some(webhook) = &trigger.webhook else {
                continue;
            };
            let pointer = pointer + "/webhook";
            if let Some(first) = paths.insert(&webhook.path, name) {
                let message = format!("the trigger `{first}` listens at `{}`, too", webhook.path);
                self.add(Issue::new(format!("{pointer}/path"), "path-taken", message));
            }
            if webhook.patience.is_some_and(|patience| patience.0 > MAX_PATIENCE) {
                let message = "a sender is kept waiting for 5m at most";
                self.add(Issue::new(format!("{pointer}/patience"), "too-long", message));
            }
            self.check_verify(&webhook.verify, &format!("{pointer}/verify"));
            if webhook.split.is_some() && webhook.respond == Respond::Result {
                let message =
                    "`respond` cannot be `result` where `split` makes several runs of one request";
                self.add(Issue::new(format!("{pointer}/respond"), "split-has-no-result", message));
            }
            let texts = [
                ("split", webhook.split.as_deref()),
                (
                    "dedupe",
                    match &webhook.dedupe {
                        Some(Dedupe::Expression(text)) => Some(text.as_str()),
                        _ => None,
                    },
                ),
            ];
            for (key, text) in texts {
                if let Some(text) = text {
                    self.check_trigger_expression(text, &format!("{pointer}/{key}"));
                }
            }
        }
    }

    /// Keys are expressions over the event; a number or a word is the same for every run.
    pub(super) fn check_limits(&mut self) {
        let limits = &self.definition.limits;
        let value = serde_json::to_value(limits).unwrap_or_default();
        match Parameters::prepare(&value) {
            Ok(prepared) => self.keep_jq(&prepared, "/limits"),
            Err(errors) => self.add_template_errors(errors, "/limits"),
        }
        if let Some(priority) = &limits.priority
            && !priority.as_str().is_some_and(|text| {
                text.contains("${") || ["high", "normal", "low"].contains(&text)
            })
        {
            let message = format!("`{priority}` is no priority");
            let fix = "write `high`, `normal`, `low`, or an expression".to_owned();
            self.add(Issue::new("/limits/priority", "bad-priority", message).suggest(Some(fix)));
        }
        if limits.throttle.as_ref().is_some_and(|rule| rule.per.0.is_zero()) {
            let message = "`per` has to be longer than nothing";
            self.add(Issue::new("/limits/throttle/per", "too-short", message));
        }
        if limits.longest() > MAX_LIMIT_WAIT {
            let message = "a limit may make a run wait for 1d at most";
            self.add(Issue::new("/limits", "too-long", message));
        }
    }

    pub(super) fn check_trigger_expression(&mut self, text: &str, pointer: &str) {
        match Parameters::prepare(&Value::String(text.to_owned())) {
            Ok(prepared) if prepared.expressions().is_empty() => {
                let message = "this has to be an expression: `${ .. }`";
                self.add(Issue::new(pointer, "not-an-expression", message));
            }
            Ok(prepared) => self.keep_jq(&prepared, pointer),
            Err(errors) => self.add_template_errors(errors, pointer),
        }
    }

    pub(super) fn check_verify(&mut self, verify: &Verify, pointer: &str) {
        let secrets = match verify {
            Verify::Open(_) => return,
            Verify::Preset(preset) => {
                if !self.catalog.has_preset(&preset.preset) {
                    let known = self.catalog.preset_names();
                    let suggestion = did_you_mean(&preset.preset, known.iter().copied())
                        .or_else(|| Some(format!("known are: {}", known.join(", "))));
                    let message =
                        format!("`{}` is no preset of webhook verification", preset.preset);
                    self.add(
                        Issue::new(format!("{pointer}/preset"), "unknown-preset", message)
                            .suggest(suggestion),
                    );
                }
                &preset.secrets
            }
            Verify::Scheme(custom) => &custom.secrets,
        };
        for (at, name) in secrets.iter().enumerate() {
            let pointer = format!("{pointer}/secrets/{at}");
            if !self.catalog.has_connection(name) {
                self.add_unknown_connection(&pointer, name);
            } else if !self.catalog.has_signing_secret(name) {
                let message = format!("the connection `{name}` keeps no webhook secret");
                let fix = format!("set one: tombolo connection set {name} --signing-secret-stdin");
                self.add(Issue::new(pointer, "no-signing-secret", message).suggest(Some(fix)));
            }
        }
    }
}
