//! The one place that opens sockets: resolves once, checks every address, connects to exactly those.
//! IP literals go the same way. Never asks a second time, so that a name cannot change its answer
//! between check and connection.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;
use url::Host;

use crate::guard::{Reason, forbidden};
use crate::host_port::{HostPort, parse_host};
use crate::resolve::Resolve;

/// Addresses of one name that are tried; a name with more is served by the first ones.
const MAX_ADDRESSES: usize = 16;
/// How long one address may keep silent before the next is tried beside it (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Why there is no socket. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The name leads to an address that is not public.
    #[error(
        "{place} leads to an address that is not public ({reason}); an operator who wants this allows exactly this host and port: [egress] allow = [\"{place}\"]"
    )]
    Forbidden { place: HostPort, reason: Reason },
    /// There is no such name, or its server does not answer.
    #[error("the name does not resolve")]
    Unresolved,
    /// The name or the port is unusable.
    #[error("the host is not usable")]
    NoHost,
    /// No address took the connection.
    #[error("{}", plain(.0.kind()))]
    Unreached(#[source] io::Error),
}

fn plain(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::TimedOut => "no answer",
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => "not reachable",
        _ => "the connection failed",
    }
}

/// Opens TCP connections to public addresses, and to what the operator allows.
#[derive(Clone)]
pub(crate) struct GuardedConnector(Arc<Inner>);

struct Inner {
    resolve: Arc<dyn Resolve>,
    allow: Vec<HostPort>,
}

impl GuardedConnector {
    pub fn new(resolve: Arc<dyn Resolve>, allow: Vec<HostPort>) -> Self {
        Self(Arc::new(Inner { resolve, allow }))
    }
}

impl Service<Uri> for GuardedConnector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let inner = self.0.clone();
        Box::pin(async move {
            let place = place_of(&uri).ok_or(ConnectError::NoHost)?;
            let addresses = inner.checked_addresses(&place).await?;
            let stream = dial(&addresses, place.port()).await.map_err(ConnectError::Unreached)?;
            Ok(TokioIo::new(stream))
        })
    }
}

impl Inner {
    /// All addresses or none: a name that mixes public and private ones is up to no good, or
    /// broken in a way that its owner should see.
    async fn checked_addresses(&self, place: &HostPort) -> Result<Vec<IpAddr>, ConnectError> {
        let found = match place.host() {
            Host::Ipv4(ip) => vec![IpAddr::V4(*ip)],
            Host::Ipv6(ip) => vec![IpAddr::V6(*ip)],
            Host::Domain(name) => {
                self.resolve.resolve(name).await.map_err(|_| ConnectError::Unresolved)?
            }
        };
        if found.is_empty() {
            return Err(ConnectError::Unresolved);
        }
        if !self.allow.contains(place) {
            let bad = found.iter().find_map(|ip| forbidden(*ip).map(|reason| (*ip, reason)));
            if let Some((address, reason)) = bad {
                // The operator's log names the address, the error (which a tenant reads) does not.
                tracing::warn!(%place, %address, %reason, "egress refused");
                return Err(ConnectError::Forbidden { place: place.clone(), reason });
            }
        }
        Ok(found.into_iter().take(MAX_ADDRESSES).collect())
    }
}

fn place_of(uri: &Uri) -> Option<HostPort> {
    let standard = match uri.scheme_str()? {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    Some(HostPort::new(parse_host(uri.host()?)?, uri.port_u16().unwrap_or(standard)))
}

/// The first of `addresses` that takes the connection; a silent one holds up the next only shortly.
async fn dial(addresses: &[IpAddr], port: u16) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter();
    let mut under_way = FuturesUnordered::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(ip) = waiting.next() {
            under_way.push(connect(ip.to_canonical(), port));
        } else if under_way.is_empty() {
            return Err(last);
        }
        let more = waiting.len() > 0;
        tokio::select! {
            Some(result) = under_way.next() => match result {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            },
            () = tokio::time::sleep(STAGGER), if more => {}
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the way out, behind the guard")]
async fn connect(ip: IpAddr, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((ip, port)).await?;
    // The kernel should have gone where it was told; what rewrites destinations stands out here.
    if stream.peer_addr()?.ip().to_canonical() != ip {
        return Err(io::Error::from(io::ErrorKind::AddrNotAvailable));
    }
    stream.set_nodelay(true)?;
    Ok(stream)
}
