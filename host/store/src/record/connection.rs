//! How a connection authenticates, as three columns: kind, name in the clear, sealed secret.

use tombolo_core::ports::egress::Auth;
use tombolo_core::secret::Sealed;

use super::Damaged;

/// The columns of `auth`: its name (user, header or parameter) and its secret.
pub(crate) fn auth_columns(auth: &Auth) -> (Option<&str>, Option<&Sealed>) {
    match auth {
        Auth::None => (None, None),
        Auth::Bearer { token } => (None, Some(token)),
        Auth::Basic { user, password } => (Some(user), Some(password)),
        Auth::Header { name, value } | Auth::Query { name, value } => (Some(name), Some(value)),
    }
}

/// Reads the columns back.
pub(crate) fn auth_from_columns(
    kind: &str,
    name: Option<String>,
    secret: Option<Vec<u8>>,
) -> Result<Auth, Damaged> {
    match (kind, name, secret.map(Sealed)) {
        ("none", None, None) => Ok(Auth::None),
        ("bearer", None, Some(token)) => Ok(Auth::Bearer { token }),
        ("basic", Some(user), Some(password)) => Ok(Auth::Basic { user, password }),
        ("header", Some(name), Some(value)) => Ok(Auth::Header { name, value }),
        ("query", Some(name), Some(value)) => Ok(Auth::Query { name, value }),
        _ => Err(Damaged(format!("a connection of kind `{kind}` has the wrong columns"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back() {
        let sealed = || Sealed(vec![1, 2, 3]);
        let name = || "x-key".to_owned();
        for auth in [
            Auth::None,
            Auth::Bearer { token: sealed() },
            Auth::Basic { user: name(), password: sealed() },
            Auth::Header { name: name(), value: sealed() },
            Auth::Query { name: name(), value: sealed() },
        ] {
            let (column, secret) = auth_columns(&auth);
            let back = auth_from_columns(
                auth.kind(),
                column.map(str::to_owned),
                secret.map(|sealed| sealed.0.clone()),
            );
            assert_eq!(back.unwrap(), auth);
        }
        assert!(auth_from_columns("bearer", None, None).is_err());
    }
}
