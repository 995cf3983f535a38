//! The table of all actions: of which service each is, and what it takes.

use crate::service::{Action, Service};

/// An action as a request says it.
pub(super) struct Entry {
    pub(super) action: Action,
    pub(super) service: Service,
    pub(super) name: &'static str,
    /// The parameters that it takes beyond the common ones.
    pub(super) parameters: &'static [&'static str],
}

/// All actions, in the order of [`Action`].
pub(super) const ACTIONS: &[Entry] = &[
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
    Entry {
        action: Action::GetSecretParametersByPath,
        service: Service::Oos,
        name: "GetSecretParametersByPath",
        parameters: &[
            "Path",
            "Recursive",
            "MaxResults",
            "NextToken",
            "WithDecryption",
        ],
    },
    Entry {
        action: Action::ListSecretParameters,
        service: Service::Oos,
        name: "ListSecretParameters",
        parameters: &[
            "Name",
            "Path",
            "Recursive",
            "Tags",
            "SortField",
            "SortOrder",
            "MaxResults",
            "NextToken",
        ],
    },
    Entry {
        action: Action::GetParameter,
        service: Service::Oos,
        name: "GetParameter",
        parameters: &["Name", "ParameterVersion"],
    },
    Entry {
        action: Action::GetParameters,
        service: Service::Oos,
        name: "GetParameters",
        parameters: &["Names"],
    },
    Entry {
        action: Action::GetParametersByPath,
        service: Service::Oos,
        name: "GetParametersByPath",
        parameters: &["Path", "Recursive", "MaxResults", "NextToken"],
    },
    Entry {
        action: Action::ListParameters,
        service: Service::Oos,
        name: "ListParameters",
        parameters: &[
            "Name",
            "Path",
            "Recursive",
            "Tags",
            "SortField",
            "SortOrder",
            "MaxResults",
            "NextToken",
        ],
    },
];

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
