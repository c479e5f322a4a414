//! The store as one process has it: it can be cut off, as by `kill -9`, and it can fail on command.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::oneshot;
use tombolo_core::audit::{AuditEntry, AuditHash, Head, Stored};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{ContentHash, EventId, RunId, TenantId, TokenId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::egress::Connection;
use tombolo_core::ports::store::{
    Accept, Accepted, Access, Added, Applied, AuditTrail, Call, CancelRequest, Catalog, Claim,
    Claimed, EventView, Housekeeping, Lease, Letter, LetterBox, LetterCursor, LetterFilter,
    NewPlugin, NewVersion, Open, Opened, Page, Plugin, QuotaChange, Reading, RunFilter, RunLog,
    RunSummary, RunView, Settle, Signal, Signalled, StepKey, Store, StoreError, SweepCursor, Swept,
    Tenant, Token, TokenPage, TokenUse, Vacuumed, WorkflowVersion,
};
use tombolo_core::quota::Quotas;
use tombolo_store::SqliteStore;

/// What happens at a call of the store.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// The process dies before it.
    DiesBefore,
    /// The process dies after it: done, but never told.
    DiesAfter,
    /// It fails, and nothing is written.
    Fails(StoreError),
    /// It is done, and nobody can say so.
    DoneAndUnknown,
}

/// What of a claimed run cannot be read.
#[derive(Debug, Clone, Copy)]
pub enum Spoilt {
    /// Its own row.
    Row,
    /// Something below it.
    Below,
}

/// One process's way to the store.
pub struct Mortal {
    store: Arc<SqliteStore>,
    dead: AtomicBool,
    /// Calls so far.
    calls: AtomicUsize,
    /// Parts of sweeps.
    sweeps: AtomicUsize,
    /// What cannot be read of the next run that is claimed.
    spoilt: Mutex<Option<Spoilt>>,
    /// The next claim that brings runs waits here before it tells so.
    held_claim: Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>,
    bad_reads: AtomicUsize,
    bad_writes: AtomicUsize,
    /// At which call what happens.
    plan: Mutex<Option<(usize, Trouble)>>,
}

impl Mortal {
    pub fn new(store: Arc<SqliteStore>) -> Self {
        Self {
            store,
            dead: false.into(),
            calls: 0.into(),
            sweeps: 0.into(),
            spoilt: Mutex::new(None),
            held_claim: Mutex::new(None),
            bad_reads: 0.into(),
            bad_writes: 0.into(),
            plan: Mutex::new(None),
        }
    }

    /// From now on nothing of this process reaches the store, and no answer reaches the process.
    pub fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Comes back when it is dead.
    pub async fn dies(&self) {
        while !self.is_dead() {
            tokio::task::yield_now().await;
        }
    }

    /// How many writes there were. A look that brings nothing is none.
    pub fn writes(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Parts of sweeps so far.
    pub fn sweeps(&self) -> usize {
        self.sweeps.load(Ordering::SeqCst)
    }

    /// The next run that is claimed is damaged.
    pub fn spoil(&self, spoilt: Spoilt) {
        *self.spoilt.lock().unwrap() = Some(spoilt);
    }

    fn spoiled(&self, claimed: Claimed) -> Claimed {
        let Claimed::Run(run) = claimed else {
            return claimed;
        };
        let Some(spoilt) = self.spoilt.lock().unwrap().take() else {
            return Claimed::Run(run);
        };
        Claimed::Damaged {
            tenant: run.run.tenant,
            lease: run.lease.clone(),
            reason: "as the test says".into(),
            readable: match spoilt {
                Spoilt::Row => None,
                Spoilt::Below => Some(run),
            },
        }
    }

    /// Plans one trouble, `after` further writes from now.
    pub fn plan(&self, after: usize, trouble: Trouble) {
        *self.plan.lock().unwrap() = Some((self.writes() + after, trouble));
    }

    /// True if what was planned has not come yet.
    pub fn has_plan(&self) -> bool {
        self.plan.lock().unwrap().is_some()
    }

    /// Holds the next claim that brings runs between the store and the process: first to be
    /// awaited, then to be sent to.
    pub fn hold_claim(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let (brought, has_brought) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel();
        *self.held_claim.lock().unwrap() = Some((brought, may_go_on));
        (has_brought, go_on)
    }

    async fn through<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.living().await;
        well(&self.bad_writes)?;
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let trouble = self.plan.lock().unwrap().take_if(|(at, _)| *at == number);
        match trouble.map(|(_, trouble)| trouble) {
            None => {
                let done = call.await;
                self.living().await;
                done
            }
            Some(Trouble::Fails(error)) => Err(error),
            Some(Trouble::DoneAndUnknown) => {
                call.await?;
                Err(StoreError::Unknown("gone".to_owned()))
            }
            Some(Trouble::DiesBefore) => {
                self.die();
                std::future::pending().await
            }
            Some(Trouble::DiesAfter) => {
                let _never_told = call.await;
                self.die();
                std::future::pending().await
            }
        }
    }

