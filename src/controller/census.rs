//! Counts the objects in the caches by condition, for metrics.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use kube::core::DeserializeGuard;
use kube_runtime::reflector::Store;

use crate::api::{CloudSecretStore, ClusterCloudSecretStore, ExternalCloudSecret};
use crate::metrics::{Census, Counts};

/// A kind whose objects have conditions.
pub trait Conditioned {
    /// The kind's name.
    const KIND: &'static str;
    /// The conditions in the object's status.
    fn conditions(&self) -> &[Condition];
}

/// One kind's cache.
pub struct Cache<K: kube::Resource<DynamicType = ()> + 'static>(pub Store<DeserializeGuard<K>>);

impl Conditioned for ExternalCloudSecret {
    const KIND: &'static str = "ExternalCloudSecret";
    fn conditions(&self) -> &[Condition] {
        self.status
            .as_ref()
            .map_or(&[], |status| &status.conditions)
    }
}

impl Conditioned for CloudSecretStore {
    const KIND: &'static str = "CloudSecretStore";
    fn conditions(&self) -> &[Condition] {
        self.status
            .as_ref()
            .map_or(&[], |status| &status.conditions)
    }
}

impl Conditioned for ClusterCloudSecretStore {
    const KIND: &'static str = "ClusterCloudSecretStore";
    fn conditions(&self) -> &[Condition] {
        self.status
            .as_ref()
            .map_or(&[], |status| &status.conditions)
    }
}

impl<K> Census for Cache<K>
where
    K: Conditioned + kube::Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    fn count(&self, counts: &mut Counts<'_>) {
        for object in self.0.state() {
            let Ok(object) = &object.0 else {
                counts.undecodable(K::KIND);
                continue;
            };
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            for condition in object.conditions() {
                let (type_, status) = (&condition.type_, &condition.status);
                counts.condition(
                    K::KIND,
                    (&namespace, &name),
                    type_,
                    status,
                    &condition.reason,
                );
            }
        }
    }
}
