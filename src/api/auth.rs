//! The identity that a store reads with.

#![allow(clippy::struct_field_names, reason = "the names are those of the API")]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::reference::{SecretKeyRef, ServiceAccountRef};
use super::validation;

/// The identity that a store reads with. Exactly one of rrsa, operator and accessKey is set; if it
/// fails, no other identity is tried.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = validation::one_source())]
pub struct AuthSpec {
    /// A RAM role that trusts a Kubernetes ServiceAccount (RRSA): no long-lived key is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rrsa: Option<RrsaAuth>,

    /// The operator's own identity, from its environment. Refused on a namespaced store unless the
    /// operator is told to allow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorAuth>,

    /// A long-lived or temporary access key, kept in Secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<AccessKeyAuth>,

    /// A URL of the token service (STS) to call: https, a host that the operator allows, no port,
    /// path or query. Default: follows the store's region and network. At most 253 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = validation::URL)
    )]
    pub sts_endpoint: Option<String>,
}

/// A RAM role that trusts a Kubernetes ServiceAccount.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = validation::provider_for_the_account(),
    validation = validation::audience_for_the_account()
)]
pub struct RrsaAuth {
    /// The role to assume, such as acs:ram::1234567890:role/shop.
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = validation::ROLE_ARN)
    )]
    pub role_arn: String,

    /// The OIDC provider that the cluster is registered as, such as
    /// acs:ram::1234567890:oidc-provider/ack-rrsa-c123. Required with serviceAccountRef. Default
    /// without it: the operator's ALIBABA_CLOUD_OIDC_PROVIDER_ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 192),
        regex(pattern = validation::OIDC_PROVIDER_ARN)
    )]
    pub oidc_provider_arn: Option<String>,

    /// The ServiceAccount whose token is exchanged for the role. Absent: the operator's own token
    /// file, refused on a namespaced store unless the operator is told to allow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_ref: Option<ServiceAccountRef>,

    /// The audience of the ServiceAccount's token, one of those that the operator allows. Only with
    /// serviceAccountRef. Default: sts.aliyuncs.com.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = validation::AUDIENCE))]
    pub audience: Option<String>,
}

/// The operator's own identity. It has no settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperatorAuth {}

/// An access key, kept in Secrets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessKeyAuth {
    /// Where the access key id is.
    pub access_key_id_secret_ref: SecretKeyRef,

    /// Where the access key secret is.
    pub access_key_secret_secret_ref: SecretKeyRef,

    /// Where the security token of a temporary key is. Absent: a long-lived key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_token_secret_ref: Option<SecretKeyRef>,
}
