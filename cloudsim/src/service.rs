//! The services behind the gateway, one file each.

pub(crate) mod kms;
pub(crate) mod oos;
pub(crate) mod sts;

use axum::http::Method;

use crate::refusal::Refusal;
use crate::request::Request;

/// Parameters that every action of the POP gateway takes.
const COMMON: [&str; 11] = [
    "Action",
    "Version",
    "Format",
    "RegionId",
    "Timestamp",
    "AccessKeyId",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureVersion",
];

/// What a request is for. A new service adds its actions here, in the table below and in `gateway.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// OOS: one secret parameter.
    GetSecretParameter,
    /// OOS: up to ten secret parameters.
    GetSecretParameters,
    /// STS: who is calling.
    GetCallerIdentity,
    /// STS: a token of an OIDC provider for credentials of a role.
    AssumeRoleWithOidc,
    /// KMS: one secret's value.
    GetSecretValue,
    /// KMS: up to twenty secrets' values.
    BatchGetSecretValue,
    /// KMS: which secrets there are.
    ListSecrets,
    /// KMS: one secret without its value.
    DescribeSecret,
    /// KMS: which versions of a secret there are.
    ListSecretVersionIds,
    /// KMS: a new secret.
    CreateSecret,
    /// KMS: a new version.
    PutSecretValue,
    /// KMS: a stage of another version.
    UpdateSecretVersionStage,
    /// KMS: the end of a secret.
    DeleteSecret,
    /// KMS: the end of the end of a secret.
    RestoreSecret,
    /// STS: credentials of a caller for those of a role that trusts it.
    AssumeRole,
}

/// An action as a request says it.
struct Entry {
    action: Action,
    service: Service,
    name: &'static str,
    /// The parameters that it takes beyond the common ones.
    parameters: &'static [&'static str],
}

/// The services, each with its one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Oos,
    Sts,
    Kms,
}

const ACTIONS: &[Entry] = &[
    Entry {
        action: Action::GetSecretParameter,
        service: Service::Oos,
        name: "GetSecretParameter",
        parameters: &["Name", "ParameterVersion", "WithDecryption"],
    },
    Entry {
        action: Action::GetSecretParameters,
        service: Service::Oos,
        name: "GetSecretParameters",
        parameters: &["Names", "WithDecryption"],
    },
    Entry {
        action: Action::GetCallerIdentity,
        service: Service::Sts,
        name: "GetCallerIdentity",
        parameters: &[],
    },
    Entry {
        action: Action::AssumeRoleWithOidc,
        service: Service::Sts,
        name: "AssumeRoleWithOIDC",
        parameters: &[
            "RoleArn",
            "OIDCProviderArn",
            "OIDCToken",
            "RoleSessionName",
            "DurationSeconds",
            "Policy",
        ],
    },
    Entry {
        action: Action::GetSecretValue,
        service: Service::Kms,
        name: "GetSecretValue",
        parameters: &[
            "SecretName",
            "VersionStage",
            "VersionId",
            "FetchExtendedConfig",
            "DryRun",
        ],
    },
    Entry {
        action: Action::BatchGetSecretValue,
        service: Service::Kms,
        name: "BatchGetSecretValue",
        parameters: &["SecretsList"],
    },
    Entry {
        action: Action::ListSecrets,
        service: Service::Kms,
        name: "ListSecrets",
        parameters: &["PageNumber", "PageSize", "FetchTags", "Filters"],
    },
    Entry {
        action: Action::DescribeSecret,
        service: Service::Kms,
        name: "DescribeSecret",
        parameters: &["SecretName", "FetchTags"],
    },
    Entry {
        action: Action::ListSecretVersionIds,
        service: Service::Kms,
        name: "ListSecretVersionIds",
        parameters: &["SecretName", "IncludeDeprecated", "PageNumber", "PageSize"],
    },
    Entry {
        action: Action::CreateSecret,
        service: Service::Kms,
        name: "CreateSecret",
        parameters: &[
            "SecretName",
            "VersionId",
            "SecretType",
            "SecretDataType",
            "SecretData",
            "EncryptionKeyId",
            "DKMSInstanceId",
            "Description",
            "Tags",
        ],
    },
    Entry {
        action: Action::PutSecretValue,
        service: Service::Kms,
        name: "PutSecretValue",
        parameters: &[
            "SecretName",
            "VersionId",
            "SecretDataType",
            "SecretData",
            "VersionStages",
        ],
    },
    Entry {
        action: Action::UpdateSecretVersionStage,
        service: Service::Kms,
        name: "UpdateSecretVersionStage",
        parameters: &[
            "SecretName",
            "VersionStage",
            "RemoveFromVersion",
            "MoveToVersion",
        ],
    },
    Entry {
        action: Action::DeleteSecret,
        service: Service::Kms,
        name: "DeleteSecret",
        parameters: &[
            "SecretName",
            "ForceDeleteWithoutRecovery",
            "RecoveryWindowInDays",
        ],
    },
    Entry {
        action: Action::RestoreSecret,
        service: Service::Kms,
        name: "RestoreSecret",
        parameters: &["SecretName"],
    },
    Entry {
        action: Action::AssumeRole,
        service: Service::Sts,
        name: "AssumeRole",
        parameters: &[
            "RoleArn",
            "RoleSessionName",
            "DurationSeconds",
            "Policy",
            "ExternalId",
        ],
    },
];

