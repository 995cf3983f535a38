//! What an object and its Secret are at one moment, to be compared with a later one.

use std::time::Duration;

use external_cloud_secrets::api::condition;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::Value;

use super::scene::Scene;
use super::wait::{SOON, until};

/// When an interval is to end long after the test.
pub const NEVER: &str = "8000h";

impl Scene<'_> {
    /// Applies objects, all at once.
    pub async fn apply_all(&self, objects: &[Value]) {
        let applied = futures::future::join_all(objects.iter().map(|o| self.apply(o))).await;
        for result in applied {
            result.unwrap();
        }
    }

    /// Waits until an object is Ready and Fresh.
    pub async fn wait_settled(&self, name: &str) {
        self.wait_condition(name, "Ready", "True", "SecretReady")
            .await;
        self.wait_condition(name, "Fresh", "True", "Refreshed")
            .await;
    }

    /// The Secret as the API server shows it, byte for byte, its resourceVersion included.
    pub async fn secret_as_it_is(&self, name: &str) -> Secret {
        let mut secret = self.secret(name).await.unwrap();
        secret.metadata.managed_fields = None;
        secret
    }

    /// The object's resourceVersion, which every write of its status moves.
    pub async fn version(&self, name: &str) -> String {
        let object = self.objects().get(name).await.unwrap();
        object.resource_version().unwrap()
    }

    /// A condition as it is now.
    pub async fn condition(&self, name: &str, type_: &str) -> Condition {
        let object = self.objects().get(name).await.unwrap();
        let conditions = object.status.unwrap_or_default().conditions;
        condition::find_condition(&conditions, type_)
            .unwrap_or_else(|| panic!("{name} has no condition {type_}"))
            .clone()
    }

    /// Waits until the request `refresh` was handled.
    pub async fn wait_handled(&self, name: &str, request: &str) {
        until(&format!("{name}: request {request}"), SOON, async || {
            let status = self.objects().get(name).await.unwrap().status;
            match status.unwrap_or_default().last_handled_refresh {
                Some(handled) if handled == request => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }

    /// Changes a Secret by hand, with a JSON merge patch.
    pub async fn edit_secret(&self, name: &str, patch: &Value) {
        let params = PatchParams::default();
        self.secrets()
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// Sees to it that a Secret stays as it is for some time.
    pub async fn stays(&self, before: &Secret, time: Duration) {
        tokio::time::sleep(time).await;
        let name = before.name_any();
        assert_eq!(&self.secret_as_it_is(&name).await, before);
    }
}

/// An annotation under the operator's own domain.
pub fn annotation(secret: &Secret, name: &str) -> String {
    secret.annotations()[&format!("cloudsecrets.dev/{name}")].clone()
}

/// The data as text.
pub fn texts(secret: &Secret) -> Vec<(String, String)> {
    let data = secret.data.clone().unwrap_or_default();
    data.into_iter()
        .map(|(key, value)| (key, String::from_utf8(value.0).unwrap()))
        .collect()
}
