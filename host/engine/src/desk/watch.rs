//! What a run on the desk waits for, beside the steps under way.

use std::collections::BTreeSet;

use tombolo_core::clock::Timestamp;
use tombolo_core::error::StepError;
use tombolo_core::ports::store::{Signal, StoreError};
use tombolo_core::run::Run;

use super::{Desk, UNSETTLED_FOR, read};
use crate::drive::{Done, Pending};
use crate::errors::permanent;
use crate::leases::Signals;

impl Desk {
    /// Why the run has to end now, if it has to.
    pub fn must_end(&self, signals: &Signals) -> Option<Option<StepError>> {
        if self.row.cancel_requested || signals.cancel.is_cancelled() {
            return Some(None);
        }
        self.row.deadline.filter(|deadline| *deadline <= self.now()).map(|deadline| {
            let message = format!("the run was not done by {deadline} (the workflow's `timeout`)");
            Some(permanent("run-timeout", message))
        })
    }

    /// Waits until the run may have something to do by itself: a step is `due`, its deadline has
    /// come, or what has changed has to be stored. The clock is looked at again and again, because it may
    /// be set.
    pub async fn next_look(&self, due: Option<Timestamp>) {
        let store_by = self.unstored_since.map(|since| since.plus(UNSETTLED_FOR));
        match [due, self.row.deadline, store_by].into_iter().flatten().min() {
            Some(first) => {
                let pause = first.since(self.now()).min(self.inner.settings.poll());
                tokio::time::sleep(pause).await;
            }
            None => std::future::pending().await,
        }
    }

    /// Lets steps go on whose connection is paused no more.
    pub async fn release_mended(&self, run: &mut Run) -> Result<(), StoreError> {
        let mut mended = BTreeSet::new();
        for name in run.paused_connections() {
            let ports = &self.inner.ports;
            let connection =
                read(&self.inner, || ports.store.connection(self.row.tenant, &name)).await?;
            // One that is gone is an error of the step, which it is told by trying.
            if connection.is_none_or(|connection| connection.paused.is_none()) {
                mended.insert(name);
            }
        }
        run.release(self.now(), |name| mended.contains(name));
        Ok(())
    }

    /// Reads what came from outside, beside what goes on.
    pub fn listen(&mut self) -> Pending {
        self.listens = true;
        let (inner, tenant, run) = (self.inner.clone(), self.row.tenant, self.row.id);
        Box::pin(async move {
            Ok(Done::Heard(read(&inner, || inner.ports.store.signals(tenant, run)).await))
        })
    }

    /// Takes in what was read and is not heard yet. What could not be read stays in the store, and
    /// makes the run due as soon as it is parked.
    pub fn heard(
        &mut self,
        run: &mut Run,
        read: Result<Vec<Signal>, StoreError>,
    ) -> Result<(), StoreError> {
        self.listens = false;
        let all = match read {
            Ok(all) => all,
            Err(error) => {
                tracing::error!(run = %self.row.id, %error, "what came is heard later");
                return Ok(());
            }
        };
        let heard = |signal: &Signal| {
            self.signals.contains_key(&signal.step) || self.owed.used.contains(&signal.step)
        };
        let fresh = all.into_iter().filter(|signal| !heard(signal)).collect();
        self.hear(run, fresh)
    }

    /// True if this process is about to end.
    pub fn must_leave(&self) -> bool {
        self.inner.abandon.is_cancelled()
    }

    /// Waits until this process is about to end.
    pub async fn leaving(&self) {
        self.inner.abandon.cancelled().await;
    }
}
