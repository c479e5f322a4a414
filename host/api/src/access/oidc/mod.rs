//! Tokens of an identity provider (OpenID Connect): checked against its keys, and led by two claims
//! to a tenant and a role. Never asks the provider about a single token.

mod cache;
mod claims;
mod jws;
mod keys;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tombolo_core::clock::{Clock, Timestamp};
use tombolo_core::id::TenantId;
use tombolo_core::ports::documents::Documents;
use tombolo_core::ports::store::Store;
use tombolo_core::role::Role;

use super::who::{Identity, Who};
use crate::problem::{Kind, Problem};
use cache::{KeyCache, REFETCH_EVERY, Unchecked};
use claims::Wanted;
pub use jws::Algorithm;
pub(in crate::access) use jws::looks_signed;
use jws::{Invalid, Jws};

/// Most names of tenants that are remembered; when there are more, all are looked up again.
const MAX_TENANTS: usize = 10_000;

/// Whose tokens are taken, and what their claims mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcSettings {
    /// The issuer, exactly as its tokens have it in `iss`.
    pub issuer: String,
    /// Who the tokens have to be for: `aud`.
    pub audience: String,
    /// The claim with the tenant's name; a JSON pointer where it is inside another.
    pub tenant_claim: String,
    /// The claim with the role, or with several words of which some are roles.
    pub role_claim: String,
    /// Which word is which role.
    pub roles: BTreeMap<String, Role>,
    /// How tokens may be signed.
    pub algorithms: Vec<Algorithm>,
    /// How far the clocks may be apart.
    pub leeway: Duration,
}

/// An identity provider whose tokens are taken.
pub(crate) struct Issuer {
    wanted: Wanted,
    tenant_claim: String,
    role_claim: String,
    roles: BTreeMap<String, Role>,
    algorithms: Vec<Algorithm>,
    keys: Arc<KeyCache>,
    /// A name means the same tenant for ever. Only names that the store has.
    tenants: Mutex<HashMap<String, TenantId>>,
}

impl Issuer {
    pub fn new(
        settings: OidcSettings,
        documents: Arc<dyn Documents>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let OidcSettings { issuer, audience, tenant_claim, role_claim, roles, algorithms, leeway } =
            settings;
        Self {
            keys: Arc::new(KeyCache::new(issuer.clone(), documents, clock)),
            wanted: Wanted { issuer, audience, leeway },
            tenant_claim,
            role_claim,
            roles,
            algorithms,
            tenants: Mutex::default(),
        }
    }

    /// Reads the keys anew.
    pub async fn refresh(&self) {
        self.keys.refresh().await;
    }

    /// Who has this token.
    pub async fn identify(
        &self,
        store: &dyn Store,
        token: &[u8],
        now: Timestamp,
    ) -> Result<Identity, Problem> {
        let jws = Jws::read(token, &self.algorithms).map_err(refused)?;
        let claims = self.keys.check(&jws).await.map_err(|error| match error {
            Unchecked::Invalid(invalid) => refused(invalid),
            Unchecked::NoKeys => {
                let detail = "the identity provider cannot be asked for its keys now";
                Problem::new(Kind::IssuerUnavailable, detail).retry_after(REFETCH_EVERY)
            }
        })?;
        let subject = claims::check(&claims, &self.wanted, now).map_err(refused)?;
        let tenant = self.tenant(store, &claims).await?;
        let role = claims::find(&claims, &self.role_claim)
            .and_then(|value| claims::role(value, &self.roles))
            .ok_or_else(|| leads_nowhere(&self.role_claim, "role"))?;
        Ok(Identity { tenant, who: Who::Subject(subject), scopes: role.scopes() })
    }

    async fn tenant(
        &self,
        store: &dyn Store,
        claims: &Map<String, Value>,
    ) -> Result<TenantId, Problem> {
        let nowhere = || leads_nowhere(&self.tenant_claim, "tenant");
        let name = claims::find(claims, &self.tenant_claim).and_then(Value::as_str);
        let name = name.ok_or_else(nowhere)?;
        let known = self.known_tenants().get(name).copied();
        if let Some(tenant) = known {
            return Ok(tenant);
        }
        let tenant = store.tenant(name).await?.ok_or_else(nowhere)?;
        let mut tenants = self.known_tenants();
        if tenants.len() >= MAX_TENANTS {
            tenants.clear();
        }
        tenants.insert(tenant.name, tenant.id);
        Ok(tenant.id)
    }

    fn known_tenants(&self) -> std::sync::MutexGuard<'_, HashMap<String, TenantId>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn leads_nowhere(claim: &str, to: &str) -> Problem {
    let detail = format!("the token's claim `{claim}` names no {to} here");
    Problem::new(Kind::ClaimUnknown, detail).with("claim", claim)
}

fn refused(invalid: Invalid) -> Problem {
    let detail = format!("the token is not taken: {invalid}");
    Problem::new(Kind::Unauthorized, detail).with("reason", invalid.code())
}
