//! The listening socket and what is behind it.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::cloud::{Clock, Cloud};
use crate::instance::InstanceOptions;
use crate::{admin, connection, gateway};

/// How a simulator runs.
#[derive(Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How long every call to a cloud takes at least.
    pub latency: Duration,
    /// The CA, in PEM, that OIDC issuers' servers must be certified by. Without it the system's CAs are asked.
    pub oidc_ca_pem: Option<String>,
    /// A dedicated instance of KMS, on a port of its own with TLS.
    pub kms_instance: Option<InstanceOptions>,
    /// What time it is.
    pub clock: Clock,
}

/// Accepts connections for ever. With TLS they are to the dedicated instance of KMS, which has no admin API.
pub(crate) async fn serve(listener: TcpListener, cloud: Arc<Cloud>, tls: Option<TlsAcceptor>) {
    let router = match tls {
        None => Router::new().nest("/_sim", admin::router()),
        Some(_) => Router::new(),
    };
    let router: Router = router.fallback(gateway::answer).with_state(cloud);
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let _ = stream.set_nodelay(true);
                tokio::spawn(connection::serve(
                    stream,
                    address,
                    router.clone(),
                    tls.clone(),
                ));
            }
            Err(error) => {
                // Too many open files, most likely: some will be closed soon.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            latency: Duration::ZERO,
            oidc_ca_pem: None,
            kms_instance: None,
            clock: Arc::new(Timestamp::now),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            listen, latency, ..
        } = self;
        f.debug_struct("Options")
            .field("listen", listen)
            .field("latency", latency)
            .finish_non_exhaustive()
    }
}
