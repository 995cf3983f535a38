//! Kubeconfig files: written for others, read for our own clients.

use crate::certificates::Pair;
use crate::error::Error;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

/// How the user of a kubeconfig proves who it is.
#[derive(Clone, Debug)]
pub(crate) enum Credential<'a> {
    Certificate(&'a Pair),
    Token(&'a str),
}

/// Renders a kubeconfig with one context, all data inline.
pub(crate) fn render(
    server: &str,
    ca_pem: &str,
    user: &str,
    credential: &Credential<'_>,
    namespace: &str,
) -> Result<String, Error> {
    let credential: Value = match credential {
        Credential::Certificate(pair) => json!({
            "client-certificate-data": STANDARD.encode(&pair.certificate),
            "client-key-data": STANDARD.encode(&pair.key),
        }),
        Credential::Token(token) => json!({ "token": token }),
    };
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "devcluster",
            "cluster": { "server": server, "certificate-authority-data": STANDARD.encode(ca_pem) },
        }],
        "users": [{ "name": user, "user": credential }],
        "contexts": [{
            "name": "devcluster",
            "context": { "cluster": "devcluster", "user": user, "namespace": namespace },
        }],
        "current-context": "devcluster",
    });
    serde_saphyr::to_string(&config).map_err(|error| Error::Yaml {
        what: "the kubeconfig".into(),
        reason: error.to_string(),
    })
}

/// The client configuration of a kubeconfig's current context.
pub(crate) async fn config(kubeconfig: Kubeconfig) -> Result<Config, Error> {
    let loopback = kubeconfig
        .clusters
        .iter()
        .filter_map(|named| named.cluster.as_ref()?.server.as_deref())
        .all(|url| {
            url.parse::<http::Uri>().is_ok_and(|uri| {
                uri.host()
                    .is_some_and(|host| host == "127.0.0.1" || host == "localhost")
            })
        });
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    if loopback {
        // HTTPS_PROXY is for the world outside this machine.
        config.proxy_url = None;
    }
    Ok(config)
}

/// A new client. Each runtime needs its own: a client's worker task dies with the runtime that made it.
pub(crate) fn client(config: &Config) -> Result<Client, Error> {
    // An error says that a provider is installed already, which is all that is needed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(Client::try_from(config.clone())?)
}
