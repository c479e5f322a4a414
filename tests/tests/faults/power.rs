//! Power cuts at random moments of a store at work.

use std::sync::Arc;

use anyhow::{Context, ensure};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tombolo_store::{Bounds, SqliteSettings};
use tombolo_tests::disk::Leaves;

use crate::load::write_until_refused;
use crate::place::Place;

/// Cuts that one file goes through.
const CUTS_PER_FILE: u64 = 6;

/// Steps of the disk before a cut, at most: a hundred commits.
const MAX_STEPS: u64 = 4_000;

/// A cut before so many steps is likely to come while the file is opened.
const STEPS_TO_OPEN: u64 = 60;

/// Settings under which the log is copied and cut off often, or seldom.
fn settings(rng: &mut StdRng) -> SqliteSettings {
    let mut one_of = |choices: &[u64]| choices.choose(rng).copied().unwrap_or_default();
    SqliteSettings {
        page_bytes: one_of(&[1_024, 4_096, 8_192, 16_384]) as u32,
        checkpoint_pages: one_of(&[8, 60, 400, 2_000]) as u32,
        journal_bytes: one_of(&[0, 100_000, 64 * 1024 * 1024]),
        mmap_bytes: one_of(&[0, 256 * 1024 * 1024]),
        bounds: Bounds { batch_rows: one_of(&[8, 8_192]) as usize, ..Bounds::default() },
        ..SqliteSettings::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_power_cut_takes_what_was_acknowledged() -> anyhow::Result<()> {
    let (mut cuts, mut answers, mut opening) = (0, 0, 0);
    let mut place = None;
    for seed in crate::seeds() {
        let mut rng = StdRng::seed_from_u64(seed);
        let fresh = match place.take() {
            Some(place) if seed % CUTS_PER_FILE != 0 => place,
            _ => Arc::new(Place::new(settings(&mut rng))?),
        };
        let place = place.insert(fresh);
        let before = place.ledger.answers();
        let cut = cycle(place, &mut rng, seed).await;
        let cut = cut.with_context(|| format!("TOMBOLO_FAULT_SEED={seed}"))?;
        cuts += 1;
        opening += u64::from(cut == Cut::WhileOpening);
        answers += place.ledger.answers() - before;
    }
    ensure!(answers > 20 * cuts, "too little was written: {answers} answers");
    crate::tell(&format!(
        "power: {cuts} cuts, {opening} of them while opening, {answers} writes acknowledged, lost=0"
    ));
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Cut {
    WhileOpening,
    AtWork,
}

async fn cycle(place: &Arc<Place>, rng: &mut StdRng, seed: u64) -> anyhow::Result<Cut> {
    let leaves = Leaves::Any { seed };
    let early = rng.random_ratio(1, 4);
    let steps = rng.random_range(1..if early { STEPS_TO_OPEN } else { MAX_STEPS });
    if early {
        place.disk.cut_after(steps, leaves)?;
    }
    let cut = match place.open().await {
        Ok(store) => {
            let store = Arc::new(store);
            if !early {
                place.disk.cut_after(steps, leaves)?;
            }
            let refusals = write_until_refused(place, &store, seed).await?;
            store.close().await;
            ensure!(place.disk.look()?.cut, "refused by a disk that has power: {refusals:?}");
            Cut::AtWork
        }
        Err(error) => {
            ensure!(place.disk.look()?.cut, "not opened on a disk that has power: {error}");
            Cut::WhileOpening
        }
    };
    place.reopen_and_check().await?.close().await;
    Ok(cut)
}
