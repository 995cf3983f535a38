//! What is done once with a new or an existing cluster before anyone uses it.

use crate::error::Error;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The field manager of everything that devcluster writes.
pub(crate) const FIELD_MANAGER: &str = "devcluster";

const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for the namespace `default`, which the API server makes a moment after it says that it is ready.
pub(crate) async fn default_namespace(client: &Client) -> Result<(), Error> {
    let namespaces = Api::<Namespace>::all(client.clone());
    let started = Instant::now();
    while namespaces.get_opt("default").await?.is_none() {
        if started.elapsed() > PATIENCE {
            let last = "it does not exist".to_owned();
            return Err(Error::NotReady {
                what: "namespace default".into(),
                seconds: PATIENCE.as_secs(),
                last,
            });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Lets anyone read the issuer's discovery document and keys, as a managed cluster's cloud can.
pub(crate) async fn public_issuer(client: &Client) -> Result<(), Error> {
    let name = "devcluster:public-issuer-discovery";
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": { "name": name },
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "system:service-account-issuer-discovery",
        },
        "subjects": [{
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Group",
            "name": "system:unauthenticated",
        }],
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    Api::<ClusterRoleBinding>::all(client.clone())
        .patch(name, &params, &Patch::Apply(&binding))
        .await?;
    Ok(())
}

/// The service-account issuer of a cluster, from its own discovery document.
pub(crate) async fn issuer(client: &Client) -> Result<String, Error> {
    let text = get(client, "/.well-known/openid-configuration").await?;
    let document: Value = serde_json::from_str(&text).map_err(|error| not_a_document(&error))?;
    document["issuer"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| not_a_document(&"it has no issuer"))
}

/// A plain GET as the administrator.
pub(crate) async fn get(client: &Client, path: &str) -> Result<String, Error> {
    let request = http::Request::get(path)
        .body(Vec::new())
        .map_err(kube::Error::HttpError)?;
    Ok(client.request_text(request).await?)
}

/// The CA certificates of a client configuration, in PEM.
pub(crate) fn certificate_authority(config: &Config) -> Vec<u8> {
    let mut pem = String::new();
    for certificate in config.root_cert.iter().flatten() {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = STANDARD.encode(certificate);
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, remainder) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = remainder;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem.into_bytes()
}

fn not_a_document(reason: &dyn std::fmt::Display) -> Error {
    Error::Yaml {
        what: "the issuer's discovery document".into(),
        reason: reason.to_string(),
    }
}
