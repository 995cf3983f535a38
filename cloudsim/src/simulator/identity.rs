//! What a test can do to trust, policies and the metadata service of its simulator.

use crate::cloud::CloudError;
use crate::metadata::URI_PATH;
use crate::seed::{AttachedPolicy, CredentialsUri, Metadata, RoleTrust};
use crate::simulator::Simulator;

// === impl Simulator ===

impl Simulator {
    /// Replaces who may assume a role of the first account by `AssumeRole`; returns the role's ARN.
    pub fn put_trust(&self, trust: &RoleTrust) -> Result<String, CloudError> {
        self.cloud.put_trust(None, trust)
    }

    /// Replaces who may assume a role of any account by `AssumeRole`; returns the role's ARN.
    pub fn put_trust_in(&self, account: &str, trust: &RoleTrust) -> Result<String, CloudError> {
        self.cloud.put_trust(Some(account), trust)
    }

    /// Ends all trust in who may assume a role (ARN, or name in the first account) by `AssumeRole`.
    pub fn delete_trust(&self, role: &str) -> Result<(), CloudError> {
        self.cloud.delete_trust(None, role)
    }

    /// Attaches a policy document to a user or role of the first account, in the place of the one before.
    pub fn put_policy(&self, attached: &AttachedPolicy) -> Result<(), CloudError> {
        self.cloud.put_policy(None, attached)
    }

    /// Detaches the policy document of `user/<name>` or `role/<name>` of the first account.
    pub fn delete_policy(&self, principal: &str) -> Result<(), CloudError> {
        self.cloud.delete_policy(None, principal)
    }

    /// Replaces the metadata service, or ends it. It is at [`Simulator::url`].
    pub fn set_metadata(&self, metadata: Option<Metadata>) {
        self.cloud.set_metadata(metadata);
    }

    /// Replaces the credentials URI, or ends it.
    pub fn set_credentials_uri(&self, uri: Option<CredentialsUri>) {
        self.cloud.set_credentials_uri(uri);
    }

    /// Where the credentials URI is.
    pub fn credentials_uri(&self) -> String {
        format!("{}{URI_PATH}", self.url())
    }
}
