//! Attaching a connection's credentials to a request that goes to its base URL. The only place that
//! opens them; what it opens never leaves but in the request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use tombolo_core::ports::egress::{Auth, Connection, EgressError};
use tombolo_core::ports::vault::{SecretPlace, Vault, VaultError};
use tombolo_core::secret::{Sealed, Secret};
use url::Url;
use zeroize::Zeroizing;

use crate::admission::{Admitted, Reach};
use crate::redact::{Redactor, decoded_name};

/// What a connection keeps secret, opened for one call.
#[derive(Default)]
pub(crate) struct Credentials {
    secret: Option<Result<Secret, VaultError>>,
    /// Takes them out of everything that is kept of the call.
    pub redactor: Redactor,
}

impl Credentials {
    /// Opens what `connection` has. What does not open is an error only once it is needed.
    pub fn open(vault: &dyn Vault, connection: Option<&Connection>) -> Self {
        let mut all = Self::default();
        let Some(connection) = connection else {
            return all;
        };
        let open = |field: &str, sealed: &Sealed| {
            let place =
                SecretPlace { tenant: connection.tenant, connection: &connection.name, field };
            vault.open(place, sealed)
        };
        if let Some(signing) = &connection.signing
            && let Ok(secret) = open("signing", signing)
        {
            all.redactor.learn(secret.reveal());
        }
        let opened = sealed(&connection.auth).map(|sealed| open(field(&connection.auth), sealed));
        if let Some(Ok(secret)) = &opened {
            all.redactor.learn(secret.reveal());
            if let Auth::Basic { user, .. } = &connection.auth {
                all.redactor.learn(&user_and_password(user, secret));
            }
        }
        all.secret = opened;
        all
    }

    /// Adds the credentials to a request below the base URL. At the base URL's origin, they and
    /// nothing else may authenticate: an `Authorization` that the plugin set is removed. An answer
    /// to what carries credentials is asked for uncompressed, so that an echo of them is found in it.
    pub fn attach(
        &self,
        admitted: &Admitted<'_>,
        url: &mut Url,
        headers: &mut HeaderMap,
    ) -> Result<(), EgressError> {
        let connection = admitted.connection;
        if connection.auth == Auth::None || admitted.reach == Reach::Elsewhere {
            return Ok(());
        }
        headers.remove(AUTHORIZATION);
        if admitted.reach != Reach::Base {
            return Ok(());
        }
        let secret = match &self.secret {
            Some(Ok(secret)) => secret,
            Some(Err(error)) => return Err(unusable(connection, &error.to_string())),
            None => return Ok(()),
        };
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let name = &connection.name;
        match &connection.auth {
            Auth::None => {}
            Auth::Bearer { .. } => {
                let value = Zeroizing::new([b"Bearer ", secret.reveal()].concat());
                headers.insert(AUTHORIZATION, sensitive(connection, &value)?);
            }
            Auth::Basic { user, .. } => {
                let pair = Zeroizing::new(STANDARD.encode(&*user_and_password(user, secret)));
                let value = Zeroizing::new(format!("Basic {}", &*pair));
                headers.insert(AUTHORIZATION, sensitive(connection, value.as_bytes())?);
            }
            Auth::Header { name: header, .. } => {
                let header = HeaderName::from_bytes(header.as_bytes())
                    .map_err(|_| unusable(connection, "its header's name is not one"))?;
                headers.insert(header, sensitive(connection, secret.reveal())?);
            }
            Auth::Query { name: parameter, .. } => {
                let value = std::str::from_utf8(secret.reveal())
                    .map_err(|_| unusable(connection, "it is not text"))?;
                set_parameter(url, parameter, value);
            }
        }
        tracing::trace!(connection = %name, kind = connection.auth.kind(), "credentials attached");
        Ok(())
    }
}

/// The vault field of the secret of `auth`: the name of its kind, but for basic.
fn field(auth: &Auth) -> &'static str {
    match auth {
        Auth::Basic { .. } => "password",
        other => other.kind(),
    }
}

fn sealed(auth: &Auth) -> Option<&Sealed> {
    match auth {
        Auth::None => None,
        Auth::Bearer { token } => Some(token),
        Auth::Basic { password, .. } => Some(password),
        Auth::Header { value, .. } | Auth::Query { value, .. } => Some(value),
    }
}

