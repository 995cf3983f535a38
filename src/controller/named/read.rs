//! One request about an object that somebody names: its metadata alone, or all of it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::Content;
use crate::controller::dependency::{Named, NamedKind};
use crate::secret_bytes::SecretBytes;

/// The metadata of `named`, or nothing if there is no such object.
///
/// # Errors
/// The API server's.
pub(super) async fn metadata(client: &Client, named: &Named) -> kube::Result<Option<ObjectMeta>> {
    match named.kind {
        NamedKind::Secret => metadata_of::<Secret>(client, named).await,
        NamedKind::ConfigMap => metadata_of::<ConfigMap>(client, named).await,
        NamedKind::ServiceAccount => metadata_of::<ServiceAccount>(client, named).await,
    }
}

async fn metadata_of<K>(client: &Client, named: &Named) -> kube::Result<Option<ObjectMeta>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let found = api::<K>(client, named)
        .get_metadata_opt(&named.name)
        .await?;
    Ok(found.map(|found| found.metadata))
}

/// The metadata of `named` and what it holds, or nothing if there is no such object. A
/// `ServiceAccount` holds nothing.
///
/// # Errors
/// The API server's.
pub(super) async fn whole(
    client: &Client,
    named: &Named,
) -> kube::Result<Option<(ObjectMeta, Content)>> {
    let found = match named.kind {
        NamedKind::Secret => {
            let found = api::<Secret>(client, named).get_opt(&named.name).await?;
            found.map(|secret| (secret.metadata, values(secret.data)))
        }
        NamedKind::ConfigMap => {
            let found = api::<ConfigMap>(client, named).get_opt(&named.name).await?;
            found.map(|map| {
                let mut content = values(map.binary_data);
                let texts = map.data.unwrap_or_default().into_iter();
                content.extend(texts.map(|(key, text)| (key, SecretBytes::from(text))));
                (map.metadata, content)
            })
        }
        NamedKind::ServiceAccount => metadata(client, named)
            .await?
            .map(|meta| (meta, BTreeMap::new())),
    };
    Ok(found.map(|(meta, content)| (meta, Arc::new(content))))
}

fn values(data: Option<BTreeMap<String, ByteString>>) -> BTreeMap<String, SecretBytes> {
    let data = data.unwrap_or_default().into_iter();
    data.map(|(key, value)| (key, SecretBytes::new(value.0)))
        .collect()
}

fn api<K>(client: &Client, named: &Named) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    Api::namespaced(client.clone(), &named.namespace)
}
