//! The identity that a store reads with.

#![allow(clippy::struct_field_names, reason = "the names are those of the API")]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::reference::{SecretKeyRef, ServiceAccountRef};
use super::validation;

/// The identity that a store reads with. Exactly one of rrsa, webIdentity, operator, accessKey and
/// instanceRole is set, and it may enter a further role by assumeRole; if it fails, no other identity is tried.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = validation::one_source())]
pub struct AuthSpec {
    /// On Alibaba Cloud, a RAM role that trusts a Kubernetes ServiceAccount (RRSA): no long-lived key is
    /// needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rrsa: Option<RrsaAuth>,

    /// On Tencent Cloud, a CAM role that trusts a Kubernetes ServiceAccount: no long-lived key is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_identity: Option<WebIdentityAuth>,

    /// The operator's own identity: the first that its environment configures for the store's cloud. Refused on a
    /// namespaced store unless the operator is told to allow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorAuth>,

    /// A long-lived or temporary access key, kept in Secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<AccessKeyAuth>,

    /// The role of the instance (ECS, CVM) that the operator runs on. Refused unless the operator runs with
    /// --enable-instance-role, and on a namespaced store unless the operator is told to allow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_role: Option<InstanceRoleAuth>,

    /// A role that the source above enters, and that reads in its place: the role must trust it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_role: Option<AssumeRoleAuth>,

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
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = validation::role_of_somebody(),
    validation = validation::audience_for_the_account()
)]
pub struct RrsaAuth {
    /// The role to assume, such as acs:ram::1234567890:role/shop. Required without
    /// serviceAccountRef. Default with it: the ServiceAccount's annotation
    /// ack.alibabacloud.com/role-arn, else pod-identity.alibabacloud.com/role-name, a role in the
    /// operator's --alibaba-account-id or else in the account of oidcProviderArn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = validation::ROLE_ARN)
    )]
    pub role_arn: Option<String>,

    /// The OIDC provider that the cluster is registered as, such as
    /// acs:ram::1234567890:oidc-provider/ack-rrsa-c123. Default with serviceAccountRef: made of the
    /// operator's --ack-cluster-id and its --alibaba-account-id, else the role's account. Default
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

    /// The name of the session in the cloud's audit log, 2 to 64 of A-Z a-z 0-9 . @ _ -. Default:
    /// made of the cluster's name, the namespace and the ServiceAccount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 64), regex(pattern = validation::SESSION_NAME))]
    pub session_name: Option<String>,

    /// How long credentials live, from 900 to 43200 seconds and at most what the role allows. They
    /// are renewed in time whatever this says. Default: 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 900, max = 43200))]
    pub duration_seconds: Option<i32>,

    /// A RAM policy in JSON that narrows the role's permissions, at most 2048 characters. Default:
    /// all that the role may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub policy: Option<String>,
}

/// A CAM role that trusts a Kubernetes ServiceAccount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = validation::role_of_somebody(),
    validation = validation::audience_for_the_account()
)]
pub struct WebIdentityAuth {
    /// The role to assume, such as qcs::cam::uin/100001234567:roleName/shop. Required without
    /// serviceAccountRef. Default with it: the ServiceAccount's annotation
    /// tke.cloud.tencent.com/role-arn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 256),
        regex(pattern = validation::CAM_ROLE_ARN)
    )]
    pub role_arn: Option<String>,

    /// The name in CAM of the OIDC provider that the cluster is registered as, such as cls-1a2b3c4d: TKE
    /// calls it what the cluster is called. Default: the operator's TKE_PROVIDER_ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = validation::ROLE_NAME)
    )]
    pub provider_id: Option<String>,

    /// The ServiceAccount whose token is exchanged for the role. Absent: the operator's own token
    /// file, refused on a namespaced store unless the operator is told to allow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_ref: Option<ServiceAccountRef>,

    /// The audience of the ServiceAccount's token, one of those that the operator allows. Only with
    /// serviceAccountRef. Default: the ServiceAccount's annotation tke.cloud.tencent.com/audience, else
    /// sts.cloud.tencent.com.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = validation::AUDIENCE))]
    pub audience: Option<String>,

    /// The name of the session in the cloud's audit log, 2 to 128 of A-Z a-z 0-9 _ + = , . @ -. Default:
    /// made of the cluster's name, the namespace and the ServiceAccount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 128), regex(pattern = validation::CAM_SESSION_NAME))]
    pub session_name: Option<String>,

    /// How long credentials live, from 900 to 43200 seconds and at most what the role allows. They
    /// are renewed in time whatever this says. Default: 7200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 900, max = 43200))]
    pub duration_seconds: Option<i32>,
}

/// The role of the instance (ECS, CVM) that the operator runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceRoleAuth {
    /// The role's name, at most 64 characters. Default: the role that the instance has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = validation::ROLE_NAME)
    )]
    pub role_name: Option<String>,
}

/// A role that another identity enters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssumeRoleAuth {
    /// The role to assume, such as acs:ram::1234567890:role/readers on Alibaba Cloud or
    /// qcs::cam::uin/100001234567:roleName/readers on Tencent Cloud. It may be another account's.
    #[schemars(
        length(min = 1, max = 256),
        regex(pattern = validation::ANY_ROLE_ARN)
    )]
    pub role_arn: String,

    /// What the role's trust policy asks callers to say, 2 to 1224 (on Tencent Cloud 128) of A-Z a-z 0-9 _
    /// + = , . @ : / -.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1224), regex(pattern = validation::EXTERNAL_ID))]
    pub external_id: Option<String>,

    /// The name of the session in the cloud's audit log, 2 to 64 of A-Z a-z 0-9 . @ _ -. Default:
    /// made of the cluster's name, and of the namespace and name of the ServiceAccount, or of the
    /// Secret that holds the access key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 64), regex(pattern = validation::SESSION_NAME))]
    pub session_name: Option<String>,

    /// How long credentials live, from 900 to 43200 seconds and at most what the role allows. They
    /// are renewed in time whatever this says. Default: the cloud's, 3600 on Alibaba Cloud (the most that
    /// a role entered by another role usually allows) and 7200 on Tencent Cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 900, max = 43200))]
    pub duration_seconds: Option<i32>,

    /// A policy in JSON, in the cloud's own language, that narrows the role's permissions, at most 2048 characters. Default:
    /// all that the role may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub policy: Option<String>,
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
