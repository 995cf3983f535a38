//! What can be done from outside to trust, policies and the metadata service.

use crate::account::role_arn;
use crate::cloud::{Cloud, CloudError};
use crate::seed::{AttachedPolicy, CredentialsUri, Metadata, RoleTrust};

// === impl Cloud ===

impl Cloud {
    /// Replaces who may assume a role by `AssumeRole`. Returns the role's ARN.
    pub(crate) fn put_trust(
        &self,
        account: Option<&str>,
        trust: &RoleTrust,
    ) -> Result<String, CloudError> {
        let policy = trust.policy()?;
        let arn = role_arn(&self.account(account)?, &trust.role);
        self.registry.write().put_trust(&arn, policy);
        Ok(arn)
    }

    pub(crate) fn delete_trust(&self, account: Option<&str>, role: &str) -> Result<(), CloudError> {
        let arn = self.role_arn(account, role)?;
        self.registry
            .write()
            .delete_trust(&arn)
            .then_some(())
            .ok_or(CloudError::NotFound("trust"))
    }

    /// Attaches a policy document to a user or a role, in the place of the one before.
    pub(crate) fn put_policy(
        &self,
        account: Option<&str>,
        attached: &AttachedPolicy,
    ) -> Result<(), CloudError> {
        let policy = attached.policy()?;
        let arn = format!("acs:ram::{}:{}", self.account(account)?, attached.principal);
        self.registry.write().put_policy(&arn, policy);
        Ok(())
    }

    pub(crate) fn delete_policy(
        &self,
        account: Option<&str>,
        principal: &str,
    ) -> Result<(), CloudError> {
        let arn = format!("acs:ram::{}:{principal}", self.account(account)?);
        self.registry
            .write()
            .delete_policy(&arn)
            .then_some(())
            .ok_or(CloudError::NotFound("policy"))
    }

    /// Replaces the metadata service, or ends it.
    pub(crate) fn set_metadata(&self, metadata: Option<Metadata>) {
        self.host.write().metadata = metadata;
    }

    /// Replaces the credentials URI, or ends it.
    pub(crate) fn set_credentials_uri(&self, uri: Option<CredentialsUri>) {
        self.host.write().uri = uri;
    }
}