fn user_and_password(user: &str, password: &Secret) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([user.as_bytes(), b":", password.reveal()].concat())
}

/// A header value that `Debug` does not show and HTTP/2 does not index.
fn sensitive(connection: &Connection, bytes: &[u8]) -> Result<HeaderValue, EgressError> {
    let mut value = HeaderValue::from_bytes(bytes)
        .map_err(|_| unusable(connection, "it holds a line break or a control character"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn unusable(connection: &Connection, reason: &str) -> EgressError {
    EgressError::Refused {
        reason: format!(
            "the {kind} credential of connection `{name}` cannot be used: {reason}; set it again",
            kind = connection.auth.kind(),
            name = connection.name,
        ),
    }
}

/// Sets `name`, replacing what the plugin set under that name and leaving all else as it was.
fn set_parameter(url: &mut Url, name: &str, value: &str) {
    let others: Vec<&str> = url
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter(|pair| !pair.is_empty())
        .filter(|pair| decoded_name(pair.split('=').next().unwrap_or_default()) != name)
        .collect();
    let kept = others.join("&");
    url.set_query((!kept.is_empty()).then_some(&kept));
    url.query_pairs_mut().append_pair(name, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::admit;
    use crate::testing::{call, connection};

    /// Keeps secrets as they are.
    struct Open;

    impl Vault for Open {
        fn seal(&self, _: SecretPlace<'_>, plain: &Secret) -> Sealed {
            Sealed(plain.reveal().to_vec())
        }

        fn open(&self, _: SecretPlace<'_>, sealed: &Sealed) -> Result<Secret, VaultError> {
            Ok(Secret::new(sealed.0.clone()))
        }
    }

    fn attached(auth: Auth, uri: &str) -> (Url, HeaderMap) {
        let call = call("GET", uri, Some(Connection { auth, ..connection() }));
        let admitted = admit(&call, &[]).unwrap();
        let (mut url, mut headers) = (admitted.target.url.clone(), HeaderMap::new());
        let credentials = Credentials::open(&Open, call.connection.as_deref());
        credentials.attach(&admitted, &mut url, &mut headers).unwrap();
        (url, headers)
    }

    #[test]
    fn attached_headers_do_not_show_themselves() {
        let secret = || Sealed(b"canary".to_vec());
        let kinds = [
            Auth::Bearer { token: secret() },
            Auth::Basic { user: "ann".to_owned(), password: secret() },
            Auth::Header { name: "x-api-key".to_owned(), value: secret() },
        ];
        for auth in kinds {
            let (_, mut headers) = attached(auth, "https://api.example.com/");
            headers.remove(ACCEPT_ENCODING);
            assert_eq!(headers.len(), 1);
            assert!(headers.values().all(HeaderValue::is_sensitive), "{headers:?}");
        }
    }

    #[test]
    fn a_query_credential_changes_nothing_else() {
        let auth = || Auth::Query { name: "key".to_owned(), value: Sealed(b"a b&c".to_vec()) };
        let table = [
            ("/x", "/x?key=a+b%26c"),
            ("/x?", "/x?key=a+b%26c"),
            ("/x?q=1%202&%6Bey=theirs&key&r", "/x?q=1%202&r&key=a+b%26c"),
        ];
        for (before, after) in table {
            let (url, headers) = attached(auth(), &format!("https://api.example.com{before}"));
            assert_eq!(url.as_str(), format!("https://api.example.com{after}"));
            assert_eq!(headers.keys().collect::<Vec<_>>(), [ACCEPT_ENCODING]);
        }
    }

    #[test]
    fn an_answer_to_a_credential_is_asked_for_as_it_is() {
        let bearer = || Auth::Bearer { token: Sealed(b"canary".to_vec()) };
        let (_, headers) = attached(bearer(), "https://api.example.com/x");
        assert_eq!(headers[ACCEPT_ENCODING], "identity");
        let (_, headers) = attached(Auth::None, "https://api.example.com/x");
        assert!(!headers.contains_key(ACCEPT_ENCODING));
    }
}
