//! What runs, and how the steps of the story ask about it.

use std::time::Duration;

use cloudsim::Admin;
use external_cloud_secrets::api::{ExternalCloudSecret, condition, names};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, Client};

use crate::failure::Result;
use crate::kubectl::Kubectl;
use crate::wait::until;

/// The namespace of the first example.
pub const NAMESPACE: &str = "shop";
/// Its object.
pub const OBJECT: &str = "db";
/// And the Secret of that.
pub const SECRET: &str = "db-credentials";
/// The namespace of the example that reads KMS.
pub const PAY: &str = "pay";
/// Its object, and its Secret.
pub const ACCOUNT: &str = "database";
/// The namespace of the example that reads two clouds.
pub const LEDGER: &str = "ledger";
/// Its object, and its Secret.
pub const BOOKS: &str = "books";
/// How long anything may take that should happen at once.
pub const SOON: Duration = Duration::from_secs(30);

/// How long it may take until an outage is given up on, or noticed to be over.
const PATIENT: Duration = Duration::from_secs(90);

/// Everything that runs, once it runs.
pub struct Scene {
    pub client: Client,
    pub kubectl: Kubectl,
    pub cloud: Admin,
    pub cloud_url: String,
}

// === impl Scene ===

impl Scene {
    pub async fn ask(&self, namespace: &str, object: &str, request: &str) -> Result<()> {
        let arguments = format!(
            "-n {namespace} annotate xcs {object} --overwrite {}={request}",
            names::REFRESH_ANNOTATION
        );
        self.kubectl.show(&arguments).await
    }

    pub async fn wait_fresh(&self, namespace: &str, name: &str) -> Result<()> {
        let objects: Api<ExternalCloudSecret> = Api::namespaced(self.client.clone(), namespace);
        until(
            &format!("{namespace}/{name} to be ready and fresh"),
            SOON,
            async || {
                let object = objects.get(name).await.map_err(|error| error.to_string())?;
                let asked = annotation(Some(&object)).cloned();
                let status = object.status.unwrap_or_default();
                let conditions = &status.conditions;
                let handled = status.last_handled_refresh == asked;
                if handled
                    && [condition::READY, condition::FRESH]
                        .iter()
                        .all(|one| condition::is_true(conditions, one))
                {
                    return Ok(());
                }
                Err(describe(name, conditions))
            },
        )
        .await
    }

    /// Waits until a condition of the object has this status, and gives its reason and message.
    pub async fn wait_condition(&self, type_: &str, status: &str) -> Result<String> {
        until(&format!("{type_}={status}"), PATIENT, async || {
            let object = self
                .objects()
                .get(OBJECT)
                .await
                .map_err(|error| error.to_string())?;
            let conditions = object.status.unwrap_or_default().conditions;
            match condition::find_condition(&conditions, type_) {
                Some(found) if found.status == status => {
                    Ok(format!("{}: {}", found.reason, found.message))
                }
                _ => Err(describe(OBJECT, &conditions)),
            }
        })
        .await
    }

    pub async fn secret(&self) -> Result<Secret> {
        Ok(self.secrets().get(SECRET).await?)
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    pub fn objects(&self) -> Api<ExternalCloudSecret> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }
}

/// The last refresh that was asked for.
pub fn annotation(object: Option<&ExternalCloudSecret>) -> Option<&String> {
    object?
        .metadata
        .annotations
        .as_ref()?
        .get(names::REFRESH_ANNOTATION)
}

/// The value that the demo rotates.
pub fn password(secret: &Secret) -> Option<&[u8]> {
    value_of(secret, "password")
}

/// One value of a Secret.
pub fn value_of<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    Some(secret.data.as_ref()?.get(key)?.0.as_slice())
}

fn describe(name: &str, conditions: &[Condition]) -> String {
    let lines = conditions.iter().map(|one| {
        format!(
            "{}={}/{}: {}",
            one.type_, one.status, one.reason, one.message
        )
    });
    format!("{name}: {}", lines.collect::<Vec<_>>().join("; "))
}

/// A new text each time.
pub fn stamp() -> String {
    jiff::Timestamp::now().as_millisecond().to_string()
}
