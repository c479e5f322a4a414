//! One attempt of one step: resolve its parameters, then run it.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tombolo_core::clock::Timestamp;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::{TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::egress::{Caller, Connection};
use tombolo_core::ports::journal::JournalEntry;
use tombolo_core::ports::sandbox::{
    Interrupt, Invocation, Invoked, Outcome, SANDBOX_BUSY, StateReader, StateUnavailable,
};
use tombolo_core::ports::store::{Store, StoreError};
use tombolo_core::run::{RunScope, idempotency_key};
use tombolo_core::workflow::{Parameters, PlanEach, PlanNode, Uses};

use crate::asked::{Asked, shown};
use crate::desk::read;
use crate::{Inner, Ports};

/// Most items of one for-each node.
pub(crate) const MAX_ITEMS: usize = 10_000;

/// The code of an attempt that did not call, because its connection is paused.
pub(crate) const CONNECTION_PAUSED: &str = "connection-paused";

/// The run that a step belongs to, as far as an attempt needs it.
#[derive(Debug, Clone)]
pub(crate) struct Of {
    pub tenant: TenantId,
    pub workflow: WorkflowId,
    pub version: u32,
    pub run: tombolo_core::id::RunId,
    pub correlation_id: String,
}

/// What became of the parameters.
#[derive(Debug)]
pub(crate) enum Prepared {
    /// The condition is false.
    Skip,
    /// Ready to run.
    Input(Json),
    /// The list of a for-each node.
    List(Json),
    /// The time that the step waited for has come.
    Due(Timestamp),
    /// No value.
    Refused(StepError),
    /// No value yet: the evaluator has too much to do.
    Busy(StepError),
}

/// True if the host had no room for a step, which has done nothing.
pub(crate) fn is_busy(error: &StepError) -> bool {
    error.class == ErrorClass::Transient && error.code == SANDBOX_BUSY
}

fn unresolved_as(error: StepError) -> Prepared {
    match error.class {
        ErrorClass::Transient => Prepared::Busy(error),
        _ => Prepared::Refused(error),
    }
}

/// Evaluates a node's condition and parameters.
pub(crate) async fn prepare(ports: &Ports, of: &Of, node: &PlanNode, scope: RunScope) -> Prepared {
    let asked = Asked { node, parameters: &node.parameters, scope: &scope };
    let answers = match asked.evaluate(ports, of).await {
        Ok(answers) => answers,
        Err(error) => return unresolved_as(error),
    };
    let input = || asked.text("with", &answers).map(Prepared::Input);
    asked.if_it_holds(&answers, input).unwrap_or_else(Prepared::Refused)
}

/// Evaluates the condition and the list of a for-each node.
pub(crate) async fn prepare_list(
    ports: &Ports,
    of: &Of,
    node: &PlanNode,
    each: &PlanEach,
    scope: RunScope,
) -> Prepared {
    let asked = Asked { node, parameters: &each.parameters, scope: &scope };
    let answers = match asked.evaluate(ports, of).await {
        Ok(answers) => answers,
        Err(error) => return unresolved_as(error),
    };
    let list = || {
        let mut each = asked.value("each", &answers)?.unwrap_or_default();
        let list = each.get_mut("items").map(Value::take).unwrap_or_default();
        check_list(node, &list)?;
        Ok(Prepared::List(list.into()))
    };
    asked.if_it_holds(&answers, list).unwrap_or_else(Prepared::Refused)
}

fn check_list(node: &PlanNode, list: &Value) -> Result<(), StepError> {
    let refuse = |code, message| Err(StepError::new(ErrorClass::InvalidInput, code, message));
    match list.as_array() {
        Some(items) if items.len() <= MAX_ITEMS => Ok(()),
        Some(items) => {
            let message = format!(
                "node `{}`: `each` has {} items, the limit is {MAX_ITEMS} (limit max_items); cut \
                 the list, and run a workflow for each part",
                node.name,
                items.len()
            );
            refuse("too-many-items", message)
        }
        None => {
            let message =
                format!("node `{}`: `each` gave {}; it has to give a list", node.name, shown(list));
            refuse("each-not-a-list", message)
        }
    }
}

/// Evaluates a node's `retry.if`.
///
/// # Errors
/// If it has no value, or is neither true nor false.
pub(crate) async fn judge(
    ports: &Ports,
    of: &Of,
    node: &PlanNode,
    condition: &Parameters,
    scope: RunScope,
) -> Result<bool, StepError> {
    let asked = Asked { node, parameters: condition, scope: &scope };
    let answers = asked.evaluate(ports, of).await?;
    let retry = asked.value("retry", &answers)?.unwrap_or_default();
    let given = &retry["if"];
    given.as_bool().ok_or_else(|| {
        let message = format!(
            "node `{}`: `retry.if` gave {}; it has to give true or false",
            node.name,
            shown(given)
        );
        StepError::new(ErrorClass::InvalidInput, "condition-not-boolean", message)
    })
}

/// Which attempt of which step.
pub(crate) struct Attempt {
    pub of: Of,
    pub item: u32,
    pub edits: u32,
    pub number: u32,
    pub input: Json,
    /// Calls of earlier attempts, whose answers stand in for new ones.
    pub journal: Arc<[JournalEntry]>,
    /// Ends it early.
    pub cut_off: CutOff,
}

