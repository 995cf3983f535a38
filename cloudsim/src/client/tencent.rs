//! The client's part about Tencent Cloud.

use jiff::SignedDuration;
use serde_json::json;

use crate::admin::AccessKeySpec;
use crate::admin::tencent::{Ahead, Changed, DeletedVersion, OneVersion, Rotated};
use crate::client::{Admin, AdminError, arn, list};
use crate::tencent::{
    At, Metadata, OidcProvider, Role, Secret, SecretInfo, SecretState, Settings, User, Version,
};

/// The Tencent Cloud of a simulator in another process. Its operations are about the first account and the seed's
/// region, as those of [`simulator::Tencent`](crate::simulator::Tencent) are.
#[derive(Debug, Clone, Copy)]
pub struct TencentAdmin<'a> {
    admin: &'a Admin,
}

// === impl Admin ===

impl Admin {
    /// What can be done to Tencent Cloud.
    pub fn tencent(&self) -> TencentAdmin<'_> {
        TencentAdmin { admin: self }
    }
}

// === impl TencentAdmin ===

impl TencentAdmin<'_> {
    async fn post(&self, path: &str, body: &impl serde::Serialize) -> Result<(), AdminError> {
        let path = format!("tencent/{path}");
        self.admin.post(&path, body).await.map(drop)
    }

    async fn delete(&self, path: &str, query: &impl serde::Serialize) -> Result<(), AdminError> {
        let path = format!("tencent/{path}");
        self.admin.delete(&path, query).await
    }

    /// Adds or replaces a secret, with all its versions, in the region that it names.
    pub async fn put_secret(&self, secret: &Secret) -> Result<(), AdminError> {
        self.post("secrets", secret).await
    }

    /// Deletes a secret at once, whatever its state.
    pub async fn delete_secret(&self, name: &str) -> Result<(), AdminError> {
        self.delete("secrets", &At::name(name)).await
    }

    /// Adds a version, or replaces in place the data of the one of its id.
    pub async fn put_version(&self, name: &str, version: &Version) -> Result<(), AdminError> {
        let version = version.clone();
        let one = OneVersion {
            at: At::name(name),
            version,
        };
        self.post("secrets/versions", &one).await
    }

    /// Deletes a version.
    pub async fn delete_version(&self, name: &str, id: &str) -> Result<(), AdminError> {
        let one = DeletedVersion {
            at: At::name(name),
            id: id.to_owned(),
        };
        self.post("secrets/versions/delete", &one).await
    }

    /// Makes another text `SSM_Current`, as a rotation does; what was current gets an opaque id.
    pub async fn rotate(&self, name: &str, text: &str) -> Result<(), AdminError> {
        let one = Rotated {
            at: At::name(name),
            text: text.into(),
        };
        self.post("secrets/rotate", &one).await
    }

    /// Changes a secret's state; one that is pending deletion will be gone in a week.
    pub async fn set_secret_state(&self, name: &str, state: SecretState) -> Result<(), AdminError> {
        let one = Changed {
            at: At::name(name),
            state,
        };
        self.post("secrets/state", &one).await
    }

    /// All secrets, without data.
    pub async fn secrets(&self) -> Result<Vec<SecretInfo>, AdminError> {
        let answer = self.admin.get("tencent/secrets").await?;
        Ok(list(answer, "secrets"))
    }

    /// Adds or replaces a long-lived key; its user is a UIN.
    pub async fn put_key(&self, spec: &AccessKeySpec) -> Result<(), AdminError> {
        self.post("keys", spec).await
    }

    /// Adds or replaces a user and what it may do, and adds its keys.
    pub async fn put_user(&self, user: &User) -> Result<(), AdminError> {
        self.post("users", user).await
    }

    /// Adds or replaces a role; returns its ARN.
    pub async fn put_role(&self, role: &Role) -> Result<String, AdminError> {
        Ok(arn(&self.admin.post("tencent/roles", role).await?))
    }

    /// Deletes a role, given by ARN or by name.
    pub async fn delete_role(&self, role: &str) -> Result<(), AdminError> {
        self.delete("roles", &At::name(role)).await
    }

    /// Revokes all living sessions of a role; returns how many.
    pub async fn revoke_sessions(&self, role: &str) -> Result<u64, AdminError> {
        let path = "tencent/sessions/revoke";
        let answer = self.admin.post(path, &json!({ "role": role })).await?;
        Ok(answer["revoked"].as_u64().unwrap_or_default())
    }

    /// Adds or replaces an OIDC provider; returns its ARN.
    pub async fn put_oidc_provider(&self, provider: &OidcProvider) -> Result<String, AdminError> {
        let path = "tencent/oidc-providers";
        Ok(arn(&self.admin.post(path, provider).await?))
    }

    /// Deletes an OIDC provider.
    pub async fn delete_oidc_provider(&self, name: &str) -> Result<(), AdminError> {
        self.delete("oidc-providers", &At::name(name)).await
    }

    /// Changes quotas, and how the service behaves as a whole.
    pub async fn set_settings(&self, settings: &Settings) -> Result<(), AdminError> {
        self.post("settings", settings).await
    }

    /// Replaces the metadata service of the CVM instance, or ends it.
    pub async fn set_metadata(&self, metadata: Option<&Metadata>) -> Result<(), AdminError> {
        match metadata {
            Some(metadata) => self.post("metadata", metadata).await,
            None => self.delete("metadata", &()).await,
        }
    }

    /// Sets how far the cloud's clock is ahead of the machine's, or behind it if negative.
    pub async fn set_clock_offset(&self, ahead: SignedDuration) -> Result<(), AdminError> {
        let seconds = ahead.as_secs();
        self.post("clock", &Ahead { seconds }).await
    }
}
