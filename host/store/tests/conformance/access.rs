//! Tenants and tokens.

use tombolo_core::id::{TenantId, TokenId};
use tombolo_core::ports::store::{Scope, Tenant, Token};

use crate::world::{NOW, World, after};

pub async fn a_tenant_is_made_once(world: World) {
    let again = Tenant { id: TenantId::new(&world.ids), name: "acme".to_owned() };
    let first = Tenant { id: world.tenant, name: "acme".to_owned() };
    assert_eq!(world.store.ensure_tenant(again, after(1)).await.unwrap(), first);
    assert_eq!(world.store.tenant("acme").await.unwrap(), Some(first));
    assert_eq!(world.store.tenant("globex").await.unwrap(), None);
}

pub async fn a_token_is_found_by_its_hash(world: World) {
    let token = Token {
        id: TokenId::new(&world.ids),
        tenant: world.tenant,
        name: "ci".to_owned(),
        hash: [3; 32],
        scopes: vec![Scope::RunsRead, Scope::WorkflowsWrite],
        created_at: NOW,
        expires_at: Some(after(1)),
    };
    let forever = Token {
        id: TokenId::new(&world.ids),
        hash: [4; 32],
        scopes: Vec::new(),
        expires_at: None,
        ..token.clone()
    };
    for token in [token, forever] {
        world.store.put_token(token.clone(), None).await.unwrap();
        assert_eq!(world.store.token(token.hash).await.unwrap(), Some(token));
    }
    assert_eq!(world.store.token([5; 32]).await.unwrap(), None);
}
