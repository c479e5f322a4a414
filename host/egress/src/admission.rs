//! May this call go out at all? Whose the connection is, its hosts and ports. Pure; addresses are
//! checked later, when they are known.

use tombolo_core::ports::egress::{Connection, EgressError, OutboundCall};
use url::Host;

use crate::host_port::{HostPort, parse_host};
use crate::target::Target;

/// A call that its connection allows.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    pub connection: &'a Connection,
    pub target: Target,
    /// What the connection's credentials may see of this call.
    pub reach: Reach,
}

/// How a call stands to the connection's base URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The base URL or below it: gets the credentials.
    Base,
    /// The same origin, another path: no credentials, neither the connection's nor the plugin's.
    Origin,
    /// Another allowed host: no credentials of the connection.
    Elsewhere,
}

/// Checks `call` against its connection's tenant, base URL and `allowed_hosts`, in that order.
pub(crate) fn admit<'a>(
    call: &'a OutboundCall,
    operator: &[HostPort],
) -> Result<Admitted<'a>, EgressError> {
    let connection = call.connection.as_deref().ok_or_else(|| {
        refused(format!(
            "node `{}` has no connection; name one in the workflow: \"connection\": \"<name>\"",
            call.caller.node
        ))
    })?;
    // Whoever fetched the connection looked there for its tenant. This is the place where its
    // credentials go out, so it does not rely on that.
    if connection.tenant != call.caller.tenant {
        return Err(refused(format!(
            "connection `{}` is not of the tenant whose run this is",
            connection.name
        )));
    }
    if matches!(call.method.as_str(), "CONNECT" | "TRACE") {
        return Err(EgressError::InvalidRequest {
            reason: format!("method {} is not sent", call.method),
        });
    }
    let target = Target::parse(&call.uri.to_string())?;
    let base = connection.base_url.as_deref().map(|url| parse_base(connection, url)).transpose()?;
    let reach = match &base {
        Some(base) if target.is_below(base) => below(connection, &target, base)?,
        Some(base) if target.same_origin(base) => Reach::Origin,
        _ => Reach::Elsewhere,
    };
    if reach == Reach::Elsewhere {
        check_host(connection, &target, operator)?;
    }
    Ok(Admitted { connection, target, reach })
}

/// Refused rather than sent without credentials: the other side would answer with a 401 that nobody
/// could explain.
fn below(connection: &Connection, target: &Target, base: &Target) -> Result<Reach, EgressError> {
    if target.stays_below(base) {
        return Ok(Reach::Base);
    }
    Err(refused(format!(
        "the path holds an escaped `/` or `\\` (`%2f`, `%5c`), a `.` escaped twice (`%252e`) or `..;`: \
         a server may take it out of the base URL of connection `{}`; if the call is meant, give the \
         connection a base URL without a path",
        connection.name
    )))
}

fn refused(reason: String) -> EgressError {
    EgressError::Refused { reason }
}

fn parse_base(connection: &Connection, url: &str) -> Result<Target, EgressError> {
    Target::parse(url).map_err(|error| {
        refused(format!("the base URL of connection `{}` is not usable: {error}", connection.name))
    })
}

fn check_host(
    connection: &Connection,
    target: &Target,
    operator: &[HostPort],
) -> Result<(), EgressError> {
    let place = &target.place;
    let mut named = connection
        .allowed_hosts
        .iter()
        .filter_map(|text| Pattern::parse(text))
        .filter(|pattern| pattern.names(place.host()))
        .peekable();
    if named.peek().is_none() {
        return Err(refused(format!(
            "host `{host}` is not allowed for connection `{name}`; to allow it, add it to the connection: \"allowed_hosts\": [\"{host}\"]",
            host = place.host(),
            name = connection.name,
        )));
    }
    let port_allowed = named.any(|pattern| match pattern.port {
        Some(port) => port == place.port(),
        None => target.has_standard_port() || operator.contains(place),
    });
    if port_allowed {
        return Ok(());
    }
    Err(refused(format!(
        "port {port} of host `{host}` is not allowed for connection `{name}` (https goes to 443, http to 80); to allow it, add it to the connection: \"allowed_hosts\": [\"{place}\"]",
        port = place.port(),
        host = place.host(),
        name = connection.name,
    )))
}

/// `host`, `*.host`, either with `:port`.
struct Pattern {
    host: Host,
    /// `*.example.com`: every host below it, not `example.com` itself.
    below: bool,
    port: Option<u16>,
}

impl Pattern {
    /// None for what is no pattern: it matches nothing.
    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("*.").unwrap_or(text);
        let below = rest.len() != text.len();
        let (host, port) = match rest.parse::<HostPort>() {
            Ok(place) => (place.host().clone(), Some(place.port())),
            Err(_) => (parse_host(rest)?, None),
        };
        let proper = !rest.contains('*') && (!below || matches!(host, Host::Domain(_)));
        proper.then_some(Self { host, below, port })
    }

    fn names(&self, host: &Host) -> bool {
        match (&self.host, host) {
            (Host::Domain(pattern), Host::Domain(host)) if self.below => host
                .strip_suffix(pattern.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            (pattern, host) => !self.below && pattern == host,
        }
    }
}

