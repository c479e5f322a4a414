//! Servers that can behave and misbehave, and an egress to call them with.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tombolo_core::clock::{Clock, Timestamp};
use tombolo_core::effect::Effect;
use tombolo_core::id::{ConnectionId, RunId, TenantId, WorkflowId};
use tombolo_core::ports::egress::{
    Auth, CallLimits, CallRecord, Caller, Connection, Egress, EgressError, InboundResponse,
    OutboundCall,
};
use tombolo_core::ports::vault::{SecretPlace, Vault};
use tombolo_core::secret::{Sealed, Secret};
use tombolo_egress::{EgressSettings, HttpEgress, Resolve};
use tombolo_vault::{MasterKey, SealingVault};
use uuid::Uuid;

/// Time enough for what should end by itself.
pub const AMPLE: Duration = Duration::from_secs(20);

/// A request as a server saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub version: Version,
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A server on loopback; it ends with the test's runtime.
#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections it took.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    async fn listen() -> (Self, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Self { address, accepted: Arc::default(), seen: Arc::default() }, listener)
    }

    async fn note(&self, request: Request<Incoming>) -> Seen {
        let (head, body) = request.into_parts();
        let seen = Seen {
            version: head.version,
            method: head.method.to_string(),
            target: head.uri.path_and_query().unwrap().to_string(),
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        };
        self.seen.lock().unwrap().push(seen.clone());
        seen
    }
}

/// A proper HTTP/1.1 server.
pub async fn http(
    answer: impl Fn(Seen) -> Response<Bytes> + Clone + Send + Sync + 'static,
) -> Server {
    let (server, listener) = Server::listen().await;
    let shared = server.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            shared.accepted.fetch_add(1, Ordering::SeqCst);
            let (shared, answer) = (shared.clone(), answer.clone());
            let service = service_fn(move |request| {
                let (shared, answer) = (shared.clone(), answer.clone());
                async move { Ok::<_, Infallible>(answer(shared.note(request).await).map(Full::new)) }
            });
            let serve = hyper::server::conn::http1::Builder::new();
            tokio::spawn(serve.serve_connection(TokioIo::new(stream), service));
        }
    });
    server
}

/// As [`http`], over TLS, with `protocols` offered in ALPN.
pub async fn https(
    tls: ServerConfig,
    answer: impl Fn(Seen) -> Response<Bytes> + Clone + Send + Sync + 'static,
) -> Server {
    let (server, listener) = Server::listen().await;
    let shared = server.clone();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            shared.accepted.fetch_add(1, Ordering::SeqCst);
            let (shared, answer, acceptor) = (shared.clone(), answer.clone(), acceptor.clone());
            tokio::spawn(async move {
                // A client that does not trust the certificate leaves here.
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let service = service_fn(move |request| {
                    let (shared, answer) = (shared.clone(), answer.clone());
                    async move { Ok::<_, Infallible>(answer(shared.note(request).await).map(Full::new)) }
                });
                let stream = TokioIo::new(stream);
                // How a connection ends is the client's business.
                if two {
                    let serve = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    drop(serve.serve_connection(stream, service).await);
                } else {
                    let serve = hyper::server::conn::http1::Builder::new();
                    drop(serve.serve_connection(stream, service).await);
                }
            });
        }
    });
    server
}

/// A server that does what `script` says with each connection, after the request's head came in.
pub async fn raw<F>(script: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let (server, listener) = Server::listen().await;
    let accepted = server.accepted.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            accepted.fetch_add(1, Ordering::SeqCst);
            read_head(&mut stream).await;
            tokio::spawn(script(stream));
        }
    });
    server
}

/// A server that takes connections and never says a word.
pub async fn silent() -> Server {
    let (server, listener) = Server::listen().await;
    let accepted = server.accepted.clone();
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(listener.accept().await.unwrap());
            accepted.fetch_add(1, Ordering::SeqCst);
        }
    });
    server
}

/// Reads up to the empty line after the headers.
pub async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
}

/// An address that nothing listens on.
pub async fn closed_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