/// Ends the attempts of a run at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct CutOff(CancellationToken);

impl CutOff {
    pub fn cut(&self) {
        self.0.cancel();
    }

    pub fn is_cut(&self) -> bool {
        self.0.is_cancelled()
    }
}

#[async_trait]
impl Interrupt for CutOff {
    async fn interrupted(&self) {
        self.0.cancelled().await;
    }
}

/// Runs an attempt to its end. A failure of the attempt is part of what comes back; what the store
/// fails at is not the step's fault and spends no attempt.
pub(crate) async fn run(
    inner: &Inner,
    node: &PlanNode,
    attempt: Attempt,
) -> Result<Invoked, StoreError> {
    let ports = &inner.ports;
    match &node.uses {
        // Built-ins are begun by the desk, and attempt nothing.
        Uses::Builtin(builtin) => {
            Err(StoreError::Corrupt(format!("`{}` was attempted", builtin.name())))
        }
        Uses::Plugin { hash, operation, ports: known, .. } => {
            let connection = match connection(inner, &attempt.of, node).await {
                Ok(Ok(connection)) => connection,
                Ok(Err(error)) => return Ok(done(Err(error))),
                Err(error) => return Ok(done(Err(unread(&error)))),
            };
            let now = ports.clock.now();
            let invocation = Invocation {
                plugin: *hash,
                operation: operation.clone(),
                params: attempt.input.clone(),
                caller: Arc::new(caller(node, &attempt)),
                version: attempt.of.version,
                connection,
                started_at: now,
                timeout: node.timeout,
                deadline: now.plus(node.timeout),
                state: Arc::new(NodeState {
                    store: ports.store.clone(),
                    tenant: attempt.of.tenant,
                    workflow: attempt.of.workflow,
                    node: node.name.clone(),
                }),
                journal: attempt.journal.clone(),
                interrupt: Arc::new(attempt.cut_off.clone()),
            };
            let mut invoked = ports.sandbox.invoke(invocation).await;
            invoked.result = invoked.result.and_then(|outcome| check_ports(node, known, outcome));
            Ok(invoked)
        }
    }
}

/// The attempt has not begun, because the store cannot be read.
fn unread(error: &StoreError) -> StepError {
    let message = format!("the store could not be read: {error}");
    StepError::new(ErrorClass::Transient, SANDBOX_BUSY, message)
}

fn done(result: Result<Outcome, StepError>) -> Invoked {
    Invoked { result, logs: Vec::new(), calls: Vec::new(), state: Vec::new(), journal: Vec::new() }
}

fn caller(node: &PlanNode, attempt: &Attempt) -> Caller {
    let of = &attempt.of;
    Caller {
        tenant: of.tenant,
        workflow: of.workflow,
        run: of.run,
        node: node.name.clone(),
        attempt: attempt.number,
        idempotency_key: idempotency_key(
            of.tenant,
            of.run,
            &node.name,
            attempt.item,
            attempt.edits,
        ),
        correlation_id: of.correlation_id.clone(),
        effect: node.effect,
    }
}

async fn connection(
    inner: &Inner,
    of: &Of,
    node: &PlanNode,
) -> Result<Result<Option<Arc<Connection>>, StepError>, StoreError> {
    let Some(name) = &node.connection else {
        return Ok(Ok(None));
    };
    let missing = || {
        let message =
            format!("the connection `{name}` does not exist any more; set it again and redrive");
        StepError::new(ErrorClass::Permanent, "connection-missing", message)
    };
    let stored = read(inner, || inner.ports.store.connection(of.tenant, name)).await?;
    let Some(stored) = stored else {
        return Ok(Err(missing()));
    };
    if let Some(paused) = &stored.paused {
        let message = format!(
            "the connection `{name}` is paused since {}, because its credentials were refused: {}; \
             set new ones, or resume it",
            paused.at, paused.reason
        );
        return Ok(Err(StepError::new(ErrorClass::Auth, CONNECTION_PAUSED, message)));
    }
    Ok(Ok(Some(Arc::new(stored))))
}

/// A port that the descriptor does not know would lead nowhere, silently.
fn check_ports(node: &PlanNode, known: &[String], outcome: Outcome) -> Result<Outcome, StepError> {
    match outcome.ports.iter().find(|port| !known.contains(port)) {
        None => Ok(outcome),
        Some(port) => {
            let message = format!(
                "node `{}` fired the port `{port}`, which its operation does not declare",
                node.name
            );
            Err(StepError::new(ErrorClass::Permanent, "unknown-port", message))
        }
    }
}

/// The committed state of one node.
struct NodeState {
    store: Arc<dyn Store>,
    tenant: TenantId,
    workflow: WorkflowId,
    node: String,
}

impl std::fmt::Debug for NodeState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeState({}, {})", self.workflow, self.node)
    }
}

#[async_trait]
impl StateReader for NodeState {
    async fn get(&self, key: &str) -> Result<Option<(Json, u64)>, StateUnavailable> {
        self.store
            .node_state(self.tenant, self.workflow, &self.node, key)
            .await
            .map_err(|error| StateUnavailable(error.to_string()))
    }
}
