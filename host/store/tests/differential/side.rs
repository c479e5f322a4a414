//! One of the two stores, and how it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tombolo_core::ports::store::{Store, StoreError};

use crate::answer::{self, Answer};
use crate::op::{Op, Read, Write};

pub struct Side {
    store: Arc<dyn Store>,
    /// The last revision of the live versions that was read.
    revision: AtomicI64,
}

impl Side {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, revision: AtomicI64::new(-1) }
    }

    pub async fn perform(&self, op: &Op) -> Answer {
        let answer = match op {
            Op::Write(write) => self.write(write.clone()).await,
            Op::Read(read) => self.read(read).await,
        };
        answer.unwrap_or_else(Answer::Failed)
    }

    async fn write(&self, write: Write) -> Result<Answer, StoreError> {
        let store = &*self.store;
        Ok(match write {
            Write::Accept(batch) => Answer::Accepted(store.accept(batch).await?),
            Write::Claim(claim) => answer::claimed(store.claim(claim).await?),
            Write::Settle(settle) => store.settle(*settle).await.map(|()| Answer::Done)?,
            Write::Renew(leases, until) => answer::runs(store.renew(&leases, until).await?),
            Write::Cancel(tenant, run) => {
                Answer::Cancel(store.request_cancel(tenant, run, None).await?)
            }
            Write::Signal(signal) => Answer::Signalled(store.signal(signal, None).await?),
            Write::Open(open) => answer::opened(store.open(open).await?),
            Write::TakeOver(now) => Answer::Count(store.take_over(now).await?),
            Write::SetBack(from, now) => Answer::Count(store.set_back(from, now).await?),
            Write::Discard(tenant, run, step, reason, audit) => {
                Answer::Flag(store.discard(tenant, run, &step, reason, audit).await?)
            }
            Write::Forget(workflow, before, limit) => {
                Answer::Count(store.forget(workflow, before, limit).await?)
            }
            Write::ForgetEvents(before, limit) => {
                Answer::Count(store.forget_events(before, limit).await?)
            }
            Write::ForgetWaits(limit) => Answer::Count(store.forget_waits(limit).await?),
            Write::Sweep(after, limit) => Answer::Swept(store.sweep_payloads(after, limit).await?),
            Write::PutConnection(_)
            | Write::Resume(..)
            | Write::ApplyWorkflow(_)
            | Write::AddPlugin(_)
            | Write::EnsureTenant(..)
            | Write::PutToken(_)
            | Write::Record(..) => self.write_rare(write).await?,
        })
    }

    /// The catalog, and who may.
    async fn write_rare(&self, write: Write) -> Result<Answer, StoreError> {
        let store = &*self.store;
        Ok(match write {
            Write::PutConnection(put) => {
                store.put_connection(*put, None).await.map(|()| Answer::Done)?
            }
            Write::Resume(tenant, name, now, audit) => {
                Answer::MaybeCount(store.resume_connection(tenant, &name, now, audit).await?)
            }
            Write::ApplyWorkflow(version) => Answer::Applied(store.apply_workflow(version).await?),
            Write::AddPlugin(plugin) => Answer::Added(store.add_plugin(plugin).await?),
            Write::EnsureTenant(tenant, now) => {
                Answer::Tenant(Some(store.ensure_tenant(tenant, now).await?))
            }
            Write::PutToken(token) => store.put_token(token, None).await.map(|()| Answer::Done)?,
            Write::Record(tenant, entry) => {
                store.record(tenant, entry).await.map(|()| Answer::Done)?
            }
            other => unreachable!("{other:?} is not rare"),
        })
    }

    async fn read(&self, read: &Read) -> Result<Answer, StoreError> {
        let store = &*self.store;
        Ok(match read {
            Read::Runs(tenant, filter, page) => {
                Answer::Summaries(store.runs(*tenant, filter, *page).await?)
            }
            Read::Run(tenant, run) => answer::view(store.run(*tenant, *run).await?),
            Read::Calls(tenant, run) => Answer::Calls(store.calls(*tenant, *run).await?),
            Read::Event(tenant, event) => Answer::Event(store.event(*tenant, *event).await?),
            Read::Audit(..) => self.audit(read).await?,
            Read::Letters(tenant, filter, after, limit) => {
                Answer::Letters(store.letters(*tenant, filter, after.clone(), *limit).await?)
            }
            Read::LetterCount(tenant) => Answer::Count(store.letter_count(*tenant).await?),
            Read::Signals(tenant, run) => answer::signals(store.signals(*tenant, *run).await?),
            Read::CancelRequested(among) => answer::runs(store.cancel_requested(among).await?),
            Read::Signalled(among) => answer::runs(store.signalled(among).await?),
            Read::NextDue => Answer::Due(store.next_due().await?),
            Read::NodeState(tenant, workflow, node, key) => {
                Answer::State(store.node_state(*tenant, *workflow, node, key).await?)
            }
            Read::Token(hash) => Answer::Token(store.token(*hash).await?),
            Read::Tenant(name) => Answer::Tenant(store.tenant(name).await?),
            _ => self.read_catalog(read).await?,
        })
    }

    async fn read_catalog(&self, read: &Read) -> Result<Answer, StoreError> {
        let store = &*self.store;
        Ok(match read {
            Read::LiveWorkflows => answer::live(store.live_workflows().await?),
            Read::LiveRevision => {
                let revision = store.live_revision().await?;
                Answer::Flag(self.revision.swap(revision, Ordering::Relaxed) != revision)
            }
            Read::Workflows(tenant) => Answer::Versions(store.workflows(*tenant).await?),
            Read::Versions(tenant, name) => {
                Answer::Versions(store.workflow_versions(*tenant, name).await?)
            }
            Read::Version(tenant, id, version) => Answer::Versions(
                store.workflow_version(*tenant, *id, *version).await?.into_iter().collect(),
            ),
            Read::Connection(tenant, name) => {
                Answer::Connections(store.connection(*tenant, name).await?.into_iter().collect())
            }
            Read::Connections(tenant) => Answer::Connections(store.connections(*tenant).await?),
            Read::Plugins(tenant) => Answer::Plugins(store.plugins(*tenant).await?),
            Read::Component(hash) => Answer::Component(store.component(*hash).await?),
            other => unreachable!("{other:?} is not of the catalog"),
        })
    }

    /// The numbers of entries are the store's own: only their order counts.
    async fn audit(&self, read: &Read) -> Result<Answer, StoreError> {
        let Read::Audit(tenant, limit, passed_over) = read else {
            unreachable!("{read:?} is not of the record")
        };
        let before = match passed_over {
            0 => None,
            count => {
                let passed = self.store.audit(*tenant, *count, None).await?;
                passed.last().map(|(number, _)| *number)
            }
        };
        let entries = self.store.audit(*tenant, *limit, before).await?;
        assert!(entries.is_sorted_by(|(one, _), (other, _)| one > other), "{entries:?}");
        Ok(Answer::Audit(entries.into_iter().map(|(_, entry)| entry).collect()))
    }
}
