//! The secrets that a trigger names, opened.

use tombolo_core::id::TenantId;
use tombolo_core::ports::vault::SecretPlace;
use tombolo_core::secret::Secret;

use crate::IngressState;
use crate::problem::Problem;

/// The vault's field of a connection's webhook secret.
const FIELD: &str = "signing";

/// Opens every named secret that there is. One that is missing or does not open is left out and
/// logged: with none left, verification fails closed.
pub(crate) async fn open(
    state: &IngressState,
    tenant: TenantId,
    names: &[String],
) -> Result<Vec<Secret>, Problem> {
    let mut secrets = Vec::with_capacity(names.len());
    for name in names {
        let connection = state.store.connection(tenant, name).await.map_err(Problem::from_store)?;
        let Some(sealed) = connection.and_then(|connection| connection.signing) else {
            tracing::warn!(connection = %name, "the webhook secret is gone; set it again");
            continue;
        };
        match state.vault.open(SecretPlace { tenant, connection: name, field: FIELD }, &sealed) {
            Ok(secret) => secrets.push(secret),
            Err(error) => {
                tracing::error!(connection = %name, %error, "the webhook secret does not open")
            }
        }
    }
    Ok(secrets)
}
