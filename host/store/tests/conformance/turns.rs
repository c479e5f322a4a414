//! Turns: a tenant's runs do not wait for those of another, however many are before them.

use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId, WorkflowId};
use tombolo_core::ports::store::{Accept, Claim, Priority, Shares, Turns, Wanted};

use crate::world::{World, after, readable, worker};

/// Runs of one tenant that are due before all others': more than a claim takes, or looks at.
const BACKLOG: usize = 700;

/// Slots of the process that claims.
const SLOTS: usize = 64;

/// An event of a tenant, with a run that is queued since then.
fn queued(world: &World, (tenant, workflow): (TenantId, WorkflowId), key: &str, at: i64) -> Accept {
    let mut accept = world.event(key);
    accept.event.tenant = tenant;
    accept.event.received_at = after(at);
    accept.runs[0].workflow = workflow;
    accept
}

async fn backlog(world: &World) {
    let owner = (world.tenant, world.workflow);
    let accepts = (0..BACKLOG).map(|n| queued(world, owner, &format!("backlog-{n}"), 0));
    world.store.accept(accepts.collect()).await.unwrap();
}

/// Whose runs a claim brings, and which they are.
async fn claim(
    world: &World,
    limit: usize,
    now: Timestamp,
    turns: Turns,
) -> Vec<(TenantId, RunId)> {
    let claim = Claim {
        worker: worker("w"),
        limit,
        now,
        until: Timestamp(now.0 + 30_000),
        held: Vec::new(),
        wanted: Wanted::Due { suspects: 0 },
        turns: Some(turns),
    };
    let claimed = world.store.claim(claim).await.unwrap().into_iter().map(readable);
    claimed.map(|claimed| (claimed.run.tenant, claimed.run.id)).collect()
}

/// Slots of which a tenant has as many as one may.
fn full_of(tenant: TenantId) -> Shares {
    let mut shares = Shares::new(SLOTS);
    while shares.has_room_for(tenant) {
        shares.take(tenant);
    }
    shares
}

pub async fn the_first_run_of_a_tenant_comes_before_anothers_backlog(world: World) {
    backlog(&world).await;
    let other = world.other("globex").await;
    let run = world.accept(queued(&world, other, "1", 50)).await;

    let turns = Turns { shares: Shares::new(SLOTS), first: world.tenant };
    let claimed = claim(&world, 8, after(50), turns).await;

    assert_eq!(claimed.len(), 8);
    assert_eq!(claimed.iter().filter(|(_, claimed)| *claimed == run).count(), 1);
    let of_backlog = claimed.iter().filter(|(tenant, _)| *tenant == world.tenant);
    assert_eq!(of_backlog.count(), 7, "nothing is left free for what is not there");
}

pub async fn who_has_its_share_gets_no_more(world: World) {
    backlog(&world).await;
    let other = world.other("globex").await;
    let mut runs = Vec::new();
    for (key, priority) in [("low", Priority::Low), ("normal", Priority::Normal)] {
        let mut accept = queued(&world, other, key, 50);
        accept.runs[0].flow.priority = priority;
        runs.push(world.accept(accept).await);
    }
    // A worker died with it.
    let mut left = queued(&world, other, "left", 0);
    left.runs[0].lease = Some((worker("dead"), after(40)));
    runs.push(world.accept(left).await);

    let turns = Turns { shares: full_of(world.tenant), first: world.tenant };
    let mut claimed = claim(&world, 8, after(50), turns.clone()).await;

    claimed.sort_unstable();
    let mut expected: Vec<_> = runs.iter().map(|run| (other.0, *run)).collect();
    expected.sort_unstable();
    assert_eq!(claimed, expected);
    assert_eq!(claim(&world, 8, after(50), turns).await, []);
}

pub async fn every_tenant_has_its_turn_however_many_there_are(world: World) {
    const TENANTS: usize = 70;
    let mut tenants = Vec::with_capacity(TENANTS);
    let mut accepts = Vec::new();
    for n in 0..TENANTS {
        let other = world.other(&format!("tenant-{n}")).await;
        tenants.push(other.0);
        // The later one came, the later its runs are due.
        let at = i64::try_from(n).unwrap();
        accepts.extend((0..4).map(|run| queued(&world, other, &format!("{n}-{run}"), at)));
    }
    world.store.accept(accepts).await.unwrap();

    for first in tenants {
        let turns = Turns { shares: Shares::new(SLOTS), first };
        let claimed = claim(&world, 2, after(1_000), turns).await;
        let whose: Vec<TenantId> = claimed.iter().map(|(tenant, _)| *tenant).collect();
        assert!(whose.contains(&first));
        assert!(whose.len() == 2 && whose[0] != whose[1], "the next one's, too: {whose:?}");
    }
}

pub async fn tenants_with_nothing_due_keep_nobody_waiting(world: World) {
    const WAITING: usize = 100;
    let mut accepts = Vec::new();
    let mut first = None;
    for n in 0..WAITING {
        let other = world.other(&format!("waiting-{n}")).await;
        first.get_or_insert(other.0);
        accepts.push(queued(&world, other, &format!("later-{n}"), 5_000));
    }
    let last = world.other("last").await;
    accepts.push(queued(&world, last, "1", 50));
    world.store.accept(accepts).await.unwrap();
    backlog(&world).await;

    // All that have nothing due come before the one that has, from whomever the turn begins.
    let turns = Turns { shares: Shares::new(SLOTS), first: first.unwrap() };
    let claimed = claim(&world, 8, after(1_000), turns).await;

    assert!(claimed.iter().any(|(tenant, _)| *tenant == last.0), "{claimed:?}");
}
