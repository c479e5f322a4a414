//! The sections `[access]` and `[oidc]`: who may call, and how often. What the keys mean is said once,
//! in `tombolo.default.toml`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tombolo_api::{AccessSettings as ApiAccess, Algorithm, OidcSettings as ApiOidc};
use tombolo_core::role::Role;

/// The section `[access]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessSettings {
    /// Requests a minute of one token or person; 0 for no bound.
    pub requests_per_minute: u32,
    /// Requests that may come at once after a time of rest.
    pub burst: u32,
}

impl Default for AccessSettings {
    fn default() -> Self {
        let ApiAccess { requests_per_minute, burst, oidc: _ } = ApiAccess::default();
        Self { requests_per_minute, burst }
    }
}

/// The section `[oidc]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OidcSettings {
    /// The identity provider whose tokens are taken. None: none is.
    pub issuer: Option<String>,
    /// Who its tokens have to be for.
    pub audience: String,
    /// The claim with the tenant's name.
    pub tenant_claim: String,
    /// The claim with the role.
    pub role_claim: String,
    /// Which word of that claim is which role.
    pub roles: Vec<RoleWord>,
    /// How tokens may be signed.
    pub algorithms: Vec<AlgorithmName>,
    /// How far the clocks may be apart.
    pub leeway_seconds: u64,
}

impl Default for OidcSettings {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: "tombolo".to_owned(),
            tenant_claim: "tombolo_tenant".to_owned(),
            role_claim: "tombolo_role".to_owned(),
            roles: Role::ALL.map(|role| RoleWord { word: role.to_string(), role }).to_vec(),
            algorithms: Algorithm::ALL.map(AlgorithmName).to_vec(),
            leeway_seconds: 30,
        }
    }
}

impl AccessSettings {
    /// As the API takes them, with the identity provider if there is one.
    pub fn with(&self, oidc: &OidcSettings) -> ApiAccess {
        let oidc = oidc.issuer.clone().map(|issuer| ApiOidc {
            issuer,
            audience: oidc.audience.clone(),
            tenant_claim: oidc.tenant_claim.clone(),
            role_claim: oidc.role_claim.clone(),
            roles: oidc.roles.iter().map(|one| (one.word.clone(), one.role)).collect(),
            algorithms: oidc.algorithms.iter().map(|one| one.0).collect(),
            leeway: Duration::from_secs(oidc.leeway_seconds),
        });
        let Self { requests_per_minute, burst } = *self;
        ApiAccess { requests_per_minute, burst, oidc }
    }
}

/// `platform-team=editor`: a word of the role claim, and the role that it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoleWord {
    word: String,
    role: Role,
}

impl TryFrom<String> for RoleWord {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // A word may have an equals sign in it, a role has none.
        let (word, role) = text
            .rsplit_once('=')
            .filter(|(word, _)| !word.is_empty())
            .ok_or_else(|| format!("`{text}` has to be a word and a role: `staff=viewer`"))?;
        let role = role.parse().map_err(|error| format!("`{text}`: {error}"))?;
        Ok(Self { word: word.to_owned(), role })
    }
}

impl From<RoleWord> for String {
    fn from(RoleWord { word, role }: RoleWord) -> Self {
        format!("{word}={role}")
    }
}

/// `RS256`, `ES256` or `EdDSA`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AlgorithmName(Algorithm);

impl TryFrom<String> for AlgorithmName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let found = Algorithm::named(&text).map(Self);
        found.ok_or_else(|| format!("`{text}` is none of RS256, ES256, EdDSA"))
    }
}

impl From<AlgorithmName> for String {
    fn from(AlgorithmName(algorithm): AlgorithmName) -> Self {
        algorithm.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_roles() {
        let read = |text: &str| RoleWord::try_from(text.to_owned());
        let platform = read("cn=platform,dc=example=editor").unwrap();
        assert_eq!((&*platform.word, platform.role), ("cn=platform,dc=example", Role::Editor));
        assert_eq!(String::from(platform), "cn=platform,dc=example=editor");
        for wrong in ["editor", "=editor", "staff=root", ""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn without_an_issuer_there_is_no_provider() {
        let access = AccessSettings::default();
        assert_eq!(access.with(&OidcSettings::default()), ApiAccess::default());
        let issuer = Some("https://id.example.com".to_owned());
        let oidc = access.with(&OidcSettings { issuer, ..OidcSettings::default() }).oidc.unwrap();
        assert_eq!(oidc.roles["admin"], Role::Admin);
        assert_eq!(oidc.algorithms, Algorithm::ALL);
    }

    #[test]
    fn an_algorithm_with_a_shared_secret_is_none() {
        assert!(AlgorithmName::try_from("HS256".to_owned()).is_err());
        assert!(AlgorithmName::try_from("none".to_owned()).is_err());
    }
}