#[cfg(test)]
mod tests {
    use tombolo_core::id::TenantId;
    use uuid::Uuid;

    use super::*;
    use crate::testing::{call, connection};

    fn reach(base: Option<&str>, allowed: &[&str], uri: &str) -> Result<Reach, String> {
        reach_with(base, allowed, uri, &[])
    }

    fn reach_with(
        base: Option<&str>,
        allowed: &[&str],
        uri: &str,
        operator: &[HostPort],
    ) -> Result<Reach, String> {
        let connection = Connection {
            base_url: base.map(str::to_owned),
            allowed_hosts: allowed.iter().map(|text| (*text).to_owned()).collect(),
            ..connection()
        };
        let call = call("GET", uri, Some(connection));
        admit(&call, operator).map(|admitted| admitted.reach).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_connection_nothing_goes_out() {
        let call = call("GET", "https://api.example.com/", None);
        let error = admit(&call, &[]).unwrap_err().to_string();
        assert!(error.contains("node `deal` has no connection"), "{error}");
    }

    #[test]
    fn a_connection_of_another_tenant_is_refused() {
        let theirs = Connection { tenant: TenantId(Uuid::from_u128(7)), ..connection() };
        let call = call("GET", "https://api.example.com/", Some(theirs));
        let error = admit(&call, &[]).unwrap_err().to_string();
        assert!(error.contains("connection `crm` is not of the tenant"), "{error}");
    }

    #[test]
    fn the_base_url_is_allowed_with_its_own_port() {
        let base = Some("http://127.0.0.1:8081/api");
        assert_eq!(reach(base, &[], "http://127.0.0.1:8081/api/x"), Ok(Reach::Base));
        assert_eq!(reach(base, &[], "http://0x7f.1:8081/other"), Ok(Reach::Origin));
        assert!(reach(base, &[], "http://127.0.0.1:8082/api/x").is_err());
        assert!(reach(base, &[], "https://127.0.0.1:8081/api/x").is_err());
    }

    #[test]
    fn a_path_that_may_lead_out_of_the_base_is_refused() {
        let base = Some("https://api.example.com/v1");
        for path in ["v1/..%2fv2", "v1/%5cv2", "v1/%252e%252e/v2", "v1/..;/v2"] {
            let uri = format!("https://api.example.com/{path}");
            let error = reach(base, &[], &uri).unwrap_err();
            assert!(error.contains("a base URL without a path"), "{uri}: {error}");
            assert_eq!(reach(Some("https://api.example.com"), &[], &uri), Ok(Reach::Base), "{uri}");
        }
        assert_eq!(reach(base, &[], "https://api.example.com/v2/a%2fb"), Ok(Reach::Origin));
    }

    #[test]
    fn a_look_alike_is_another_host() {
        let base = Some("https://api.example.com");
        for uri in [
            "https://api.example.com.evil.com/",
            "https://evilapi.example.com/",
            "https://api.example.com@evil.com/",
            "https://api-example.com/",
            "http://api.example.com/",
        ] {
            assert!(reach(base, &[], uri).is_err(), "{uri}");
        }
        assert_eq!(reach(base, &[], "https://API.EXAMPLE.COM./"), Ok(Reach::Base));
    }

    #[test]
    fn patterns_need_a_dot_boundary() {
        let allowed = ["*.example.com", "files.example.org", "*.1.1.1", "*", "*.*.net", "bad host"];
        for uri in
            ["https://a.example.com/", "https://a.b.example.com/", "https://files.example.org/"]
        {
            assert_eq!(reach(None, &allowed, uri), Ok(Reach::Elsewhere), "{uri}");
        }
        for uri in [
            "https://example.com/",
            "https://evilexample.com/",
            "https://a.files.example.org/",
            "https://1.1.1.1/",
            "https://a.b.net/",
            "https://example.com.evil.com/",
        ] {
            let error = reach(None, &allowed, uri).unwrap_err();
            assert!(error.contains("\"allowed_hosts\": ["), "{uri}: {error}");
        }
    }

    #[test]
    fn ports_are_standard_unless_named() {
        let allowed = ["a.example", "b.example:8443", "*.c.example:8443"];
        for uri in [
            "https://a.example/",
            "http://a.example/",
            "https://b.example:8443/",
            "http://x.c.example:8443/",
        ] {
            assert_eq!(reach(None, &allowed, uri), Ok(Reach::Elsewhere), "{uri}");
        }
        for uri in [
            "https://a.example:80/",
            "http://a.example:443/",
            "https://a.example:22/",
            "https://b.example/",
            "https://x.c.example/",
        ] {
            let error = reach(None, &allowed, uri).unwrap_err();
            assert!(error.contains("is not allowed for connection `crm`"), "{uri}: {error}");
        }
        let operator = ["a.example:9000".parse().unwrap()];
        assert!(reach_with(None, &allowed, "http://a.example:9000/", &operator).is_ok());
        assert!(reach_with(None, &[], "http://a.example:9000/", &operator).is_err());
    }

    #[test]
    fn some_methods_never_go_out() {
        for method in ["CONNECT", "TRACE"] {
            let call = call(method, "https://api.example.com/", Some(connection()));
            assert!(matches!(admit(&call, &[]), Err(EgressError::InvalidRequest { .. })));
        }
    }
}
