//! The identity that a store reads with.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::reference::{SecretKeyRef, ServiceAccountRef};

/// The identity that a store reads with. Exactly one of rrsa, operator and accessKey is set; if it
/// fails, no other identity is tried.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "(has(self.rrsa) ? 1 : 0) + (has(self.operator) ? 1 : 0) + (has(self.accessKey) ? 1 : 0) == 1"
).message("spec.auth must have exactly one of: rrsa, operator, accessKey"))]
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
        regex(pattern = r"^https?://[^/?#@\s]+/?$")
    )]
    pub sts_endpoint: Option<String>,
}

/// A RAM role that trusts a Kubernetes ServiceAccount.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.serviceAccountRef) || has(self.oidcProviderArn)")
    .message("spec.auth.rrsa.oidcProviderArn is required with serviceAccountRef"))]
pub struct RrsaAuth {
    /// The role to assume, such as acs:ram::1234567890:role/shop.
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = r"^acs:ram::[0-9]{1,20}:role/[A-Za-z0-9._-]{1,64}$")
    )]
    pub role_arn: String,

    /// The OIDC provider that the cluster is registered as, such as
    /// acs:ram::1234567890:oidc-provider/ack-rrsa-c123. Required with serviceAccountRef. Default
    /// without it: the operator's ALIBABA_CLOUD_OIDC_PROVIDER_ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 192),
        regex(pattern = r"^acs:ram::[0-9]{1,20}:oidc-provider/[A-Za-z0-9._-]{1,128}$")
    )]
    pub oidc_provider_arn: Option<String>,

    /// The ServiceAccount whose token is exchanged for the role. Absent: the operator's own token
    /// file, refused on a namespaced store unless the operator is told to allow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_ref: Option<ServiceAccountRef>,

    /// The audience of the ServiceAccount's token, one of those that the operator allows. Only with
    /// serviceAccountRef. Default: sts.aliyuncs.com.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9._:/-]+$"))]
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
