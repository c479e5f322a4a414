//! One connection of the client: kept alive, one request at a time, no further thread and no pool,
//! so that the client costs as little as it can.

use std::net::SocketAddr;

use anyhow::Context;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A connection to one server.
pub struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    wire: http1::Connection<TokioIo<TcpStream>, Full<Bytes>>,
}

impl Connection {
    /// Opens it.
    ///
    /// # Errors
    /// If nobody listens.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, wire) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, wire })
    }

    /// Sends a request and reads its answer to the end.
    ///
    /// # Errors
    /// If the connection breaks. It is of no use then.
    pub async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), hyper::Error> {
        let sender = &mut self.sender;
        let exchange = async {
            sender.ready().await?;
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            Ok((status, body))
        };
        tokio::pin!(exchange);
        tokio::select! {
            biased;
            // The wire first: what it reads is then there for the exchange in the same turn.
            ended = &mut self.wire => match ended {
                Err(error) => Err(error),
                Ok(()) => exchange.await,
            },
            answer = &mut exchange => answer,
        }
    }
}
