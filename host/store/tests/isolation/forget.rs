//! Forgetting at 50,000 runs: in bounded parts, each of which costs what it deletes and not what is
//! there.

use sqlx::AssertSqlSafe;
use tombolo_core::ports::store::Housekeeping;

use crate::explain::Explained;
use crate::many::{self, RUNS_EACH, Sample};
use crate::world::after;

/// Runs of a part.
const PART: u32 = 250;

/// Of five runs of the test, two have ended and nobody needs them.
const GOING: usize = RUNS_EACH * 2 / 5;

/// Pages that a statement of a part may look at: for each run and each row below it, those of the
/// table and of its indexes from the root on.
const PAGES: i64 = PART as i64 * 60;

/// Rows that one part of a statement may give: runs that are kept are passed over.
const ROWS: i64 = PART as i64 * 6;

/// True for a statement that goes from the oldest run on, past those that are kept.
fn passes_kept(query: &str) -> bool {
    let beginnings = ["SELECT r.id FROM run r", "DELETE FROM run_ended_badly"];
    beginnings.iter().any(|beginning| query.starts_with(beginning))
}

#[tokio::test]
async fn costs_what_it_deletes() {
    let mut explained = Explained::new().await;
    let samples = many::write(&explained.world).await;
    let mut look = explained.world.database.look().await.unwrap();
    let store = explained.store().await;
    let Sample { owner, .. } = samples[7];
    let workflow = (owner.tenant, owner.workflow);
    let (mut gone, mut parts, mut most) = (0, 0, 0);
    loop {
        let part = store.forget(workflow, after(1_000), PART).await.unwrap();
        assert!(part <= PART.into());
        for plan in explained.plans() {
            let faults = plan.faults(ROWS);
            assert!(faults.is_empty() || passes_kept(&plan.query), "{faults:?}: {}", plan.query);
            assert!(plan.pages() <= PAGES, "{} pages: {}", plan.pages(), plan.query);
            most = plan.pages().max(most);
        }
        if part == 0 {
            break;
        }
        gone += part as usize;
        parts += 1;
    }
    assert_eq!((gone, parts), (GOING, GOING.div_ceil(PART as usize)));
    // Nothing of them is left, and everything of the others.
    for (table, of_run) in [("step", "run_id"), ("effect", "run_id"), ("payload_use", "owner_id")] {
        let query = format!(
            "SELECT count(*) FROM {table} t WHERE tenant_id = $1
             AND NOT EXISTS (SELECT 1 FROM run r WHERE r.tenant_id = $1 AND r.id = t.{of_run})"
        );
        let left: i64 = sqlx::query_scalar(AssertSqlSafe(query))
            .bind(owner.tenant.0)
            .fetch_one(&mut look)
            .await
            .unwrap();
        assert_eq!(left, 0, "{table}");
    }
    let others: i64 =
        sqlx::query_scalar("SELECT count(*) FROM run").fetch_one(&mut look).await.unwrap();
    assert_eq!(others as usize, many::TENANTS * RUNS_EACH - GOING);
    println!(
        "growth: {gone} of {} runs forgotten in {parts} parts, {most} pages a statement at most",
        many::TENANTS * RUNS_EACH
    );
}
