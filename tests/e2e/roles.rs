//! Roles of a scene: who may enter them, and what they may do then.

use cloudsim::{Role, RoleTrust};
use serde_json::{Value, json};

use super::scene::Scene;
use super::world::{ACCOUNT, PROVIDER, World};

impl Scene<'_> {
    /// Makes the role `NAMESPACE-name`, trusted by ServiceAccounts, that may read `resources`.
    pub fn role(&self, name: &str, accounts: &[&str], resources: &[&str]) {
        self.role_by(PROVIDER, name, accounts, resources);
    }

    /// The same, trusted by tokens of another provider.
    pub fn role_by(&self, provider: &str, name: &str, accounts: &[&str], resources: &[&str]) {
        let subject = |name: &&str| format!("system:serviceaccount:{}:{name}", self.namespace);
        self.put_role(json!({
            "name": format!("{}-{name}", self.namespace),
            "max_session_duration": "PT1H",
            "trust": [{
                "provider": provider,
                "subjects": accounts.iter().map(subject).collect::<Vec<_>>(),
                "audiences": ["sts.aliyuncs.com"],
            }],
            "rules": [{
                "actions": ["oos:GetSecretParameter", "oos:GetSecretParameters",
                    "kms:GetSecretValue", "kms:BatchGetSecretValue", "kms:Decrypt"],
                "resources": resources,
            }],
        }));
    }

    /// Makes a role as a seed says it.
    pub fn put_role(&self, role: Value) {
        let role: Role = serde_json::from_value(role).unwrap();
        self.cloud.put_role(role).unwrap();
    }

    /// The ARN of the role `NAMESPACE-name`.
    pub fn role_arn(&self, name: &str) -> String {
        format!("acs:ram::{ACCOUNT}:role/{}-{name}", self.namespace)
    }

    /// Revokes what was issued for the role `NAMESPACE-name`, so that it is entered anew.
    pub fn revoke(&self, role: &str) {
        let role = format!("{}-{role}", self.namespace);
        self.cloud.revoke_sessions(&role).unwrap();
    }

    /// `spec.auth` of a store that reads as the role `NAMESPACE-name` through the ServiceAccount
    /// `name`.
    pub fn rrsa(&self, name: &str) -> Value {
        self.rrsa_as(name, name)
    }

    /// The same through another ServiceAccount.
    pub fn rrsa_as(&self, role: &str, account: &str) -> Value {
        json!({
            "rrsa": {
                "roleArn": self.role_arn(role),
                "oidcProviderArn": format!("acs:ram::{ACCOUNT}:oidc-provider/{PROVIDER}"),
                "serviceAccountRef": { "name": account },
            },
            "stsEndpoint": self.cloud.url(),
        })
    }

    /// Makes the role `NAMESPACE-name` that no token stands for, and that may do `action` with
    /// everything.
    pub fn tokenless_role(&self, name: &str, action: &str) {
        let rule = json!({ "actions": [action], "resources": ["*"] });
        self.put_role(json!({ "name": format!("{}-{name}", self.namespace), "rules": [rule] }));
    }

    /// Makes the role `NAMESPACE-name` of a ServiceAccount `name` that may enter roles and read
    /// nothing.
    pub async fn entrant(&self, name: &str) {
        self.service_account(name).await;
        let subject = format!("system:serviceaccount:{}:{name}", self.namespace);
        self.put_role(json!({
            "name": format!("{}-{name}", self.namespace),
            "trust": [{ "provider": PROVIDER, "subjects": [subject],
                "audiences": ["sts.aliyuncs.com"] }],
            "rules": [{ "actions": ["sts:AssumeRole"], "resources": ["*"] }],
        }));
    }

    /// Lets whoever is named enter the role `NAMESPACE-role` with an external id, and nobody else.
    pub fn trust(&self, role: &str, principal: &str, external_id: &str) {
        let trust = json!({
            "role": format!("{}-{role}", self.namespace),
            "statements": [{ "principals": [principal], "external_ids": [external_id] }],
        });
        let trust: RoleTrust = serde_json::from_value(trust).unwrap();
        self.cloud.put_trust(&trust).unwrap();
    }

    /// `auth`, entering the role `NAMESPACE-role`.
    pub fn entering(&self, mut auth: Value, role: &str, external_id: &str) -> Value {
        auth["assumeRole"] = json!({ "roleArn": self.role_arn(role), "externalId": external_id });
        auth
    }

    /// A scene whose role `entrant` may enter `target`, which may read, but may not read itself.
    pub async fn entered(self) -> Self {
        self.entrant("entrant").await;
        self.tokenless_role("target", "*");
        self.trust("target", &self.role_arn("entrant"), "ext-1");
        self
    }
}

/// A scene of OOS whose parameter `db` is read by a role that is entered, as [`Scene::entered`].
pub async fn entered<'w>(world: &'w World, prefix: &str) -> Scene<'w> {
    let scene = Scene::new(world, prefix).await.entered().await;
    scene.put("db", &format!("canary-{prefix}"));
    scene
}
