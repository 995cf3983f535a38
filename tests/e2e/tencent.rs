//! Tencent Cloud in a scene: stores of SSM, roles and secrets of its own.

use cloudsim::tencent::{Role, Secret};
use cloudsim::{Filter, SimulatedTencent};
use serde_json::{Value, json};

use super::scene::Scene;
use super::world::{TKE_CLUSTER, UIN};

impl Scene<'_> {
    /// The Tencent Cloud that the scene's stores read.
    pub fn tencent(&self) -> SimulatedTencent<'_> {
        self.cloud.tencent()
    }

    /// The name of a secret of this scene: its names hold no folders.
    pub fn cam_key(&self, name: &str) -> String {
        format!("{}-{name}", self.namespace)
    }

    /// Makes a secret of SSM that is read by its name alone.
    pub fn put_cam_secret(&self, name: &str, value: &str) {
        let secret = Secret {
            name: self.cam_key(name),
            value: Some(value.into()),
            ..Secret::default()
        };
        self.tencent().put_secret(secret).unwrap();
    }

    /// A namespaced store of SSM.
    pub fn cam_store(&self, name: &str, auth: Value) -> Value {
        json!({
            "apiVersion": "cloudsecrets.dev/v1alpha1",
            "kind": "CloudSecretStore",
            "metadata": { "name": name, "namespace": self.namespace },
            "spec": {
                "provider": { "ssm": { "region": "ap-guangzhou", "endpoint": self.cloud.url() } },
                "auth": auth,
            },
        })
    }

    /// An object `name` that reads the secret `db` of SSM through a store `name` of its own.
    pub async fn through_cam(&self, name: &str, auth: Value) {
        self.apply(&self.cam_store(name, auth)).await.unwrap();
        let keys = [("password", &*self.cam_key("db"))];
        let mut object = self.reading(name, ("CloudSecretStore", name), &keys);
        object["spec"]["data"][0]["remoteRef"]["version"] = "SSM_Current".into();
        self.apply(&object).await.unwrap();
    }

    /// The ARN of the CAM role `NAMESPACE-name`.
    pub fn cam_role_arn(&self, name: &str) -> String {
        let namespace = &self.namespace;
        format!("qcs::cam::uin/{UIN}:roleName/{namespace}-{name}")
    }

    /// A CAM role `NAMESPACE-name`, which nobody may enter and which may do nothing.
    pub fn cam_role(&self, name: &str) -> Role {
        Role::new(&format!("{}-{name}", self.namespace))
    }

    /// Makes the CAM role `NAMESPACE-name` that trusts a ServiceAccount and may read all.
    pub fn cam_reader(&self, name: &str, account: &str) {
        let subject = format!("system:serviceaccount:{}:{account}", self.namespace);
        let role = self.cam_role(name).trusting(TKE_CLUSTER, &subject);
        let role = role.may(&["ssm:GetSecretValue"], &["*"]);
        self.tencent().put_role(&role).unwrap();
    }

    /// `spec.auth` of a store that reads as the CAM role `NAMESPACE-role` through a ServiceAccount.
    pub fn web_identity(&self, role: &str, account: &str) -> Value {
        json!({
            "webIdentity": {
                "roleArn": self.cam_role_arn(role),
                "providerId": TKE_CLUSTER,
                "serviceAccountRef": { "name": account },
            },
            "stsEndpoint": self.cloud.url(),
        })
    }

    /// How often STS was called for the CAM role `NAMESPACE-role`, or by it.
    pub fn sts_calls(&self, action: &str, principal: &str) -> u64 {
        let filter = Filter {
            action: Some(action.to_owned()),
            ..Filter::service("tencent-sts").principal(principal)
        };
        self.cloud.ledger_of(&filter).total
    }
}
