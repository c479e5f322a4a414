//! A way between two processes that a test can cut: TCP connections to one address are carried to
//! another one, until they are told not to.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// They are carried.
    Open,
    /// They go nowhere, and nobody is told: a network that has come apart.
    Lost,
}

/// The way. It is gone when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    way: watch::Sender<Way>,
    to: Arc<Mutex<SocketAddr>>,
    listening: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of this machine, and carries to `to`.
    ///
    /// # Errors
    /// If there is no port.
    pub async fn start(to: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (way, changes) = watch::channel(Way::Open);
        let to = Arc::new(Mutex::new(to));
        let listening = tokio::spawn(listen(listener, changes, to.clone()));
        Ok(Self { port, way, to, listening })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Opens or cuts it. What is under way in a connection that was cut comes when it is open again.
    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// Carries new connections to another address.
    pub fn lead_to(&self, to: SocketAddr) {
        *self.to.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, way: watch::Receiver<Way>, to: Arc<Mutex<SocketAddr>>) {
    while let Ok((here, _)) = listener.accept().await {
        let (mut way, to) = (way.clone(), to.clone());
        tokio::spawn(async move {
            // A connection that is made while it is cut comes through when it is open again.
            if way.wait_for(|way| *way == Way::Open).await.is_err() {
                return;
            }
            let to = *to.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(there) = TcpStream::connect(to).await {
                carry(here, there, way).await;
            }
        });
    }
}

/// Carries in both directions until one side ends.
async fn carry(here: TcpStream, there: TcpStream, way: watch::Receiver<Way>) {
    let ((mut from_here, mut to_here), (mut from_there, mut to_there)) =
        (here.into_split(), there.into_split());
    tokio::select! {
        () = copy(&mut from_here, &mut to_there, way.clone()) => {}
        () = copy(&mut from_there, &mut to_here, way) => {}
    }
}

async fn copy(
    from: &mut tokio::net::tcp::OwnedReadHalf,
    to: &mut tokio::net::tcp::OwnedWriteHalf,
    mut way: watch::Receiver<Way>,
) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if way.wait_for(|way| *way == Way::Open).await.is_err() {
            return;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
