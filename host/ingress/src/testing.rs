//! What unit tests of this crate share: a webhook, and an evaluator that is the real jq without its
//! sandbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::{TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::intake::Hook;
use tombolo_core::ports::sandbox::{
    Evaluation, ExpressionError, InstallError, Installed, Invocation, Invoked, Sandbox,
};
use uuid::Uuid;

/// A webhook at `inbox` that anybody may call, but for what `more` says.
pub(crate) fn hook(more: Value) -> Arc<Hook> {
    let mut webhook = json!({ "path": "inbox", "verify": "none" });
    for (key, value) in more.as_object().into_iter().flatten() {
        webhook[key] = value.clone();
    }
    Arc::new(Hook {
        tenant: TenantId(Uuid::from_u128(1)),
        path: "inbox".to_owned(),
        webhook: Arc::new(serde_json::from_value(webhook).unwrap()),
        owner: (WorkflowId(Uuid::from_u128(2)), 1),
        subscribers: Vec::new(),
    })
}

/// Evaluates, and counts how often it is asked.
#[derive(Default)]
pub(crate) struct JqSandbox {
    asked: AtomicUsize,
    failing: Option<ExpressionError>,
}

impl JqSandbox {
    /// One that always answers this error.
    pub fn failing(error: ExpressionError) -> Self {
        Self { failing: Some(error), ..Self::default() }
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Sandbox for JqSandbox {
    async fn install(&self, _: Bytes) -> Result<Installed, InstallError> {
        unreachable!("webhooks install nothing")
    }

    async fn invoke(&self, _: Invocation) -> Invoked {
        unreachable!("webhooks run no operation")
    }

    async fn evaluate(&self, evaluation: Evaluation) -> Result<Vec<Json>, ExpressionError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if let Some(error) = &self.failing {
            return Err(error.clone());
        }
        let one = |(index, text): (usize, &String)| {
            one(text, &evaluation.scope).map_err(|message| ExpressionError {
                index,
                class: ErrorClass::InvalidInput,
                code: "expression-failed".to_owned(),
                message,
                position: None,
            })
        };
        evaluation.expressions.iter().enumerate().map(one).collect()
    }

    async fn check(&self, _: Vec<String>) -> Result<Vec<ExpressionError>, StepError> {
        unreachable!("webhooks check nothing")
    }
}

fn one(text: &str, scope: &str) -> Result<Json, String> {
    let program = tombolo_jq::program(text).map_err(|error| error.to_string())?;
    let scope = tombolo_jq::read(scope.as_bytes()).map_err(|error| error.to_string())?;
    let value = program.one(scope).map_err(|error| error.to_string())?;
    tombolo_jq::write(&value).map(Json::from_trusted).map_err(|error| error.to_string())
}
