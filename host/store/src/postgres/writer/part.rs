//! What a batch brings for one tenant.

use super::batch::{Outcomes, Part};
use super::pack::Numbers;
use super::{accept, settle};
use crate::postgres::error::Fault;
use crate::postgres::scope::TenantTx;
use crate::postgres::{cancel, flow};
use crate::record::{AcceptItem, SettleItem};

/// Writes it. Runs that are there are locked first, and flow control comes last: whoever has its lock
/// waits for no run.
pub(super) async fn apply(
    tx: &mut TenantTx<'_>,
    numbers: &mut Numbers,
    part: &Part<'_>,
    outcomes: &mut Outcomes,
) -> Result<(), Fault> {
    let settles: Vec<&SettleItem> = part.settles.iter().map(|(_, item)| *item).collect();
    let (settled, left) = settle::apply(tx, numbers, &settles).await?;

    let written = || {
        let outcomes = settles.iter().zip(&settled);
        outcomes.filter(|(_, outcome)| outcome.is_ok()).map(|(item, _)| *item)
    };
    let starts = written().flat_map(|item| &item.starts);
    let accepts = part.accepts.iter().map(|(_, item)| *item);
    let all: Vec<&AcceptItem> = accepts.chain(starts).collect();
    // Of the starts, those that are known already are not started again: nobody is told.
    let accepted = accept::apply(tx, numbers, &all).await?;
    // What it reaches by now nobody else has seen: those that these have started with their ends.
    let calling = written().filter(|item| item.cancels() && !item.starts.is_empty());
    cancel::reach_called(tx, calling.map(|item| item.lease.run).collect()).await?;

    flow::leave(tx, left).await?;
    let places = part.accepts.iter().map(|(place, _)| *place);
    outcomes.accepted.extend(places.zip(accepted));
    let places = part.settles.iter().map(|(place, _)| *place);
    outcomes.settled.extend(places.zip(settled));
    Ok(())
}