    /// So many reads of a run under way fail from now on.
    pub fn fail_reads(&self, count: usize) {
        self.bad_reads.store(count, Ordering::SeqCst);
    }

    /// Reads that are to fail still.
    pub fn bad_reads(&self) -> usize {
        self.bad_reads.load(Ordering::SeqCst)
    }

    /// The same of writes.
    pub fn fail_writes(&self, count: usize) {
        self.bad_writes.store(count, Ordering::SeqCst);
    }

    /// Writes that are to fail still.
    pub fn bad_writes(&self) -> usize {
        self.bad_writes.load(Ordering::SeqCst)
    }

    /// True if such a trouble is planned for the write of that number.
    fn takes_plan(&self, such: impl Fn(&Trouble) -> bool, number: usize) -> bool {
        let mut plan = self.plan.lock().unwrap();
        plan.take_if(|(at, trouble)| *at == number && such(trouble)).is_some()
    }

    /// For ever, once the process is dead.
    async fn living(&self) {
        if self.is_dead() {
            std::future::pending().await
        }
    }
}

/// Fails if there is something to fail, which is one less then.
fn well(bad: &AtomicUsize) -> Result<(), StoreError> {
    let less = |left: usize| left.checked_sub(1);
    match bad.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) {
        Ok(_) => Err(StoreError::Database("an error of the disk".to_owned())),
        Err(_) => Ok(()),
    }
}

#[async_trait]
impl RunLog for Mortal {
    async fn accept(&self, batch: Vec<Accept>) -> Result<Vec<Accepted>, StoreError> {
        self.through(self.store.accept(batch)).await
    }
    async fn take_over(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.through(self.store.take_over(now)).await
    }
    async fn set_back(&self, from: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        self.living().await;
        self.store.set_back(from, now).await
    }
    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        self.living().await;
        let due = self.store.next_due().await?.is_some_and(|due| due <= claim.now);
        if due && self.takes_plan(|trouble| *trouble == Trouble::DiesBefore, self.writes()) {
            self.die();
        }
        self.living().await;
        let claimed = self.store.claim(claim).await;
        // A look that brings nothing writes nothing.
        let brings = claimed.as_ref().is_ok_and(|claimed| !claimed.is_empty());
        let held = if brings { self.held_claim.lock().unwrap().take() } else { None };
        if let Some((brought, go_on)) = held {
            let _ = brought.send(());
            let _ = go_on.await;
        }
        if brings {
            let number = self.calls.fetch_add(1, Ordering::SeqCst);
            if self.takes_plan(|trouble| *trouble == Trouble::DiesAfter, number) {
                self.die();
            }
        }
        self.living().await;
        Ok(claimed?.into_iter().map(|claimed| self.spoiled(claimed)).collect())
    }
    async fn open(&self, open: Open) -> Result<Opened, StoreError> {
        self.through(self.store.open(open)).await
    }
    async fn signal(
        &self,
        signal: Signal,
        audit: Option<AuditEntry>,
    ) -> Result<Signalled, StoreError> {
        self.through(self.store.signal(signal, audit)).await
    }
    async fn signals(&self, tenant: TenantId, run: RunId) -> Result<Vec<Signal>, StoreError> {
        self.living().await;
        well(&self.bad_reads)?;
        self.store.signals(tenant, run).await
    }
    async fn renew(&self, leases: &[Lease], until: Timestamp) -> Result<Vec<RunId>, StoreError> {
        if leases.is_empty() {
            return self.store.renew(leases, until).await;
        }
        self.through(self.store.renew(leases, until)).await
    }
    async fn settle(&self, settle: Settle) -> Result<(), StoreError> {
        self.through(self.store.settle(settle)).await
    }
    async fn request_cancel(
        &self,
        tenant: TenantId,
        run: RunId,
        audit: Option<AuditEntry>,
    ) -> Result<CancelRequest, StoreError> {
        self.through(self.store.request_cancel(tenant, run, audit)).await
    }
    async fn cancel_requested(&self, among: &[RunId]) -> Result<Vec<RunId>, StoreError> {
        self.living().await;
        self.store.cancel_requested(among).await
    }
    async fn signalled(&self, among: &[RunId]) -> Result<Vec<RunId>, StoreError> {
        self.living().await;
        self.store.signalled(among).await
    }
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.living().await;
        self.store.next_due().await
    }
    async fn node_state(
        &self,
        tenant: TenantId,
        workflow: WorkflowId,
        node: &str,
        key: &str,
    ) -> Result<Option<(Json, u64)>, StoreError> {
        self.store.node_state(tenant, workflow, node, key).await
    }
}

