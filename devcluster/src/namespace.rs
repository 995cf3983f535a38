//! A namespace of one's own in a shared cluster.

use crate::cluster::Cluster;
use crate::error::Error;
use k8s_openapi::api::core::v1 as core;
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use std::fmt;

/// A namespace that nobody else uses. It stays until [`Namespace::delete`] or the end of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    name: String,
}

// === impl Namespace ===

impl Namespace {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts its deletion, which ends only in a cluster with controllers.
    pub async fn delete(&self, cluster: &Cluster) -> Result<(), Error> {
        Api::<core::Namespace>::all(cluster.client()?)
            .delete(&self.name, &DeleteParams::default())
            .await?;
        Ok(())
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl AsRef<str> for Namespace {
    fn as_ref(&self) -> &str {
        &self.name
    }
}

// === impl Cluster ===

impl Cluster {
    /// Creates a namespace whose name starts with `prefix` and is unique.
    pub async fn namespace(&self, prefix: &str) -> Result<Namespace, Error> {
        let namespace = core::Namespace {
            metadata: ObjectMeta {
                generate_name: Some(format!("{prefix}-")),
                ..ObjectMeta::default()
            },
            ..core::Namespace::default()
        };
        let created = Api::all(self.client()?)
            .create(&PostParams::default(), &namespace)
            .await?;
        Ok(Namespace {
            name: created.metadata.name.unwrap_or_default(),
        })
    }
}
