//! What a test can do to the Tencent Cloud of its simulator.

use jiff::SignedDuration;

use crate::cloud::{Cloud, CloudError};
use crate::simulator::Simulator;
use crate::tencent::{
    At, Metadata, OidcProvider, Role, Secret, SecretInfo, SecretState, Settings, User, Version,
};

/// The Tencent Cloud of a running simulator. Without `_in` its operations are about the first account and the
/// seed's region.
#[derive(Debug, Clone, Copy)]
pub struct Tencent<'a> {
    cloud: &'a Cloud,
}

// === impl Simulator ===

impl Simulator {
    /// What can be done to Tencent Cloud.
    pub fn tencent(&self) -> Tencent<'_> {
        Tencent { cloud: &self.cloud }
    }
}

// === impl Tencent ===

impl Tencent<'_> {
    /// Adds or replaces a secret of the first account, with all its versions, in the region that it names.
    pub fn put_secret(&self, secret: Secret) -> Result<(), CloudError> {
        let now = self.cloud.now();
        self.cloud.tencent.put_secret(None, secret, now)
    }

    /// Adds or replaces a secret of any account.
    pub fn put_secret_in(&self, account: &str, secret: Secret) -> Result<(), CloudError> {
        let now = self.cloud.now();
        self.cloud.tencent.put_secret(Some(account), secret, now)
    }

    /// Deletes a secret at once, whatever its state.
    pub fn delete_secret(&self, name: &str) -> Result<(), CloudError> {
        self.cloud.tencent.delete_secret(&At::name(name))
    }

    /// Adds a version, or replaces in place the data of the one of its id.
    pub fn put_version(&self, name: &str, version: &Version) -> Result<(), CloudError> {
        let now = self.cloud.now();
        self.cloud
            .tencent
            .put_version(&At::name(name), version, now)
    }

    /// Deletes a version.
    pub fn delete_version(&self, name: &str, id: &str) -> Result<(), CloudError> {
        let now = self.cloud.now();
        self.cloud.tencent.delete_version(&At::name(name), id, now)
    }

    /// Makes another text `SSM_Current`, as a rotation does; what was current gets an opaque id.
    pub fn rotate(&self, name: &str, text: &str) -> Result<(), CloudError> {
        let now = self.cloud.now();
        self.cloud.tencent.rotate(&At::name(name), text, now)
    }

    /// Changes a secret's state; one that is pending deletion will be gone in a week.
    pub fn set_secret_state(&self, name: &str, state: SecretState) -> Result<(), CloudError> {
        let now = self.cloud.now();
        self.cloud
            .tencent
            .set_secret_state(&At::name(name), state, now)
    }

    /// All secrets, without data.
    pub fn secrets(&self) -> Vec<SecretInfo> {
        self.cloud.tencent.list_secrets(self.cloud.now())
    }

    /// Adds or replaces a long-lived key: of a user (a UIN) of the first account, or of the account itself.
    /// `Simulator::revoke_key` revokes it, as it does temporary ones.
    pub fn put_key(&self, user: Option<&str>, id: &str, secret: &str) -> Result<(), CloudError> {
        self.cloud.tencent.put_key(None, user, id, secret)
    }

    /// Adds or replaces a user of the first account and what it may do, and adds its keys.
    pub fn put_user(&self, user: &User) -> Result<(), CloudError> {
        self.cloud.tencent.put_user(None, user)
    }

    /// Adds or replaces a role of the first account; returns its ARN. Living sessions get the new rules.
    pub fn put_role(&self, role: &Role) -> Result<String, CloudError> {
        self.cloud.tencent.put_role(None, role)
    }

    /// Adds or replaces a role of any account; returns its ARN.
    pub fn put_role_in(&self, account: &str, role: &Role) -> Result<String, CloudError> {
        self.cloud.tencent.put_role(Some(account), role)
    }

    /// Deletes a role (ARN by name, or name in the first account). Its sessions may then do nothing.
    pub fn delete_role(&self, role: &str) -> Result<(), CloudError> {
        self.cloud.tencent.delete_role(None, role)
    }

    /// Revokes all living sessions of a role (ARN by name, or name in the first account); returns how many.
    pub fn revoke_sessions(&self, role: &str) -> Result<usize, CloudError> {
        self.cloud.tencent.revoke_sessions(None, role)
    }

    /// Adds or replaces an OIDC provider of the first account; returns its ARN.
    pub fn put_oidc_provider(&self, provider: OidcProvider) -> Result<String, CloudError> {
        self.cloud.key_sets.forget(&provider.issuer);
        self.cloud.tencent.put_provider(None, provider)
    }

    /// Deletes an OIDC provider of the first account.
    pub fn delete_oidc_provider(&self, name: &str) -> Result<(), CloudError> {
        self.cloud.tencent.delete_provider(None, name)
    }

    /// Quotas, and how the service behaves as a whole.
    pub fn settings(&self) -> Settings {
        self.cloud.tencent.settings.read().clone()
    }

    /// Changes quotas, and how the service behaves as a whole.
    pub fn set_settings(&self, settings: Settings) {
        *self.cloud.tencent.settings.write() = settings;
    }

    /// Replaces the metadata service of the CVM instance, or ends it. It is at `Simulator::url`.
    pub fn set_metadata(&self, metadata: Option<Metadata>) {
        *self.cloud.tencent.metadata.write() = metadata;
    }

    /// Sets how far the cloud's clock is ahead of the machine's, or behind it if negative.
    pub fn set_clock_offset(&self, ahead: SignedDuration) {
        *self.cloud.tencent.offset.write() = ahead;
    }
}
