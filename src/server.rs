//! The HTTP server: liveness, readiness and metrics.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

/// How far the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// The caches are being filled.
    Filling,
    /// It would take over at once if whoever leads did no more.
    StandingBy,
    /// It leads.
    Leading,
}

/// What the server asks.
pub trait Probed: Send + Sync + 'static {
    /// How far the process is.
    fn ready(&self) -> Readiness;
    /// Whether it does its work; false asks for a restart.
    fn alive(&self) -> bool;
    /// The text of `/metrics`.
    ///
    /// # Errors
    /// When it cannot be made.
    fn metrics(&self) -> Result<Vec<u8>, prometheus::Error>;
}

/// A server that is bound and not yet serving.
pub struct Server {
    listener: TcpListener,
}

// === impl Server ===

impl Server {
    /// Binds `address`. `[::]` is every address of the machine, of IPv4 too, also where the kernel has no IPv6.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let bound = TcpListener::bind(address).await;
        let listener = match bound {
            // A kernel without IPv6 has no such sockets at all.
            Err(error)
                if address.ip() == Ipv6Addr::UNSPECIFIED
                    && error.kind() != ErrorKind::AddrInUse =>
            {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await?
            }
            bound => bound?,
        };
        Ok(Self { listener })
    }

    /// The address it is bound to, with the port that was chosen.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the future is dropped.
    ///
    /// # Errors
    /// The system's.
    pub async fn serve(self, probed: Arc<dyn Probed>) -> io::Result<()> {
        let router = Router::new()
            .route("/healthz", get(alive))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(probed);
        axum::serve(self.listener, router).await
    }
}

async fn alive(State(probed): State<Arc<dyn Probed>>) -> Response {
    if probed.alive() {
        return "ok\n".into_response();
    }
    let text = "references are due and nothing is read\n";
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn ready(State(probed): State<Arc<dyn Probed>>) -> Response {
    match probed.ready() {
        Readiness::Leading => "ok: leading\n".into_response(),
        Readiness::StandingBy => "ok: standing by\n".into_response(),
        Readiness::Filling => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the caches are being filled\n",
        )
            .into_response(),
    }
}

async fn metrics(State(probed): State<Arc<dyn Probed>>) -> Response {
    match probed.metrics() {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::{IpAddr, TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn all_addresses_are_those_of_ipv4_and_of_ipv6() {
        let server = Server::bind("[::]:0".parse().unwrap()).await.unwrap();
        let port = server.address().unwrap().port();
        let answers = |ip: IpAddr| TcpStream::connect((ip, port)).is_ok();
        assert!(answers(Ipv4Addr::LOCALHOST.into()));
        let has_ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
        assert_eq!(answers(Ipv6Addr::LOCALHOST.into()), has_ipv6);
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_not_taken_for_a_kernel_without_ipv6() {
        let first = Server::bind("[::]:0".parse().unwrap()).await.unwrap();
        let port = first.address().unwrap().port();
        let second = Server::bind(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)).await;
        let error = second.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }
}
