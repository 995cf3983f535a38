//! The client's part about trust, policies and the metadata service.

use crate::client::{Admin, AdminError, arn};
use crate::seed::{AttachedPolicy, CredentialsUri, Metadata, RoleTrust};

// === impl Admin ===

impl Admin {
    /// Replaces who may assume a role of the first account by `AssumeRole`; returns the role's ARN.
    pub async fn put_trust(&self, trust: &RoleTrust) -> Result<String, AdminError> {
        Ok(arn(&self.post("trusts", trust).await?))
    }

    /// Ends all trust in who may assume a role by `AssumeRole`.
    pub async fn delete_trust(&self, role: &str) -> Result<(), AdminError> {
        self.delete("trusts", &[("name", role)]).await
    }

    /// Attaches a policy document to a user or role of the first account, in the place of the one before.
    pub async fn put_policy(&self, attached: &AttachedPolicy) -> Result<(), AdminError> {
        self.post("policies", attached).await.map(drop)
    }

    /// Detaches the policy document of `user/<name>` or `role/<name>`.
    pub async fn delete_policy(&self, principal: &str) -> Result<(), AdminError> {
        self.delete("policies", &[("name", principal)]).await
    }

    /// Replaces the metadata service, or ends it.
    pub async fn set_metadata(&self, metadata: Option<&Metadata>) -> Result<(), AdminError> {
        match metadata {
            Some(metadata) => self.post("metadata", metadata).await.map(drop),
            None => self.delete("metadata", &()).await,
        }
    }

    /// Replaces the credentials URI, or ends it.
    pub async fn set_credentials_uri(
        &self,
        uri: Option<&CredentialsUri>,
    ) -> Result<(), AdminError> {
        match uri {
            Some(uri) => self.post("credentials-uri", uri).await.map(drop),
            None => self.delete("credentials-uri", &()).await,
        }
    }
}