#[async_trait]
impl Catalog for Mortal {
    async fn add_plugin(&self, plugin: NewPlugin) -> Result<Added, StoreError> {
        self.store.add_plugin(plugin).await
    }
    async fn plugins(&self, tenant: TenantId) -> Result<Vec<Plugin>, StoreError> {
        self.store.plugins(tenant).await
    }
    async fn component(&self, hash: ContentHash) -> Result<Option<Bytes>, StoreError> {
        self.store.component(hash).await
    }
    async fn apply_workflow(&self, version: NewVersion) -> Result<Applied, StoreError> {
        self.store.apply_workflow(version).await
    }
    async fn live_workflows(&self) -> Result<Vec<WorkflowVersion>, StoreError> {
        self.store.live_workflows().await
    }
    async fn live_revision(&self) -> Result<i64, StoreError> {
        self.store.live_revision().await
    }
    async fn workflows(&self, tenant: TenantId) -> Result<Vec<WorkflowVersion>, StoreError> {
        self.store.workflows(tenant).await
    }
    async fn workflow_versions(
        &self,
        tenant: TenantId,
        name: &str,
    ) -> Result<Vec<WorkflowVersion>, StoreError> {
        self.store.workflow_versions(tenant, name).await
    }
    async fn workflow_version(
        &self,
        tenant: TenantId,
        id: WorkflowId,
        version: u32,
    ) -> Result<Option<WorkflowVersion>, StoreError> {
        self.store.workflow_version(tenant, id, version).await
    }
    async fn put_connection(
        &self,
        connection: Connection,
        audit: Option<AuditEntry>,
    ) -> Result<(), StoreError> {
        self.store.put_connection(connection, audit).await
    }
    async fn connection(
        &self,
        tenant: TenantId,
        name: &str,
    ) -> Result<Option<Connection>, StoreError> {
        self.living().await;
        well(&self.bad_reads)?;
        self.store.connection(tenant, name).await
    }
    async fn connections(&self, tenant: TenantId) -> Result<Vec<Connection>, StoreError> {
        self.store.connections(tenant).await
    }
    async fn resume_connection(
        &self,
        tenant: TenantId,
        name: &str,
        now: Timestamp,
        audit: AuditEntry,
    ) -> Result<Option<u64>, StoreError> {
        self.through(self.store.resume_connection(tenant, name, now, audit)).await
    }
}

#[async_trait]
impl LetterBox for Mortal {
    async fn letters(
        &self,
        tenant: TenantId,
        filter: &LetterFilter,
        after: Option<LetterCursor>,
        limit: u32,
    ) -> Result<Vec<Letter>, StoreError> {
        self.store.letters(tenant, filter, after, limit).await
    }
    async fn discard(
        &self,
        tenant: TenantId,
        run: RunId,
        step: &StepKey,
        reason: String,
        audit: AuditEntry,
    ) -> Result<bool, StoreError> {
        self.through(self.store.discard(tenant, run, step, reason, audit)).await
    }
    async fn letter_count(&self, tenant: TenantId) -> Result<u64, StoreError> {
        self.living().await;
        self.store.letter_count(tenant).await
    }
}

#[async_trait]
impl Housekeeping for Mortal {
    async fn forget(
        &self,
        workflow: (TenantId, WorkflowId),
        ended_before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.store.forget(workflow, ended_before, limit).await
    }
    async fn forget_events(
        &self,
        received_before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.store.forget_events(received_before, limit).await
    }
    async fn forget_waits(&self, limit: u32) -> Result<u64, StoreError> {
        self.store.forget_waits(limit).await
    }
    async fn sweep_payloads(
        &self,
        after: Option<SweepCursor>,
        limit: u32,
    ) -> Result<Swept, StoreError> {
        self.sweeps.fetch_add(1, Ordering::SeqCst);
        self.store.sweep_payloads(after, limit).await
    }
    async fn vacuum(&self, pages: u32) -> Result<Vacuumed, StoreError> {
        self.store.vacuum(pages).await
    }
}

