//! What is live: plans by version, hooks by path. And the way for a file to become live.

mod catalog;
mod events;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Mutex;
use tombolo_core::clock::Clock;
use tombolo_core::id::{IdSource, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::authoring::{Authoring, AuthoringError, WebhookRules};
use tombolo_core::ports::intake::{Hook, Subscriber, Subscriptions};
use tombolo_core::ports::repair::By;
use tombolo_core::ports::sandbox::Sandbox;
use tombolo_core::ports::store::{Applied, NewVersion, Store, StoreError, WorkflowVersion};
use tombolo_core::workflow::{
    Definition, EventSchemas, Issue, LimitRules, Pinned, Plan, Verify, compile,
};

use catalog::TenantCatalog;
use events::Declared;

use crate::spread::Spread;

/// Versions whose plans are kept in memory; then all are made anew as they are needed.
const MAX_PLANS: usize = 4096;

/// Plans, hooks and the door for new versions.
pub struct Registry {
    store: Arc<dyn Store>,
    sandbox: Arc<dyn Sandbox>,
    rules: Arc<dyn WebhookRules>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    live: RwLock<Live>,
    /// What the store said of the versions that `live` was made from.
    revision: AtomicI64,
    plans: RwLock<HashMap<(WorkflowId, u32), Arc<Plan>>>,
    turns: Spread,
    /// One file at a time: what is live is read, compared and written together.
    applying: Mutex<()>,
}

/// What triggers are made from.
#[derive(Default)]
struct Live {
    hooks: HashMap<(TenantId, String), Arc<Hook>>,
    workflows: HashMap<(TenantId, String), Subscriber>,
    retentions: HashMap<(TenantId, WorkflowId), Duration>,
    /// By tenant and the event's name.
    events: HashMap<(TenantId, String), Vec<Subscriber>>,
    /// What those events are like.
    declared: Declared,
    /// Names of workflows.
    names: HashMap<WorkflowId, String>,
    /// By tenant.
    failures: HashMap<TenantId, Vec<FailureTaker>>,
    /// Whose all this is.
    tenants: BTreeSet<TenantId>,
}

/// Who takes the failures of others.
struct FailureTaker {
    /// Whose; None for all but its own.
    whose: Option<Vec<String>>,
    /// Its own name.
    name: String,
    subscriber: Subscriber,
}

/// Why there is no plan.
#[derive(Debug)]
pub(crate) enum NoPlan {
    /// The version cannot be run, now or later.
    Unusable {
        /// For programs.
        code: &'static str,
        /// For people.
        message: String,
    },
    /// The store did not answer; it may later.
    Store(StoreError),
}

impl From<StoreError> for NoPlan {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Registry {
    /// An empty registry; see [`Registry::reload`].
    pub fn new(
        store: Arc<dyn Store>,
        sandbox: Arc<dyn Sandbox>,
        rules: Arc<dyn WebhookRules>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self {
            store,
            sandbox,
            rules,
            clock,
            ids,
            live: RwLock::default(),
            revision: AtomicI64::default(),
            plans: RwLock::default(),
            turns: Spread::default(),
            applying: Mutex::new(()),
        }
    }

    /// Reads the live versions from the store. A version that cannot be read is left out with an
    /// error in the log: the others serve on.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn reload(&self) -> Result<(), StoreError> {
        // Asked for first: what becomes live meanwhile is read again the next time.
        let revision = self.store.live_revision().await?;
        let mut live = Live::default();
        for version in self.store.live_workflows().await? {
            match serde_json::from_str::<Definition>(version.definition.text()) {
                Ok(definition) => live.add(&version, &definition),
                Err(error) => {
                    tracing::error!(workflow = %version.name, %error, "a stored workflow cannot be read")
                }
            }
        }
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = live;
        self.revision.store(revision, Ordering::Relaxed);
        Ok(())
    }

    /// The same if a version became live since: another process may have applied it.
    pub(crate) async fn reload_if_changed(&self) -> Result<(), StoreError> {
        let unchanged = self.store.live_revision().await? == self.revision.load(Ordering::Relaxed);
        if unchanged {
            return Ok(());
        }
        let _applying = self.applying.lock().await;
        self.reload().await
    }

    /// Who has live workflows.
    pub(crate) fn tenants(&self) -> BTreeSet<TenantId> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.tenants.clone()
    }

    /// True if more than one tenant has live workflows.
    pub(crate) fn serves_several(&self) -> bool {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.tenants.len() > 1
    }

    /// The next of the tenants that have live workflows, with whom a turn begins; None unless there are
    /// several.
    pub(crate) fn next_of_several(&self) -> Option<TenantId> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let tenants = Some(&live.tenants).filter(|tenants| tenants.len() > 1)?;
        tenants.iter().nth(self.turns.next(tenants.len())).copied()
    }

    /// A live workflow's name.
    pub(crate) fn name(&self, workflow: WorkflowId) -> Option<String> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.names.get(&workflow).cloned()
    }

    /// What data of an event has to be like, if a live workflow says.
    pub(crate) fn event_schema(&self, tenant: TenantId, event: &str) -> Option<Arc<EventSchemas>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.declared.schemas(tenant, event)
    }

    /// The workflows whose ended runs are kept for a time only, and for how long.
    pub(crate) fn retentions(&self) -> Vec<((TenantId, WorkflowId), Duration)> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.retentions.iter().map(|(workflow, kept)| (*workflow, *kept)).collect()
    }

    /// The plan of a version, made once.
    pub(crate) async fn plan(
        &self,
        tenant: TenantId,
        workflow: WorkflowId,
        version: u32,
    ) -> Result<Arc<Plan>, NoPlan> {
        let key = (workflow, version);
        if let Some(plan) = self.plans.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(plan.clone());
        }
        let plan = Arc::new(self.make_plan(tenant, workflow, version).await?);
        let mut plans = self.plans.write().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= MAX_PLANS {
            plans.clear();
        }
        plans.insert(key, plan.clone());
        Ok(plan)
    }

    async fn make_plan(
        &self,
        tenant: TenantId,
        workflow: WorkflowId,
        version: u32,
    ) -> Result<Plan, NoPlan> {
        let stored = self.store.workflow_version(tenant, workflow, version).await?;
        let stored = stored.ok_or_else(|| NoPlan::Unusable {
            code: "version-missing",
            message: format!("version {version} of {workflow} is not stored"),
        })?;
        let plugins = self.store.plugins(tenant).await?;
        let catalog = TenantCatalog::pinned(&plugins, &stored.pins, self.rules.presets());
        compile(stored.definition.value(), &catalog).map(|pinned| pinned.plan).map_err(|issues| {
            let first = issues.first().map(ToString::to_string).unwrap_or_default();
            let message = format!("version {version} of `{}` cannot be run: {first}", stored.name);
            NoPlan::Unusable { code: "version-unusable", message }
        })
    }

    async fn check(&self, tenant: TenantId, file: &Json) -> Result<Pinned, AuthoringError> {
        let plugins = self.store.plugins(tenant).await?;
        let connections = self.store.connections(tenant).await?;
        let catalog = TenantCatalog::current(&plugins, &connections, self.rules.presets());
        let pinned = compile(file.value(), &catalog).map_err(AuthoringError::Invalid)?;
        let mut issues = self.scheme_issues(&pinned.definition);
        issues.extend(self.path_issues(tenant, &pinned.definition));
        issues.extend(self.event_issues(tenant, &pinned.definition));
        issues.extend(self.syntax_issues(&pinned.jq).await?);
        if issues.is_empty() { Ok(pinned) } else { Err(AuthoringError::Invalid(issues)) }
    }

    fn scheme_issues(&self, definition: &Definition) -> Vec<Issue> {
        let webhooks = definition
            .triggers
            .iter()
            .filter_map(|(name, trigger)| Some((name, trigger.webhook.as_ref()?)));
        webhooks
            .filter_map(|(name, webhook)| {
                let Verify::Scheme(custom) = &webhook.verify else {
                    return None;
                };
                let (pointer, message) = self.rules.check_scheme(&custom.scheme).err()?;
                let pointer = format!("/triggers/{name}/webhook/verify/scheme{pointer}");
                Some(Issue::new(pointer, "bad-scheme", message))
            })
            .collect()
    }

    /// Workflows may share a path only if they agree on how to take its requests.
    fn path_issues(&self, tenant: TenantId, definition: &Definition) -> Vec<Issue> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let mine = live
            .workflows
            .get(&(tenant, definition.name.clone()))
            .map(|subscriber| subscriber.workflow);
        let mut issues = Vec::new();
        for (name, trigger) in &definition.triggers {
            let Some(webhook) = &trigger.webhook else {
                continue;
            };
            let other = live.hooks.values().find(|hook| {
                hook.tenant == tenant
                    && hook.path == webhook.path
                    && hook.subscribers.iter().any(|other| Some(other.workflow) != mine)
            });
            if other.is_some_and(|hook| *hook.webhook != *webhook) {
                let message =
                    format!("another workflow listens at `{}` with other settings", webhook.path);
                let fix = "use the same `webhook` settings, or another path".to_owned();
                issues.push(
                    Issue::new(format!("/triggers/{name}/webhook/path"), "path-taken", message)
                        .suggest(Some(fix)),
                );
            }
        }
        issues
    }

    /// Workflows may publish the same event only if they agree on what it is like.
    fn event_issues(&self, tenant: TenantId, definition: &Definition) -> Vec<Issue> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.declared.issues(tenant, definition)
    }

    async fn syntax_issues(&self, jq: &[(String, String)]) -> Result<Vec<Issue>, AuthoringError> {
        if jq.is_empty() {
            return Ok(Vec::new());
        }
        let texts = jq.iter().map(|(_, text)| text.clone()).collect();
        let errors = self.sandbox.check(texts).await.map_err(AuthoringError::Evaluator)?;
        Ok(errors
            .into_iter()
            .filter_map(|error| {
                let (pointer, text) = jq.get(error.index)?;
                let at = error.position.map(|at| format!(" at character {at}")).unwrap_or_default();
                Some(Issue::new(
                    pointer,
                    "bad-expression",
                    format!("`{text}`{at}: {}", error.message),
                ))
            })
            .collect())
    }
}

