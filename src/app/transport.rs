//! The connections to the API server.
//!
//! As kube makes them, but for one thing: kube keeps every connection that was ever needed at one time
//! until the server ends it, and each holds some 60 KiB of buffers. Here they go when nobody uses them.

use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::Config;
use kube::client::{Body, ClientBuilder, ConfigExt};
use tower::util::BoxService;
use tower::{BoxError, ServiceBuilder, ServiceExt};

/// How long a connection is kept that nobody uses; it may take as long again until it is closed.
const IDLE: Duration = Duration::from_secs(10);

/// A request's way to the API server, without what the operator puts in front of it.
pub(super) type Transport = BoxService<Request<Body>, Response<Incoming>, BoxError>;

/// The way to the API server of `config`, with its credentials and its timeouts.
///
/// # Errors
/// When certificates or credentials cannot be used, and when a kubeconfig names a proxy.
pub(super) fn transport(config: Config) -> kube::Result<ClientBuilder<Transport>> {
    if let Some(proxy) = &config.proxy_url {
        return Err(kube::Error::ProxyProtocolDisabled {
            proxy_url: Box::new(proxy.clone()),
            protocol_feature: "kube/http-proxy",
        });
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let client = legacy::Builder::new(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_timer(TokioTimer::new())
        .build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(client)
        .boxed();
    Ok(ClientBuilder::new(service, config.default_namespace))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::version::Info;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_nobody_uses_is_closed() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", server.local_addr().unwrap());
        let config = Config::new(address.parse().unwrap());
        let client = transport(config).unwrap().build();

        let answered = async {
            let (mut connection, _) = server.accept().await.unwrap();
            let mut request = [0; 4_096];
            assert!(connection.read(&mut request).await.unwrap() > 0);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            connection.write_all(answer).await.unwrap();
            // Nothing more is asked, and the server does not hang up.
            let rest = connection.read(&mut request);
            tokio::time::timeout(Duration::from_mins(1), rest).await
        };
        let asked = client.request::<Info>(Request::get("/version").body(Vec::new()).unwrap());
        let (rest, _) = tokio::join!(answered, asked);
        assert_eq!(rest.expect("the connection is still open").unwrap(), 0);
    }
}