#[async_trait]
impl Access for Mortal {
    async fn ensure_tenant(&self, tenant: Tenant, now: Timestamp) -> Result<Tenant, StoreError> {
        self.store.ensure_tenant(tenant, now).await
    }
    async fn tenant(&self, name: &str) -> Result<Option<Tenant>, StoreError> {
        self.store.tenant(name).await
    }
    async fn put_token(&self, token: Token, audit: Option<AuditEntry>) -> Result<(), StoreError> {
        self.store.put_token(token, audit).await
    }
    async fn tenants(&self, after: Option<&str>, limit: u32) -> Result<Vec<Tenant>, StoreError> {
        self.store.tenants(after, limit).await
    }
    async fn token(&self, hash: [u8; 32]) -> Result<Option<Token>, StoreError> {
        self.store.token(hash).await
    }
    async fn tokens(&self, tenant: TenantId, page: TokenPage) -> Result<Vec<Token>, StoreError> {
        self.store.tokens(tenant, page).await
    }
    async fn revoke_token(
        &self,
        tenant: TenantId,
        token: TokenId,
        audit: AuditEntry,
    ) -> Result<Option<Token>, StoreError> {
        self.through(self.store.revoke_token(tenant, token, audit)).await
    }
    async fn touch_tokens(&self, uses: Vec<TokenUse>) -> Result<(), StoreError> {
        self.through(self.store.touch_tokens(uses)).await
    }
    async fn set_quotas(
        &self,
        tenant: TenantId,
        change: QuotaChange,
        audit: Option<AuditEntry>,
    ) -> Result<(), StoreError> {
        self.through(self.store.set_quotas(tenant, change, audit)).await
    }
    async fn quotas(&self) -> Result<Vec<(TenantId, Quotas)>, StoreError> {
        self.store.quotas().await
    }
    async fn open_runs(&self, of: &[(TenantId, u64)]) -> Result<Vec<(TenantId, u64)>, StoreError> {
        self.store.open_runs(of).await
    }
    async fn storage_bytes(&self, of: &[TenantId]) -> Result<Vec<(TenantId, u64)>, StoreError> {
        self.store.storage_bytes(of).await
    }
    async fn record(&self, tenant: TenantId, entry: AuditEntry) -> Result<(), StoreError> {
        self.through(self.store.record(tenant, entry)).await
    }
}

#[async_trait]
impl Reading for Mortal {
    async fn runs(
        &self,
        tenant: TenantId,
        filter: &RunFilter,
        page: Page,
    ) -> Result<Vec<RunSummary>, StoreError> {
        self.store.runs(tenant, filter, page).await
    }
    async fn run(&self, tenant: TenantId, run: RunId) -> Result<Option<RunView>, StoreError> {
        self.store.run(tenant, run).await
    }
    async fn calls(&self, tenant: TenantId, run: RunId) -> Result<Vec<Call>, StoreError> {
        self.store.calls(tenant, run).await
    }
    async fn knows_event(
        &self,
        tenant: TenantId,
        source: &str,
        dedupe_key: &str,
    ) -> Result<bool, StoreError> {
        self.store.knows_event(tenant, source, dedupe_key).await
    }
    async fn event(
        &self,
        tenant: TenantId,
        event: EventId,
    ) -> Result<Option<EventView>, StoreError> {
        self.store.event(tenant, event).await
    }
    async fn audit(
        &self,
        tenant: TenantId,
        limit: u32,
        before: Option<u64>,
    ) -> Result<Vec<(u64, AuditEntry)>, StoreError> {
        self.store.audit(tenant, limit, before).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}

#[async_trait]
impl AuditTrail for Mortal {
    async fn audit_heads(&self) -> Result<Vec<(TenantId, Head)>, StoreError> {
        self.living().await;
        self.store.audit_heads().await
    }
    async fn audit_head(&self, tenant: TenantId) -> Result<Option<Head>, StoreError> {
        self.store.audit_head(tenant).await
    }
    async fn audit_trail(
        &self,
        tenant: TenantId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Stored>, StoreError> {
        self.store.audit_trail(tenant, after, limit).await
    }
    async fn audit_leaves(
        &self,
        tenant: TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, AuditHash)>, StoreError> {
        self.living().await;
        self.store.audit_leaves(tenant, after, limit).await
    }
}

/// The port as the engine takes it.
pub fn port(mortal: &Arc<Mortal>) -> Arc<dyn Store> {
    mortal.clone()
}
