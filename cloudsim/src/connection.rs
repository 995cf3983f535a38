//! One client's connection, which a fault can break.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

/// Who is at the other end, and the means to end the connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Whether the connection is to the dedicated instance of KMS.
    pub(crate) instance: bool,
    pub(crate) breaker: Arc<Breaker>,
}

/// Ends a connection from within a request.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    reset: AtomicBool,
    broken: Notify,
}

/// A socket that is reset, not closed, if its breaker says so.
struct Socket {
    stream: TcpStream,
    breaker: Arc<Breaker>,
}

/// Serves a connection until either side ends it: with TLS, to the dedicated instance of KMS; else to all else.
pub(crate) async fn serve(
    stream: TcpStream,
    address: SocketAddr,
    router: Router,
    tls: Option<TlsAcceptor>,
) {
    let breaker = Arc::new(Breaker::default());
    let peer = Peer {
        address,
        instance: tls.is_some(),
        breaker: breaker.clone(),
    };
    let service = TowerToHyperService::new(router.layer(Extension(peer)));
    let socket = Socket {
        stream,
        breaker: breaker.clone(),
    };
    let builder = http1::Builder::new();
    let served = async {
        match tls {
            None => {
                let connection = builder.serve_connection(TokioIo::new(socket), service);
                connection.await.map_err(io::Error::other)
            }
            Some(tls) => {
                let socket = tls.accept(socket).await?;
                let connection = builder.serve_connection(TokioIo::new(socket), service);
                connection.await.map_err(io::Error::other)
            }
        }
    };
    tokio::select! {
        served = served => {
            if let Err(error) = served {
                tracing::trace!(%error, "connection ended");
            }
        }
        () = breaker.broken.notified() => {}
    }
}

// === impl Breaker ===

impl Breaker {
    /// Ends the connection with a reset.
    pub(crate) fn reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
        self.close();
    }

    /// Ends the connection with a plain close.
    pub(crate) fn close(&self) {
        self.broken.notify_one();
    }
}

// === impl Socket ===

impl Drop for Socket {
    fn drop(&mut self) {
        if self.breaker.reset.load(Ordering::Relaxed) {
            // With a linger time of zero the system sends RST when the socket is closed, which is next.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
