//! The record is signed as it grows, and never against what was signed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tombolo_core::audit::{Checkpoint, Verdict};
use tombolo_core::ports::alert::Alert;
use tombolo_core::ports::store::{Access, AuditTrail};
use tombolo_engine::{Notary, verify_record};

use super::{Kept, Key, entry};
use crate::support::{Bench, eventually};

/// A bench whose record is signed, and who keeps the checkpoints.
async fn signed(known: Vec<Checkpoint>) -> (Bench, Arc<Kept>) {
    let (mut bench, kept) = (Bench::new().await, Arc::new(Kept::default()));
    bench.settings.checkpoint_poll_ms = 5;
    bench.settings.checkpoint_entries = 4;
    bench.notary = Some(notary(&kept, known));
    (bench, kept)
}

fn notary(kept: &Arc<Kept>, known: Vec<Checkpoint>) -> Notary {
    Notary { signer: Arc::new(Key(1)), places: vec![("file", kept.clone())], known }
}

async fn record(bench: &Bench, numbers: std::ops::Range<i64>) {
    for n in numbers {
        bench.store.record(bench.tenant, entry(n)).await.unwrap();
    }
}

async fn grown(kept: &Kept, size: u64) {
    let what = format!("a checkpoint over {size} entries");
    eventually(&what, async || (kept.newest() >= size).then_some(())).await;
    assert_eq!(kept.newest(), size);
}

async fn verdict(bench: &Bench, kept: &Kept) -> Verdict {
    let mut all = verify_record(&*bench.store, Vec::new(), &kept.history()).await.unwrap();
    assert_eq!((kept.history().findings().len(), kept.history().bad_lines().len()), (0, 0));
    all.remove(0)
}

#[tokio::test]
async fn it_is_signed_after_so_many_entries_or_so_long_and_when_the_host_stops() {
    let (bench, kept) = signed(Vec::new()).await;
    record(&bench, 0..1).await;
    let engine = bench.start().await;
    grown(&kept, 1).await;
    record(&bench, 1..5).await;
    grown(&kept, 5).await;
    // Not enough, until there was time.
    record(&bench, 5..6).await;
    bench.clock.forward(Duration::from_secs(60));
    grown(&kept, 6).await;
    record(&bench, 6..7).await;
    engine.engine.stop().await;
    grown(&kept, 7).await;

    let verdict = verdict(&bench, &kept).await;
    assert_eq!((verdict.findings, verdict.entries), (Vec::new(), 7));
    assert!(verdict.roots_checked >= 4, "{}", verdict.roots_checked);
}

#[tokio::test]
async fn what_was_not_kept_is_kept_later() {
    let (bench, kept) = signed(Vec::new()).await;
    kept.refuses.store(true, Ordering::SeqCst);
    record(&bench, 0..5).await;
    let _engine = bench.start().await;
    let leaves_read = async || bench.store.audit_heads().await.unwrap().first().map(|_| ());
    eventually("a head", leaves_read).await;
    assert_eq!(kept.lines(), Vec::<String>::new());
    kept.refuses.store(false, Ordering::SeqCst);
    grown(&kept, 5).await;
}

#[tokio::test]
async fn an_earlier_process_is_not_contradicted() {
    let (mut bench, kept) = signed(Vec::new()).await;
    record(&bench, 0..5).await;
    let first = bench.start().await;
    grown(&kept, 5).await;
    first.engine.stop().await;
    let known: Vec<Checkpoint> = kept.history().newest().collect();

    bench.notary = Some(notary(&kept, known.clone()));
    let second = bench.start().await;
    record(&bench, 5..9).await;
    grown(&kept, 9).await;
    second.engine.stop().await;
    assert_eq!(verdict(&bench, &kept).await.findings, []);

    // Another record than the one that was signed.
    let (other, more) = signed(Vec::new()).await;
    record(&other, 100..120).await;
    let forged = Checkpoint { tenant: other.tenant, ..known[0] };
    let mut other = other;
    other.notary = Some(notary(&more, vec![forged]));
    other.alerts.go_down();
    let third = other.start().await;
    other.alerts.refused(2).await;
    other.alerts.come_up();
    let told = other.alerts.once(1).await;
    assert!(matches!(&told[0], Alert::RecordContradicted { .. }), "{told:?}");
    third.engine.stop().await;
    assert_eq!(more.lines(), Vec::<String>::new(), "it is not signed");
}
