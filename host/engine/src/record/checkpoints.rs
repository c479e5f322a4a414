//! Signs the records as they grow, and has the checkpoints kept. No write waits for it: a checkpoint
//! follows its entries within the rule's time.

use std::collections::BTreeMap;
use std::sync::Arc;

use tombolo_core::audit::{Checkpoint, Contradiction, Head, Moment, Signing};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;
use tombolo_core::ports::alert::Alert;
use tombolo_core::ports::store::StoreError;

use super::Notary;
use crate::Inner;

/// Leaves read at once.
const LEAVES_AT_ONCE: u32 = 10_000;

/// Signs until the engine closes, and once more then.
pub(crate) async fn run(inner: Arc<Inner>) {
    let Some(notary) = inner.ports.notary.clone() else { return };
    let mut book = Book::new(&inner, &notary);
    loop {
        let moment = tokio::select! {
            () = tokio::time::sleep(inner.settings.checkpoint_poll()) => Moment::OneOfMany,
            () = inner.closing.cancelled() => Moment::Last,
        };
        if let Err(error) = book.look(moment).await {
            tracing::error!(%error, "checkpoints are left for later");
        }
        if moment == Moment::Last {
            return;
        }
    }
}

/// All records, as far as they are signed.
struct Book<'a> {
    inner: &'a Inner,
    notary: &'a Notary,
    records: BTreeMap<TenantId, Page>,
}

/// One record.
struct Page {
    signing: Signing,
    /// Entries of the newest checkpoint that each place has.
    kept: Vec<u64>,
    /// It was contradicted: nothing of it is signed any more.
    closed: bool,
    /// What people are to be told yet.
    untold: Option<Alert>,
}

/// Why a record was not signed.
enum Refusal {
    /// Perhaps later.
    Store(StoreError),
    /// Never.
    Contradicted(Contradiction),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Contradiction> for Refusal {
    fn from(contradiction: Contradiction) -> Self {
        Self::Contradicted(contradiction)
    }
}

impl<'a> Book<'a> {
    fn new(inner: &'a Inner, notary: &'a Notary) -> Self {
        let page =
            |known: &Checkpoint| (known.tenant, Page::new(known.tenant, Some(*known), notary));
        Self { inner, notary, records: notary.known.iter().map(page).collect() }
    }

    /// Looks at the ends of all records: signs what is due, and brings it where it is not yet.
    async fn look(&mut self, moment: Moment) -> Result<(), StoreError> {
        let heads: BTreeMap<TenantId, Head> =
            self.inner.ports.store.audit_heads().await?.into_iter().collect();
        for tenant in heads.keys() {
            let page = || Page::new(*tenant, None, self.notary);
            self.records.entry(*tenant).or_insert_with(page);
        }
        for (tenant, page) in &mut self.records {
            let head = heads.get(tenant).copied().unwrap_or(Head::EMPTY);
            if page.closed {
                page.tell(self.inner).await;
                continue;
            }
            match page.sign(self.inner, self.notary, (*tenant, head), moment).await {
                Ok(()) => page.keep(self.inner, self.notary).await,
                Err(Refusal::Store(error)) => return Err(error),
                Err(Refusal::Contradicted(contradiction)) => {
                    page.close(*tenant, contradiction, self.inner.ports.clock.now());
                    page.tell(self.inner).await;
                }
            }
        }
        Ok(())
    }
}

impl Page {
    fn new(tenant: TenantId, known: Option<Checkpoint>, notary: &Notary) -> Self {
        let kept = vec![0; notary.places.len()];
        Self { signing: Signing::new(tenant, known), kept, closed: false, untold: None }
    }

    async fn sign(
        &mut self,
        inner: &Inner,
        notary: &Notary,
        (tenant, head): (TenantId, Head),
        moment: Moment,
    ) -> Result<(), Refusal> {
        let now = inner.ports.clock.now();
        let rule = inner.settings.checkpoint_rule();
        if !self.signing.is_due(head, now, (rule, moment))? {
            return Ok(());
        }
        while self.signing.size() < head.seq {
            let after = self.signing.size();
            let left = u32::try_from(head.seq - after).unwrap_or(u32::MAX);
            let limit = left.min(LEAVES_AT_ONCE);
            let leaves = inner.ports.store.audit_leaves(tenant, after, limit).await?;
            if leaves.is_empty() {
                return Err(Contradiction::Missing { seq: after + 1 }.into());
            }
            for (seq, leaf) in leaves {
                self.signing.add(seq, leaf)?;
            }
        }
        Ok(self.signing.sign(head, &*notary.signer, now)?)
    }

    /// Brings the newest checkpoint to every place that does not have it. One that is not there now
    /// gets it, or a newer one, with the next look.
    async fn keep(&mut self, inner: &Inner, notary: &Notary) {
        let Some(newest) = self.signing.newest() else { return };
        for ((name, place), kept) in notary.places.iter().zip(&mut self.kept) {
            if *kept >= newest.checkpoint.size {
                continue;
            }
            match place.keep(newest, inner.ports.clock.now()).await {
                Ok(()) => *kept = newest.checkpoint.size,
                Err(reason) => {
                    let tenant = newest.checkpoint.tenant;
                    tracing::error!(place = name, %tenant, %reason, "a checkpoint was not kept");
                }
            }
        }
    }

    /// Somebody has changed the record.
    fn close(&mut self, tenant: TenantId, contradiction: Contradiction, at: Timestamp) {
        let reason = contradiction.to_string();
        tracing::error!(%tenant, %reason, "the record of what people did is not what was signed");
        self.closed = true;
        self.untold = Some(Alert::RecordContradicted { tenant, reason, at });
    }

    /// Tells people, with every look until somebody has taken it.
    async fn tell(&mut self, inner: &Inner) {
        let Some(alert) = &self.untold else { return };
        match inner.ports.alerts.send(alert).await {
            Ok(()) => self.untold = None,
            Err(reason) => tracing::error!(%reason, "an alert was not taken, and is sent again"),
        }
    }
}