// === impl Service ===

impl Service {
    fn of(version: &str) -> Option<Self> {
        match version {
            "2019-06-01" => Some(Self::Oos),
            "2015-04-01" => Some(Self::Sts),
            "2016-01-20" => Some(Self::Kms),
            _ => None,
        }
    }

    /// The name by which faults and the ledger know it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Oos => "oos",
            Self::Sts => "sts",
            Self::Kms => "kms",
        }
    }
}

// === impl Action ===

impl Action {
    /// Reads from headers, else from parameters, what a request is for.
    pub(crate) fn of(request: &Request) -> Result<Self, Refusal> {
        let said = |header, name| request.header(header).or_else(|| request.parameter(name));
        let version =
            said("x-acs-version", "Version").ok_or_else(|| Refusal::missing("Version"))?;
        let name = said("x-acs-action", "Action").ok_or_else(|| Refusal::missing("Action"))?;
        if request.path != "/" {
            return Err(Refusal::no_such_action());
        }
        if request.method != Method::GET && request.method != Method::POST {
            return Err(Refusal::new(
                405,
                "UnsupportedHTTPMethod",
                "This http method is not supported.",
            ));
        }
        let service = Service::of(version).filter(|service| {
            // A dedicated instance is of KMS, and of nothing else.
            !request.instance || *service == Service::Kms
        });
        let service = service.ok_or_else(|| {
            Refusal::new(
                404,
                "InvalidProduct.NotFound",
                "Cannot find product according to your specified version.",
            )
        })?;
        let mut actions = ACTIONS.iter();
        let entry = actions.find(|entry| entry.service == service && entry.name == name);
        let entry = entry.ok_or_else(Refusal::no_such_action)?;
        if request.instance && !entry.action.is_on_instances() {
            return Err(Refusal::new(
                400,
                "UnsupportedOperation",
                "A dedicated instance does not serve this operation.",
            ));
        }
        Ok(entry.action)
    }

    fn entry(self) -> &'static Entry {
        let entry = ACTIONS.iter().find(|entry| entry.action == self);
        // Every action is in the table, which a test below proves.
        entry.unwrap_or(&ACTIONS[0])
    }

    pub(crate) fn service(self) -> Service {
        self.entry().service
    }

    pub(crate) fn name(self) -> &'static str {
        self.entry().name
    }

    /// Says whether dedicated instances of KMS serve it: they do business, and no management.
    fn is_on_instances(self) -> bool {
        matches!(self, Self::GetSecretValue | Self::BatchGetSecretValue)
    }

    /// Refuses parameters that the action does not know: a misspelt one must not go unnoticed in a test.
    pub(crate) fn check_parameters(self, request: &Request) -> Result<(), Refusal> {
        let known = |name: &[u8]| {
            let mut known = COMMON.iter().chain(self.entry().parameters);
            known.any(|known| known.as_bytes() == name)
        };
        if request.parameter_names().all(known) {
            return Ok(());
        }
        let message = format!(
            "{} was sent a parameter that it does not know.",
            self.name()
        );
        Err(Refusal::new(400, "InvalidParameter", message))
    }
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
}
