//! An export is checked without the store it came from.

use tombolo_core::audit::{CheckpointHistory, ExportWalk};
use tombolo_core::ports::store::Access;
use tombolo_engine::{ExportError, export_record};

use super::entry;
use crate::support::Bench;

#[tokio::test]
async fn an_export_is_the_whole_record_with_its_summary() {
    let bench = Bench::new().await;
    // More than are read at once.
    for n in 0..1_203 {
        bench.store.record(bench.tenant, entry(n)).await.unwrap();
    }
    let mut lines = Vec::new();
    let write = |line: &str| {
        lines.push(line.to_owned());
        Ok(())
    };
    let summary = export_record(&*bench.store, bench.tenant, write).await.unwrap();
    assert_eq!((summary.count, summary.first_seq, summary.last_seq), (1_203, Some(1), Some(1_203)));
    assert_eq!(lines.len(), 1_204);

    let history = CheckpointHistory::default();
    let mut walk = ExportWalk::new(&history);
    lines.iter().for_each(|line| walk.read(line).unwrap());
    let verdict = walk.end().unwrap();
    assert_eq!((verdict.findings, verdict.head), (Vec::new(), summary.head()));
}

#[tokio::test]
async fn a_place_that_takes_nothing_is_told() {
    let bench = Bench::new().await;
    let full = |_: &str| Err(std::io::ErrorKind::StorageFull.into());
    let refused = export_record(&*bench.store, bench.tenant, full).await;
    assert!(matches!(refused, Err(ExportError::Writing(_))), "{refused:?}");
}
