//! Tenants, tokens and quotas.

use serde_json::json;
use tombolo_core::audit::{Actor, AuditEntry};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{TenantId, TokenId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{
    Next, Priority, QuotaChange, Scope, StoreError, Tenant, Token, TokenPage, TokenUse,
};
use tombolo_core::quota::Quotas;
use tombolo_core::run::RunState;

use crate::audit::entry;
use crate::world::{LATER, NOW, World, after};

pub async fn a_tenant_is_made_once(world: World) {
    let again = Tenant { id: TenantId::new(&world.ids), name: "acme".to_owned() };
    let first = Tenant { id: world.tenant, name: "acme".to_owned() };
    assert_eq!(world.store.ensure_tenant(again, after(1)).await.unwrap(), first);
    assert_eq!(world.store.tenant("acme").await.unwrap(), Some(first));
    assert_eq!(world.store.tenant("globex").await.unwrap(), None);
}

pub async fn tenants_are_listed_by_name_and_pages_meet(world: World) {
    for name in ["globex", "Zorro", "beta"] {
        world.other(name).await;
    }
    let page = async |after: Option<&str>| -> Vec<String> {
        let tenants = world.store.tenants(after, 2).await.unwrap();
        tenants.into_iter().map(|tenant| tenant.name).collect()
    };
    // By their bytes: the same on every database, whatever its language.
    assert_eq!(page(None).await, ["Zorro", "acme"]);
    assert_eq!(page(Some("acme")).await, ["beta", "globex"]);
    assert_eq!(page(Some("globex")).await, Vec::<String>::new());
}

/// A token whose hash is 32 times the number.
fn token(world: &World, number: u8) -> Token {
    Token {
        id: TokenId::new(&world.ids),
        tenant: world.tenant,
        name: format!("ci-{number}"),
        hash: [number; 32],
        scopes: vec![Scope::RunsRead, Scope::WorkflowsWrite],
        created_at: NOW,
        expires_at: Some(after(1)),
        prefix: Some("tbl_abcdef".to_owned()),
        last_used_at: None,
        revoked_at: None,
    }
}

fn revocation(at: Timestamp, token: TokenId) -> AuditEntry {
    AuditEntry {
        at,
        actor: Actor("token:tok_1".to_owned()),
        action: "token-revoked".to_owned(),
        subject: token.to_string(),
        detail: json!({}),
        correlation_id: Some("c-1".to_owned()),
    }
}

pub async fn a_token_is_found_by_its_hash(world: World) {
    let first = token(&world, 3);
    let forever = Token { scopes: Vec::new(), expires_at: None, prefix: None, ..token(&world, 4) };
    for token in [first, forever] {
        world.store.put_token(token.clone(), None).await.unwrap();
        assert_eq!(world.store.token(token.hash).await.unwrap(), Some(token));
    }
    assert_eq!(world.store.token([5; 32]).await.unwrap(), None);
}

pub async fn tokens_are_listed_newest_first_and_pages_meet(world: World) {
    let (globex, _) = world.other("globex").await;
    let mut made = Vec::new();
    for number in 1..=5 {
        let token = token(&world, number);
        world.store.put_token(token.clone(), None).await.unwrap();
        made.insert(0, token);
    }
    let theirs = Token { tenant: globex, ..token(&world, 9) };
    world.store.put_token(theirs.clone(), None).await.unwrap();

    let page = async |tenant, before, limit| {
        world.store.tokens(tenant, TokenPage { before, limit }).await.unwrap()
    };
    assert_eq!(page(world.tenant, None, 2).await, made[..2]);
    assert_eq!(page(world.tenant, Some(made[1].id), 9).await, made[2..]);
    assert_eq!(page(world.tenant, Some(made[4].id), 9).await, []);
    assert_eq!(page(globex, None, 9).await, [theirs]);
}

pub async fn a_token_is_taken_back_once(world: World) {
    let (globex, _) = world.other("globex").await;
    let token = token(&world, 3);
    world.store.put_token(token.clone(), None).await.unwrap();
    let revoke = async |tenant, at| {
        world.store.revoke_token(tenant, token.id, revocation(at, token.id)).await.unwrap()
    };
    assert_eq!(revoke(globex, after(1)).await, None, "of another tenant");
    assert_eq!(world.store.token(token.hash).await.unwrap(), Some(token.clone()));

    let revoked = Token { revoked_at: Some(after(2)), ..token.clone() };
    assert_eq!(revoke(world.tenant, after(2)).await, Some(revoked.clone()));
    assert_eq!(revoke(world.tenant, after(3)).await, Some(revoked.clone()), "the first counts");
    assert_eq!(world.store.token(token.hash).await.unwrap(), Some(revoked));
    assert_eq!(world.store.audit(world.tenant, 9, None).await.unwrap().len(), 1);
    assert_eq!(world.store.audit(globex, 9, None).await.unwrap(), []);
}

pub async fn the_latest_use_of_a_token_stays(world: World) {
    let (globex, _) = world.other("globex").await;
    let (one, two) = (token(&world, 1), token(&world, 2));
    for token in [&one, &two] {
        world.store.put_token(token.clone(), None).await.unwrap();
    }
    let used = |tenant, token, ms| TokenUse { tenant, token, at: after(ms) };
    let uses = vec![
        used(world.tenant, one.id, 20),
        used(globex, two.id, 30),
        used(world.tenant, TokenId::new(&world.ids), 40),
    ];
    world.store.touch_tokens(uses).await.unwrap();
    // Another process was slower.
    world.store.touch_tokens(vec![used(world.tenant, one.id, 10)]).await.unwrap();
    world.store.touch_tokens(Vec::new()).await.unwrap();
    let last = async |hash| world.store.token(hash).await.unwrap().unwrap().last_used_at;
    assert_eq!(last(one.hash).await, Some(after(20)));
    assert_eq!(last(two.hash).await, None, "not by another tenant");
}

pub async fn quotas_are_replaced_whole(world: World) {
    let (globex, _) = world.other("globex").await;
    assert_eq!(world.store.quotas().await.unwrap(), []);
    let all = Quotas {
        runs_per_minute: Some(60),
        concurrent_runs: Some(0),
        storage_bytes: Some(1 << 40),
        connections: Some(u32::MAX),
    };
    let set = async |tenant, before, after| {
        world.store.set_quotas(tenant, QuotaChange { before, after }, None).await
    };
    let (none, other) = (Quotas::default(), Quotas { connections: Some(1), ..all });
    set(world.tenant, none, all).await.unwrap();
    set(globex, none, other).await.unwrap();
    let one = Quotas { connections: Some(3), ..Quotas::default() };
    set(globex, other, one).await.unwrap();
    let mut found = world.store.quotas().await.unwrap();
    found.sort_unstable_by_key(|(tenant, _)| *tenant);
    assert_eq!(found, [(world.tenant, all), (globex, one)]);

    set(globex, one, none).await.unwrap();
    assert_eq!(world.store.quotas().await.unwrap(), [(world.tenant, all)]);
}

pub async fn a_change_of_quotas_is_on_record_unless_another_one_came_first(world: World) {
    let bound = |runs| Quotas { runs_per_minute: runs, ..Quotas::default() };
    let change = |before, after| QuotaChange { before: bound(before), after: bound(after) };
    let set = async |change| world.store.set_quotas(world.tenant, change, Some(entry(1))).await;
    set(change(None, Some(60))).await.unwrap();
    for outdated in [change(None, Some(90)), change(Some(61), None)] {
        let refused = set(outdated).await.unwrap_err();
        assert_eq!(refused, StoreError::Refused(QuotaChange::OUTDATED.to_owned()));
    }
    assert_eq!(world.store.quotas().await.unwrap(), [(world.tenant, bound(Some(60)))]);
    assert_eq!(world.store.audit(world.tenant, 9, None).await.unwrap().len(), 1);
}

pub async fn what_a_tenant_uses_is_counted(world: World) {
    let (globex, _) = world.other("globex").await;
    let open_runs =
        async |most| world.store.open_runs(&[(globex, 9), (world.tenant, most)]).await.unwrap();
    let storage = async || world.store.storage_bytes(&[globex, world.tenant]).await.unwrap();
    assert_eq!(open_runs(9).await, []);
    assert_eq!(storage().await, []);
    world.accept(world.event("queued")).await;
    let mut urgent = world.event("urgent");
    urgent.runs[0].flow.priority = Priority::High;
    world.accept(urgent).await;
    let lease = world.hold("held", "w").await;
    assert_eq!(open_runs(9).await, [(world.tenant, 3)]);
    assert_eq!(open_runs(2).await, [(world.tenant, 2)], "no further");
    assert_eq!(world.store.open_runs(&[(globex, 9)]).await.unwrap(), []);
    let end = Next::End { state: RunState::Succeeded, output: None, error: None };
    world.store.settle(world.results(&lease, end)).await.unwrap();
    assert_eq!(open_runs(9).await, [(world.tenant, 2)]);

    let mut long = world.leased("long", "w", LATER);
    // Nothing that can be compressed away.
    let digits: String = (0..40_000_u64).map(|n| (n.wrapping_mul(n) % 7_919).to_string()).collect();
    long.event.payload = Json::from_value(json!(digits));
    world.accept(long).await;
    let stored = storage().await;
    assert!(
        matches!(stored[..], [(tenant, bytes)] if tenant == world.tenant && bytes > 8_192),
        "{stored:?}"
    );
}