pub fn ok(body: impl Into<Bytes>) -> Response<Bytes> {
    Response::new(body.into())
}

/// Names with the answers to each question in turn; the last one stays.
#[derive(Default)]
pub struct Names {
    answers: HashMap<String, Vec<Vec<IpAddr>>>,
    pub asked: AtomicUsize,
}

impl Names {
    pub fn new(answers: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        let answers = answers
            .iter()
            .map(|(name, turns)| ((*name).to_owned(), turns.iter().map(parse).collect()))
            .collect();
        Arc::new(Self { answers, asked: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        let turns = self.answers.get(host).ok_or(io::ErrorKind::NotFound)?;
        Ok(turns[turn.min(turns.len() - 1)].clone())
    }
}

/// Goes on by 5 ms each time it is asked.
#[derive(Default)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(5, Ordering::SeqCst))
    }
}

pub struct House {
    pub egress: HttpEgress,
    vault: Arc<SealingVault>,
}

impl House {
    /// With the addresses of `servers` allowed.
    pub fn open_to(servers: &[&Server]) -> Self {
        let allow = servers.iter().map(|server| server.address.to_string()).collect::<Vec<_>>();
        Self::new(settings(&allow), Names::new(&[]))
    }

    pub fn new(settings: EgressSettings, names: Arc<Names>) -> Self {
        let key = MasterKey::parse(&"0123456789abcdef".repeat(4)).unwrap();
        let vault = Arc::new(SealingVault::new(key, vec![]).unwrap());
        let clock = Arc::new(Ticking::default());
        let egress = HttpEgress::new(settings, vault.clone(), clock, names).unwrap();
        Self { egress, vault }
    }

    pub fn seal(&self, field: &str, secret: &str) -> Sealed {
        let place = SecretPlace { tenant: tenant(), connection: "crm", field };
        self.vault.seal(place, &Secret::new(secret.as_bytes().to_vec()))
    }

    pub async fn send(
        &self,
        call: OutboundCall,
    ) -> (Result<InboundResponse, EgressError>, CallRecord) {
        self.egress.send(call).await
    }

    /// The error of a GET to `uri`, which is also the connection's base URL.
    pub async fn error_of(&self, uri: &str) -> EgressError {
        self.send(get(uri, &connection(uri))).await.0.unwrap_err()
    }
}

pub fn settings<T: AsRef<str>>(allow: &[T]) -> EgressSettings {
    EgressSettings {
        allow: allow.iter().map(|text| text.as_ref().parse().unwrap()).collect(),
        ..EgressSettings::default()
    }
}

fn tenant() -> TenantId {
    TenantId(Uuid::from_u128(2))
}

pub fn connection(base_url: &str) -> Connection {
    Connection {
        id: ConnectionId(Uuid::from_u128(1)),
        tenant: tenant(),
        name: "crm".to_owned(),
        base_url: Some(base_url.to_owned()),
        auth: Auth::None,
        signing: None,
        allowed_hosts: Vec::new(),
        limits: CallLimits::default(),
        updated_at: Timestamp(0),
        paused: None,
    }
}

pub fn get(uri: &str, connection: &Connection) -> OutboundCall {
    OutboundCall {
        caller: Arc::new(Caller {
            tenant: tenant(),
            workflow: WorkflowId(Uuid::from_u128(3)),
            run: RunId(Uuid::from_u128(4)),
            node: "deal".to_owned(),
            attempt: 1,
            idempotency_key: "step-key".to_owned(),
            correlation_id: "event-1".to_owned(),
            effect: Effect::Keyed,
        }),
        connection: Some(Arc::new(connection.clone())),
        sequence: 0,
        change: None,
        method: http::Method::GET,
        uri: uri.parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        request_hash: [0; 32],
        budget: AMPLE,
    }
}

pub fn post(uri: &str, connection: &Connection, body: &'static str) -> OutboundCall {
    OutboundCall {
        change: Some(0),
        method: http::Method::POST,
        body: body.into(),
        ..get(uri, connection)
    }
}

pub fn with_header(mut call: OutboundCall, name: &str, value: &str) -> OutboundCall {
    call.headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    call
}
