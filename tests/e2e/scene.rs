//! One test's corner of a world: a namespace, a role for it, and a store.

use std::sync::Arc;
use std::time::Duration;

use cloudsim::Simulator;
use external_cloud_secrets::api::{ExternalCloudSecret, condition};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::cloud::Service;
use super::wait::{SOON, until};
use super::world::World;

/// A namespace with a ServiceAccount `reader`, whose role may read `/NAMESPACE/*` and use the keys
/// `NAMESPACE-*`, and a namespaced store that reads as it and has the name of its service.
pub struct Scene<'w> {
    pub world: &'w World,
    pub namespace: String,
    pub client: kube::Client,
    pub cloud: Arc<Simulator>,
    pub service: Service,
}

impl<'w> Scene<'w> {
    /// A new corner that reads OOS.
    pub async fn new(world: &'w World, prefix: &str) -> Self {
        Self::at(world, prefix, Service::Oos, Arc::clone(&world.cloud)).await
    }

    /// A new corner that reads KMS.
    pub async fn kms(world: &'w World, prefix: &str) -> Self {
        Self::at(world, prefix, Service::Kms, Arc::clone(&world.cloud)).await
    }

    /// A new corner that reads SSM.
    pub async fn ssm(world: &'w World, prefix: &str) -> Self {
        Self::at(world, prefix, Service::Ssm, Arc::clone(&world.cloud)).await
    }

    /// A new corner that reads a service of a cloud.
    pub async fn at(
        world: &'w World,
        prefix: &str,
        service: Service,
        cloud: Arc<Simulator>,
    ) -> Self {
        let namespace = world
            .cluster
            .namespace(prefix)
            .await
            .unwrap()
            .name()
            .to_owned();
        let client = world.cluster.client().unwrap();
        let scene = Self {
            world,
            namespace,
            client,
            cloud,
            service,
        };
        if service == Service::Ssm {
            scene.ssm_store().await;
            return scene;
        }
        scene.service_account("reader").await;
        let keys = format!("key/{}-*", scene.namespace);
        scene.role("reader", &["reader"], &[&scene.key("*"), &keys]);
        scene
            .apply(&scene.store(service.name(), scene.rrsa("reader")))
            .await
            .unwrap();
        scene
    }

    /// The same scene in another namespace.
    pub fn elsewhere(&self, namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            client: self.client.clone(),
            cloud: Arc::clone(&self.cloud),
            ..*self
        }
    }

    /// Makes a ServiceAccount whose tokens the operator may make.
    pub async fn service_account(&self, name: &str) {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.namespace);
        let metadata = ObjectMeta {
            name: Some(name.into()),
            ..ObjectMeta::default()
        };
        let account = ServiceAccount {
            metadata,
            ..ServiceAccount::default()
        };
        api.create(&PostParams::default(), &account).await.unwrap();
        self.world
            .account
            .grant_tokens(&self.namespace, &["reader", name])
            .await
            .unwrap();
    }

    /// An object whose entries are `(secretKey, key)`, refreshed every `interval`.
    pub fn object(&self, name: &str, interval: &str, entries: &[(&str, &str)]) -> Value {
        let entry = |(secret_key, key): &(&str, &str)| json!({ "secretKey": secret_key, "remoteRef": { "key": self.key(key) } });
        json!({
            "apiVersion": "cloudsecrets.dev/v1alpha1",
            "kind": "ExternalCloudSecret",
            "metadata": { "name": name, "namespace": self.namespace },
            "spec": {
                "secretStoreRef": { "name": self.service.name() },
                "refreshInterval": interval,
                "data": entries.iter().map(entry).collect::<Vec<_>>(),
            },
        })
    }

    /// Applies any object, server-side.
    pub async fn apply(&self, object: &Value) -> kube::Result<()> {
        let dynamic: kube::core::DynamicObject = serde_json::from_value(object.clone()).unwrap();
        let types = dynamic.types.clone().unwrap();
        let (group, version) = types
            .api_version
            .split_once('/')
            .unwrap_or(("", &types.api_version));
        let gvk = kube::core::GroupVersionKind::gvk(group, version, &types.kind);
        let resource = kube::core::ApiResource::from_gvk(&gvk);
        let api: Api<kube::core::DynamicObject> = match &dynamic.metadata.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let name = dynamic.metadata.name.clone().unwrap();
        let params = PatchParams::apply("test").force();
        api.patch(&name, &params, &Patch::Apply(object))
            .await
            .map(|_| ())
    }

    /// The API of objects.
    pub fn objects(&self) -> Api<ExternalCloudSecret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The API of Secrets.
    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Asks for a refresh, by a new value of the annotation.
    pub async fn refresh(&self, name: &str, request: &str) {
        let patch =
            json!({ "metadata": { "annotations": { "cloudsecrets.dev/refresh": request } } });
        let params = PatchParams::default();
        self.objects()
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// The Secret, if it exists.
    pub async fn secret(&self, name: &str) -> Option<Secret> {
        self.secrets().get_opt(name).await.unwrap()
    }

    /// One value of a Secret, if it exists.
    pub async fn value(&self, secret: &str, key: &str) -> Option<String> {
        let secret = self.secret(secret).await?;
        let bytes = secret.data?.remove(key)?.0;
        Some(String::from_utf8(bytes).unwrap())
    }

    /// Waits until a Secret holds `value` under `key`, and returns the Secret.
    pub async fn wait_value(&self, secret: &str, key: &str, value: &str) -> Secret {
        until(
            &format!("Secret {secret} with the value"),
            SOON,
            async || match self.value(secret, key).await {
                Some(found) if found == value => Ok(self.secret(secret).await.unwrap()),
                other => Err(format!("{other:?}; {:?}", self.conditions(secret).await)),
            },
        )
        .await
    }

    /// The object's conditions as `Type=Status/Reason: message`.
    pub async fn conditions(&self, name: &str) -> Vec<String> {
        let object = self.objects().get_opt(name).await.unwrap();
        let conditions = object
            .and_then(|object| object.status)
            .unwrap_or_default()
            .conditions;
        let line = |c: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
            format!("{}={}/{}: {}", c.type_, c.status, c.reason, c.message)
        };
        conditions.iter().map(line).collect()
    }

    /// Waits until a condition has this status and reason, and returns its message.
    pub async fn wait_condition(
        &self,
        name: &str,
        type_: &str,
        status: &str,
        reason: &str,
    ) -> String {
        self.wait_condition_for(SOON, name, type_, status, reason)
            .await
    }

    /// [`wait_condition`](Self::wait_condition) with a bound of its own.
    pub async fn wait_condition_for(
        &self,
        limit: Duration,
        name: &str,
        type_: &str,
        status: &str,
        reason: &str,
    ) -> String {
        let what = format!("{name}: {type_}={status}/{reason}");
        until(&what, limit, async || {
            let object = self.objects().get(name).await.unwrap();
            let generation = object.metadata.generation;
            let status_now = object.status.unwrap_or_default();
            let found = condition::find_condition(&status_now.conditions, type_);
            match found {
                Some(c)
                    if c.status == status
                        && c.reason == reason
                        && c.observed_generation == generation =>
                {
                    Ok(c.message.clone())
                }
                _ => Err(self.conditions(name).await),
            }
        })
        .await
    }

    /// Deletes an object.
    pub async fn delete(&self, name: &str) {
        self.objects()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }
}