impl Live {
    fn add(&mut self, version: &WorkflowVersion, definition: &Definition) {
        let timeout =
            definition.timeout.map_or(tombolo_core::workflow::DEFAULT_RUN_TIMEOUT, |span| span.0);
        let limits = LimitRules::prepare(&definition.limits).map(Arc::new);
        let subscriber = |trigger: &str| Subscriber {
            workflow: version.id,
            version: version.version,
            trigger: trigger.to_owned(),
            timeout: Some(timeout),
            limits: limits.clone(),
        };
        if let Some(kept) = definition.retention {
            self.retentions.insert((version.tenant, version.id), kept.0);
        }
        self.workflows.insert((version.tenant, version.name.clone()), subscriber("api"));
        self.names.insert(version.id, version.name.clone());
        self.tenants.insert(version.tenant);
        self.declared.add(version.tenant, definition);
        for (name, trigger) in &definition.triggers {
            if let Some(event) = &trigger.event {
                let key = (version.tenant, event.name.clone());
                self.events.entry(key).or_default().push(subscriber(name));
            }
            if let Some(failure) = &trigger.failure {
                let taker = FailureTaker {
                    whose: failure.workflows.clone(),
                    name: version.name.clone(),
                    subscriber: subscriber(name),
                };
                self.failures.entry(version.tenant).or_default().push(taker);
            }
            let Some(webhook) = &trigger.webhook else {
                continue;
            };
            let key = (version.tenant, webhook.path.clone());
            let hook = self.hooks.entry(key).or_insert_with(|| {
                Arc::new(Hook {
                    tenant: version.tenant,
                    path: webhook.path.clone(),
                    webhook: Arc::new(webhook.clone()),
                    owner: (version.id, version.version),
                    subscribers: Vec::new(),
                })
            });
            Arc::make_mut(hook).subscribers.push(subscriber(name));
        }
    }
}

