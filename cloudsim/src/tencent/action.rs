//! The table of Tencent's actions: of which service each is, what it takes, and how many there may be in a second.

use crate::refusal::Refusal;
use crate::request::Request;
use crate::tencent::tc3::{ALGORITHM, Authorization};

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    GetSecretValue,
    DescribeSecret,
    ListSecretVersionIds,
    ListSecrets,
    GetSshKeyPairValue,
    CreateSecret,
    PutSecretValue,
    UpdateSecret,
    DeleteSecretVersion,
    DisableSecret,
    EnableSecret,
    RestoreSecret,
    DeleteSecret,
    GetServiceStatus,
    AssumeRoleWithWebIdentity,
    AssumeRole,
    GetCallerIdentity,
}

/// The services, each with its one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Ssm,
    Sts,
}

/// An action as a request says it.
struct Entry {
    action: Action,
    service: Service,
    name: &'static str,
    /// How many calls an account has in a second.
    quota: u32,
    parameters: &'static [&'static str],
}

const fn ssm(
    action: Action,
    name: &'static str,
    quota: u32,
    parameters: &'static [&'static str],
) -> Entry {
    Entry {
        action,
        service: Service::Ssm,
        name,
        quota,
        parameters,
    }
}

const fn sts(
    action: Action,
    name: &'static str,
    quota: u32,
    parameters: &'static [&'static str],
) -> Entry {
    Entry {
        action,
        service: Service::Sts,
        name,
        quota,
        parameters,
    }
}

/// All actions, in the order of [`Action`]. For `UpdateSecret` no quota is published.
const ACTIONS: &[Entry] = &[
    ssm(
        Action::GetSecretValue,
        "GetSecretValue",
        300,
        &["SecretName", "VersionId"],
    ),
    ssm(
        Action::DescribeSecret,
        "DescribeSecret",
        40,
        &["SecretName"],
    ),
    ssm(
        Action::ListSecretVersionIds,
        "ListSecretVersionIds",
        40,
        &["SecretName"],
    ),
    ssm(
        Action::ListSecrets,
        "ListSecrets",
        30,
        &[
            "Offset",
            "Limit",
            "OrderType",
            "State",
            "SearchSecretName",
            "TagFilters",
            "SecretType",
        ],
    ),
    ssm(
        Action::GetSshKeyPairValue,
        "GetSSHKeyPairValue",
        20,
        &["SecretName", "SSHKeyId"],
    ),
    ssm(
        Action::CreateSecret,
        "CreateSecret",
        100,
        &[
            "SecretName",
            "VersionId",
            "Description",
            "KmsKeyId",
            "SecretType",
            "SecretBinary",
            "SecretString",
            "Tags",
        ],
    ),
    ssm(
        Action::PutSecretValue,
        "PutSecretValue",
        100,
        &["SecretName", "VersionId", "SecretBinary", "SecretString"],
    ),
    ssm(
        Action::UpdateSecret,
        "UpdateSecret",
        100,
        &["SecretName", "VersionId", "SecretBinary", "SecretString"],
    ),
    ssm(
        Action::DeleteSecretVersion,
        "DeleteSecretVersion",
        50,
        &["SecretName", "VersionId"],
    ),
    ssm(Action::DisableSecret, "DisableSecret", 50, &["SecretName"]),
    ssm(Action::EnableSecret, "EnableSecret", 50, &["SecretName"]),
    ssm(Action::RestoreSecret, "RestoreSecret", 50, &["SecretName"]),
    ssm(
        Action::DeleteSecret,
        "DeleteSecret",
        50,
        &["SecretName", "RecoveryWindowInDays"],
    ),
    ssm(Action::GetServiceStatus, "GetServiceStatus", 50, &[]),
    sts(
        Action::AssumeRoleWithWebIdentity,
        "AssumeRoleWithWebIdentity",
        20,
        &[
            "ProviderId",
            "WebIdentityToken",
            "RoleArn",
            "RoleSessionName",
            "DurationSeconds",
        ],
    ),
    sts(
        Action::AssumeRole,
        "AssumeRole",
        600,
        &[
            "RoleArn",
            "RoleSessionName",
            "DurationSeconds",
            "Policy",
            "ExternalId",
        ],
    ),
    sts(Action::GetCallerIdentity, "GetCallerIdentity", 20, &[]),
];

