//! The step in which values change in the clouds: a parameter of OOS, an account that KMS rotates, and a
//! version that is added to a secret of SSM.

use std::time::Duration;

use cloudsim::tencent::Version;
use external_cloud_secrets::api::ExternalCloudSecret;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::json;

use crate::failure::{Failure, Result};
use crate::scene::{
    ACCOUNT, BOOKS, LEDGER, NAMESPACE, OBJECT, PAY, SECRET, SOON, Scene, annotation, password,
    stamp, value_of,
};
use crate::tell::{duration, text};
use crate::wait::seen;

/// The secret of KMS behind the example, an account of a database.
const REMOTE_ACCOUNT: &str = "pay/rds/orders";
/// The secret of SSM behind the example of two clouds, whose versions people name.
const REMOTE_KEY: &str = "ledger-signing-key";

// === impl Scene ===

impl Scene {
    /// A parameter gets a new version.
    pub async fn rotate_parameter(&self) -> Result<()> {
        let before = self.secret().await?;
        let value = format!("demo-password-{}", stamp());
        let version = self
            .cloud
            .put_parameter("/shop/db/password", &value)
            .await?;
        text(&format!(
            "/shop/db/password has version {version} now. The object says refreshInterval: 10m, so the change arrives at"
        ));
        text("its next slot, within ten minutes. Who cannot wait annotates the object:");

        let changed = |secret: Option<&Secret>| {
            secret.is_some_and(|secret| password(secret) == Some(value.as_bytes()))
        };
        let took = self.asked((NAMESPACE, OBJECT, SECRET), changed).await?;
        text(&format!(
            "\nThe Secret held the new value {} after the annotation.",
            duration(took)
        ));
        let after = self.secret().await?;
        let mut keys: Vec<&String> = after.data.iter().flatten().map(|(key, _)| key).collect();
        keys.retain(|key| value_of(&before, key) != value_of(&after, key));
        text(&format!(
            "Changed keys: {keys:?}. The other key is as it was."
        ));
        Ok(())
    }

    /// KMS rotates the account: its password is another, and the one before can still be read.
    pub async fn rotate_account(&self) -> Result<()> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), PAY);
        let before = secrets.get(ACCOUNT).await?;
        let old = password(&before)
            .ok_or_else(|| Failure("the account has no password".into()))?
            .to_vec();
        let new = format!("demo-orders-{}", stamp());
        let data = json!({ "AccountName": "orders", "AccountPassword": new }).to_string();
        self.cloud.rotate_secret(REMOTE_ACCOUNT, &data).await?;
        text(&format!(
            "\nKMS rotates the database account {REMOTE_ACCOUNT} too: its new password has the stage ACSCurrent, and the one"
        ));
        text("before it ACSPrevious. The object reads both, so that neither side has to be first:");

        let changed = |secret: Option<&Secret>| {
            secret.is_some_and(|secret| {
                password(secret) == Some(new.as_bytes())
                    && value_of(secret, "previous-password") == Some(&old)
            })
        };
        let took = self.asked((PAY, ACCOUNT, ACCOUNT), changed).await?;
        text(&format!(
            "\nThe Secret {PAY}/{ACCOUNT} held the new password {} after the annotation, and the old one beside it.",
            duration(took)
        ));
        Ok(())
    }

    /// Somebody adds a version to a secret of Tencent Cloud: it is the newest, and therefore read.
    pub async fn add_version(&self) -> Result<()> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), LEDGER);
        let before = secrets.get(BOOKS).await?;
        let value = format!("demo-ledger-key-{}", stamp());
        let version = Version::text("2026-02", &value);
        self.cloud
            .tencent()
            .put_version(REMOTE_KEY, &version)
            .await?;
        text(&format!(
            "\n{REMOTE_KEY} of Tencent Cloud gets a version 2026-02. No label moves to the newest there, so the operator looks"
        ));
        text("for it before each read:");
        let changed = |secret: Option<&Secret>| {
            secret.is_some_and(|secret| value_of(secret, "signing-key") == Some(value.as_bytes()))
        };
        let took = self.asked((LEDGER, BOOKS, BOOKS), changed).await?;
        let after = secrets.get(BOOKS).await?;
        let others = ["password", "webhook-token", "currency"];
        let same = others
            .iter()
            .all(|key| value_of(&before, key) == value_of(&after, key));
        if !same {
            return Err(Failure(
                "what did not change in the clouds changed here".into(),
            ));
        }
        text(&format!(
            "\nThe Secret {LEDGER}/{BOOKS} held its value {} after the annotation; what is of Alibaba Cloud beside it is as it was.",
            duration(took)
        ));
        Ok(())
    }

    /// Asks for a refresh of an object, waits until its Secret has changed, and says how long that took.
    async fn asked(
        &self,
        (namespace, object, secret): (&str, &str, &str),
        changed: impl Fn(Option<&Secret>) -> bool,
    ) -> Result<Duration> {
        let request = stamp();
        let is_asked = |object: Option<&ExternalCloudSecret>| annotation(object) == Some(&request);
        let objects = Api::namespaced(self.client.clone(), namespace);
        let secrets = Api::namespaced(self.client.clone(), namespace);
        let (asked, changed, shown) = tokio::join!(
            seen("the annotation", SOON, objects, object, is_asked),
            seen("the new value", SOON, secrets, secret, changed),
            self.ask(namespace, object, &request),
        );
        shown?;
        let took = changed?.saturating_duration_since(asked?);
        self.wait_fresh(namespace, object).await?;
        Ok(took)
    }
}