impl Subscriptions for Registry {
    fn hook(&self, tenant: TenantId, path: &str) -> Option<Arc<Hook>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.hooks.get(&(tenant, path.to_owned())).cloned()
    }

    fn workflow(&self, tenant: TenantId, name: &str) -> Option<Subscriber> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.workflows.get(&(tenant, name.to_owned())).cloned()
    }

    fn event(&self, tenant: TenantId, name: &str) -> Vec<Subscriber> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.events.get(&(tenant, name.to_owned())).cloned().unwrap_or_default()
    }

    fn failure(&self, tenant: TenantId, workflow: &str) -> Vec<Subscriber> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let all = live.failures.get(&tenant).into_iter().flatten();
        all.filter(|taker| match &taker.whose {
            Some(names) => names.iter().any(|name| name == workflow),
            None => taker.name != workflow,
        })
        .map(|taker| taker.subscriber.clone())
        .collect()
    }
}

#[async_trait]
impl Authoring for Registry {
    async fn validate(&self, tenant: TenantId, file: &Json) -> Result<Vec<Issue>, AuthoringError> {
        match self.check(tenant, file).await {
            Ok(_) => Ok(Vec::new()),
            Err(AuthoringError::Invalid(issues)) => Ok(issues),
            Err(other) => Err(other),
        }
    }

    async fn apply(&self, tenant: TenantId, file: Json, by: By) -> Result<Applied, AuthoringError> {
        let _one_at_a_time = self.applying.lock().await;
        let pinned = self.check(tenant, &file).await?;
        let (now, name) = (self.clock.now(), pinned.definition.name.clone());
        let entry = by.entry(now, "workflow-applied", format!("workflows/{name}"), Value::Null);
        let version = NewVersion {
            tenant,
            id: WorkflowId::new(&*self.ids),
            name,
            definition: file,
            pins: pinned.pins,
            audit: Some(entry),
            now,
        };
        let applied = self.store.apply_workflow(version).await?;
        self.reload().await?;
        Ok(applied)
    }
}