// === impl Service ===

impl Service {
    /// The name of the service in a signature's scope.
    pub(crate) fn scope(self) -> &'static str {
        match self {
            Self::Ssm => "ssm",
            Self::Sts => "sts",
        }
    }

    /// The name by which faults and the ledger know it: there is another STS beside this one.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ssm => "ssm",
            Self::Sts => "tencent-sts",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Ssm => "2019-09-23",
            Self::Sts => "2018-08-13",
        }
    }

    /// The service that a request is for: that of its signature's scope, or of its version if it has none.
    fn of(request: &Request, version: &str) -> Result<Self, Refusal> {
        let all = [Self::Ssm, Self::Sts];
        let signed = request.header("authorization").unwrap_or_default();
        if !signed.starts_with(ALGORITHM) {
            let known = all.into_iter().find(|service| service.version() == version);
            return known.ok_or_else(no_such_version);
        }
        let scope = Authorization::of(request)?.service;
        let known = all.into_iter().find(|service| service.scope() == scope);
        let known = known
            .ok_or_else(|| Refusal::new(200, "NoSuchProduct", "The product does not exist."))?;
        if known.version() != version {
            return Err(no_such_version());
        }
        Ok(known)
    }
}

// === impl Action ===

impl Action {
    /// Reads from the headers what a request is for.
    pub(crate) fn of(request: &Request) -> Result<Self, Refusal> {
        let header = |name: &str| {
            let value = request.header(&name.to_lowercase());
            value
                .filter(|value| !value.is_empty())
                .ok_or_else(|| Refusal::missing(name).in_body())
        };
        let (name, version) = (header("X-TC-Action")?, header("X-TC-Version")?);
        if request.method != axum::http::Method::POST || request.path != "/" {
            let message = "This server takes POST to / only.";
            return Err(Refusal::new(200, "UnsupportedProtocol", message));
        }
        let service = Service::of(request, version)?;
        let mut actions = ACTIONS.iter();
        let entry = actions.find(|entry| entry.service == service && entry.name == name);
        entry.map(|entry| entry.action).ok_or_else(|| {
            let message = "The requested API does not exist in this version.";
            Refusal::new(200, "InvalidAction", message)
        })
    }

    fn entry(self) -> &'static Entry {
        let entry = ACTIONS.iter().find(|entry| entry.action == self);
        // Every action is in the table, which its test proves.
        entry.unwrap_or(&ACTIONS[0])
    }

    pub(crate) fn service(self) -> Service {
        self.entry().service
    }

    pub(crate) fn name(self) -> &'static str {
        self.entry().name
    }

    pub(crate) fn parameters(self) -> &'static [&'static str] {
        self.entry().parameters
    }

    pub(crate) fn quota(self) -> u32 {
        self.entry().quota
    }

    /// What CAM calls it.
    pub(crate) fn permission(self) -> String {
        format!("{}:{}", self.service().scope(), self.name())
    }
}

fn no_such_version() -> Refusal {
    Refusal::new(200, "NoSuchVersion", "The version does not exist.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_in_the_table_once() {
        for (index, entry) in ACTIONS.iter().enumerate() {
            assert_eq!(entry.action as usize, index);
        }
    }

    #[test]
    fn the_quotas_of_reads_are_the_published_ones() {
        for (action, quota) in [
            (Action::GetSecretValue, 300),
            (Action::DescribeSecret, 40),
            (Action::ListSecretVersionIds, 40),
            (Action::ListSecrets, 30),
            (Action::GetSshKeyPairValue, 20),
            (Action::AssumeRoleWithWebIdentity, 20),
            (Action::AssumeRole, 600),
        ] {
            assert_eq!(action.quota(), quota, "{}", action.name());
        }
    }
}
